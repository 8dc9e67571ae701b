"""Measure what reads from outside: inputs in a second, the longest (both of processor time), and the most memory.

    python tests/fuzz/run.py [--examples N] [NAME]…

Each target runs in a process of its own with 1 GB of address space. Exit 1 when an input took longer than 1 s or more than
200 MB, or when an error that is not of ours came out; the input is then printed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.fuzz.targets import targets

SECONDS, MEGABYTES = 1.0, 200.0
"""What one input may take."""

ADDRESS_SPACE = 2**30
HUGE = 2**24
"""Bytes of the pathological inputs."""


def pathological(name: str) -> list[object]:
    """Return inputs that are large, deep or long, beside those that are made."""
    if name in {"campaigns", "personal-connection"}:
        rows = [{"id": str(n), "skillId": n} for n in range(20_000)]
        paths = ("/api/v1/campaigns", "/skills")
        return [[["GET", path, {"campaigns": rows, "skills": rows}] for path in paths]]
    deep = [(b"[" * n, b"{" * n, b'{"a":' * n) for n in (1000, 100_000)]
    long = [
        b"a" * HUGE,
        b"9" * HUGE,
        b"\n" * HUGE,
        b"a: b\n" * (HUGE // 5),
        b'"' + b"\\u0061" * 10**6,
    ]
    return [*(each for group in deep for each in group), *long]


def measure(name: str, examples: int) -> tuple[int, int, float, float, float]:
    """Return inputs, inputs that were taken, seconds in all, the longest (s), and the most memory (MB)."""
    target = targets()[name]
    count = taken = 0
    total = longest = most = 0.0

    def one(data: object) -> None:
        nonlocal count, taken, total, longest, most
        began = time.process_time()
        taken += target.accepts(data)
        took = time.process_time() - began
        count, total, longest = count + 1, total + took, max(longest, took)
        if took > SECONDS:
            print(f"{name}: {took:.2f} s for {str(data)[:200]!r}")

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def run(data: object) -> None:
        one(data)

    run()
    for data in pathological(name):
        one(data)
        tracemalloc.start()
        target.accepts(data)
        most = max(most, tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    return count, taken, total, longest, most


def main() -> int:
    """Measure each target that is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *targets()])
    asked = parser.parse_args()
    if asked.alone:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        count, taken, total, longest, most = measure(asked.names[0], asked.examples)
        print(
            f"{asked.names[0]:<20} {count:>6} {taken:>6} {count / total:>8.0f} {longest:>8.3f} {most:>8.1f}"
        )
        return int(longest > SECONDS or most > MEGABYTES)
    print(
        f"{'target':<20} {'inputs':>6} {'taken':>6} {'inputs/s':>8} {'worst s':>8} {'worst MB':>8}"
    )
    codes = [
        subprocess.run(
            [sys.executable, __file__, "--alone", f"--examples={asked.examples}", name], check=False
        ).returncode
        for name in asked.names or targets()
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
