"""Whole processes, measured; and the ones around them: a made tenant, a platform that serves it, a clean environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LONGEST_S = 1500
"""Seconds after which a process is ended, and the whole run with it."""


@dataclass(frozen=True)
class Run:
    """What one process took, with the git children that it waited for.

    Attributes:
        wall_s: seconds on the wall.
        cpu_s: seconds of CPU.
        peak_kib: KiB of memory at the peak of the largest process.
        began_s: the monotonic clock at its start.
    """

    wall_s: float
    cpu_s: float
    peak_kib: int
    began_s: float = 0.0


@dataclass(frozen=True)
class Product:
    """The environment that is measured: its Python, the command in it, what a reader should know of it, its variables."""

    python: str
    command: tuple[str, ...]
    note: str
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, expect: int = 0, **variables: str) -> Run:
        """Run the command."""
        command = [*self.command, *arguments]
        return run(command, expect=expect, **self.variables, **variables)


@dataclass(frozen=True)
class Ground:
    """One made tenant: its folder of `count` manifests, in git, the state of its platform, and the port where it is served; 0: any."""

    folder: Path
    state: Path
    count: int
    port: int = 0


@dataclass(frozen=True)
class Platform:
    """A platform that serves: its URL and client.

    Attributes:
        answers: when it is done, its answers by status.
        noted: when it is done, the monotonic clock at its first DELETE and its last accepted refresh, and the number of requests
            before the first DELETE (`serve.py`).
    """

    url: str
    client_id: str
    secret: str
    answers: dict[str, int] = field(default_factory=dict)
    noted: dict[str, Any] = field(default_factory=dict)

    @property
    def login(self) -> tuple[str, str, str]:
        """What a script is told."""
        return self.url, self.client_id, self.secret

    @property
    def variables(self) -> dict[str, str]:
        """What the product is told."""
        names = ("CXONE_TENANT_URL", "CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
        return dict(zip(names, self.login, strict=True))


def run(command: Sequence[str], *, expect: int = 0, **variables: str) -> Run:
    """Run a process to its end and return what it took; anything but the expected exit code ends the run."""
    began = time.monotonic()
    with subprocess.Popen(
        command, env=environment(**variables), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        watch = Timer(LONGEST_S, process.kill)
        watch.start()
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expect:
        end = said.decode(errors="replace")[-2000:]
        raise SystemExit(
            f"{' '.join(command)}: exit code {process.returncode}, not {expect}\n{end}"
        )
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, began)


def script(name: str, *arguments: str, said: str = "") -> str:
    """Run a script of this folder and return what it printed."""
    command = [sys.executable, str(HERE / name), *arguments]
    done = subprocess.run(
        command,
        env=environment(PYTHONPATH=str(ROOT)),
        input=said,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LONGEST_S,
    )
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    """Return a plain environment: what a Python or the product reads is said here or not at all."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CXONE_", "COV", "GIT_", "PYTHON", "PYTEST"))
    }
    return kept | more


def make(home: Path, count: int, *, changed: float, rate: float = 0.0) -> Ground:
    """Make a tenant whose platform differs in a share of its manifests; `rate` limits requests per second, 0 does not."""
    top = home / f"{count}-{changed:g}-{rate:g}"
    ground = Ground(top / "bench", top / "state.db", count)
    figures = ("--count", str(count), "--changed", str(changed), "--rate", str(rate))
    script("ground.py", str(ground.folder), str(ground.state), *figures)
    git = ["git", "-C", str(top), "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for command in (["init", "-q"], ["add", "bench"], ["commit", "-q", "-m", "bench"]):
        subprocess.run([*git, *command], env=environment(), check=True, timeout=LONGEST_S)
    return ground


@contextmanager
def serving(ground: Ground, *flags: str) -> Iterator[Platform]:
    """Serve a tenant's platform while the context lasts."""
    port = ("--port", str(ground.port))
    command = [sys.executable, str(HERE / "serve.py"), str(ground.state), *port, *flags]
    with subprocess.Popen(
        command,
        env=environment(PYTHONPATH=str(ROOT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        platform = Platform(*json.loads(server.stdout.readline()))
        try:
            yield platform
        finally:
            said, _ = server.communicate("", timeout=LONGEST_S)
        told = json.loads(said)
        platform.answers.update(told.pop("answers"))
        platform.noted.update(told)


def clean_environment(home: Path) -> Product:
    """Return an environment that holds the product and what it needs, and nothing else: every `.pth` file beside it would count."""
    venv = home / "venv"
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(venv / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", str(ROOT)],
    ):
        subprocess.run(command, env=environment(), check=True, timeout=LONGEST_S)
    # What an older venv brings along; its .pth file would be a sixth of a bare start.
    remove = [str(venv / "bin" / "pip"), "uninstall", "-q", "-y", "setuptools"]
    subprocess.run(remove, env=environment(), check=False, timeout=LONGEST_S)
    python, command_line = str(venv / "bin" / "python"), str(venv / "bin" / "reconcile")
    return Product(python, (command_line,), "the product installed into a clean environment")


def this_environment() -> Product:
    """Return the environment that this script runs in."""
    note = "run from the source tree in this environment, whose .pth files count too"
    source = {"PYTHONPATH": str(ROOT)}
    return Product(sys.executable, (sys.executable, "-m", "reconciler"), note, source)
