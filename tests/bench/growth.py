"""What a long history costs: a remote whose ledger has 100,000 records, beside one whose ledger has the same last states alone."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from figures import Row, Size, costs, ratio
from processes import (
    HERE,
    LONGEST_S,
    Ground,
    Platform,
    Product,
    Run,
    environment,
    run,
    script,
    serving,
)

STOP = "campaign-1000000"
"""The campaign that the first stop names; the next ones name those after it."""

PACE = 20
"""Requests per second of the platform whose stop is timed."""

BURSTS = {100: "≤ 30 s", PACE: "(to compare)", 10: "(to compare)"}
"""Requests that it admits at once, and the goal. The goal was set on the sandbox's own bucket of 100."""

MILLION = 1_000_000


@dataclass(frozen=True)
class Team:
    """A tenant with a git remote (`team_ground.py`).

    Attributes:
        ground: the folder in the clone, and its platform.
        records: in its ledger.
        since: when the newest 1,000 records or so begin.
    """

    ground: Ground
    records: int
    since: str

    @property
    def folder(self) -> str:
        return str(self.ground.folder)

    @property
    def clone(self) -> Path:
        return self.ground.folder.parent

    @property
    def remote(self) -> str:
        return f"file://{self.clone.parent / 'remote.git'}"

    @classmethod
    def of(cls, home: Path, count: int, records: int, *, changed: float = 0.0) -> Team:
        """Return a tenant of so many manifests; make it, unless it is there already.

        Args:
            home: where it is made.
            count: of its manifests.
            records: in its ledger; 0: only the last states.
            changed: share of the manifests that differ from the platform.
        """
        top = home / f"team-{count}-{records}"
        if not (top / "made.json").exists():
            shutil.rmtree(top, ignore_errors=True)  # what an interrupted run left
            figures = ("--count", count, "--records", records, "--changed", changed)
            script("team_ground.py", str(top), "--port", str(_free_port()), *map(str, figures))
        made = json.loads((top / "made.json").read_text())
        ground = Ground(top / "clone" / "bench", top / "state.db", count, made["port"])
        return cls(ground, made["records"], made["since"])

    def git(self, *arguments: str) -> None:
        """Run git in the clone."""
        who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
        command = ["git", "-C", str(self.clone), *who, *arguments]
        subprocess.run(command, env=environment(), check=True, timeout=LONGEST_S)

    def rewrite(self, rate: float, count: int = 1, first: int = 0) -> None:
        """Give the manifests of some campaigns another dial rate; commit and push that."""
        for path in sorted(self.ground.folder.glob("*/*.yaml"))[first : first + count]:
            lines = path.read_text().splitlines()
            lines = [f"  dial_rate: {rate:.1f}" if "dial_rate:" in each else each for each in lines]
            path.write_text("\n".join(lines) + "\n")
        self.git("commit", "-q", "-a", "-m", f"Dial at {rate:.1f}")
        self.git("push", "-q", "origin", "HEAD:refs/heads/main")


def grown(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield what commands cost with a long history ÷ with the last states alone."""
    rounds = max(rounds, size.starts)
    long = Team.of(home, size.objects, size.long)
    brief = Team.of(home, size.objects, 0)
    ours: dict[str, list[Run]] = {"plan": [], "apply": [], "halt": []}
    theirs: dict[str, list[Run]] = {name: [] for name in ours}
    with serving(long.ground) as one, serving(brief.ground) as other:
        for number in _next_rounds(home, rounds + 1):
            for team, platform, runs in ((long, one, ours), (brief, other, theirs)):
                for name, each in _commands(product, team, platform, number).items():
                    runs[name].append(each)
    for runs in (*ours.values(), *theirs.values()):
        del runs[0]  # the first round fetches
    where = f"remote, {long.records:,} records ÷ {brief.records:,}"
    yield "`plan` with nothing to do", where, costs(ours["plan"], theirs["plan"]), "≤ 1.10 each"
    yield "`apply` of one change", where, costs(ours["apply"], theirs["apply"]), "≤ 1.15"
    yield "`halt` of one", where, costs(ours["halt"], theirs["halt"]), "≤ 1.10 each"


def _next_rounds(home: Path, count: int) -> range:
    """Return the numbers of the next rounds. Tenants that are kept in `home` are not changed twice in the same way."""
    file = home / "rounds"
    done = int(file.read_text()) if file.exists() else 0
    file.write_text(str(done + count))
    return range(done, done + count)


def _commands(product: Product, team: Team, platform: Platform, number: int) -> dict[str, Run]:
    """Plan, apply one change, and stop another campaign; each round its own."""
    planned = product.run("plan", team.folder, **platform.variables)
    team.rewrite(1, first=team.ground.count - 1 - number)
    applied = product.run("apply", "--yes", team.folder, **platform.variables)
    name = f"campaign-{1_000_000 + number}"
    stop = ("halt", team.folder, name, "--reason", "a benchmark")
    return {
        "plan": planned,
        "apply": applied,
        "halt": product.run(*stop, **platform.variables),
    }


def audits(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield what `audit verify` and `audit log --since` cost, and how that grows."""
    short, long, longest = (
        Team.of(home, size.objects, records) for records in (size.short, size.long, size.longest)
    )
    checks = {longest.records: _verified(product, longest, rounds), long.records: []}
    floors = []
    for _ in range(rounds):
        checks[long.records] += _verified(product, long, 1)
        floors.append(run([sys.executable, str(HERE / "ledger_floor.py"), str(long.clone)]))
    each = {
        records: median(one.cpu_s for one in runs) / records for records, runs in checks.items()
    }
    where = f"remote, {long.records:,} records"
    more = f"remote, {longest.records:,} ÷ {long.records:,} records"
    peak = median(one.peak_kib for one in checks[longest.records]) / 1024
    yield "`audit verify`, CPU per record", where, f"{each[long.records] * 1e6:.0f} µs", "≤ 60 µs"
    grows = each[longest.records] / each[long.records]
    yield "`audit verify`, CPU per record", more, f"{grows:.2f}", "≤ 1.05"
    cpu = median(a.cpu_s / b.cpu_s for a, b in zip(checks[long.records], floors, strict=True))
    where = f"remote, {long.records:,} records"
    yield "`audit verify`, CPU ÷ floor of any reader", where, f"{cpu:.2f}", "(to compare)"
    where = f"remote, {longest.records:,} records"
    yield "`audit verify`, peak memory", where, f"{peak:.0f} MiB", "(to compare)"
    logs = {team.records: _logged(product, team, rounds) for team in (short, long)}
    told = costs(logs[long.records], logs[short.records])
    where = f"remote, {long.records:,} ÷ {short.records:,} records"
    yield "`audit log --since` of the newest 1,000 records", where, told, "≤ 1.10"


def _verified(product: Product, team: Team, rounds: int) -> list[Run]:
    team.git("fetch", "-q", "origin", "+refs/notes/*:refs/bench/*")  # else verify would fetch
    return [product.run("audit", "verify", team.folder) for _ in range(rounds)]


def _logged(product: Product, team: Team, rounds: int) -> list[Run]:
    log = ("audit", "log", "--since", team.since, team.folder)
    return [product.run(*log) for _ in range(rounds + 1)][1:]


def million(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield the peak memory of `audit verify` at a million records."""
    team = Team.of(home, size.objects, MILLION)
    (took,) = _verified(product, team, 1)
    told = (
        f"{took.peak_kib / 1024:.0f} MiB, CPU {took.cpu_s / team.records * 1e6:.0f} µs per record"
    )
    yield (
        "`audit verify`, peak memory",
        f"remote, {team.records:,} records",
        told,
        "≤ 150 MB, ≤ 60 µs",
    )


def fetched(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield the bytes that a plan fetches into a clone of depth 1: the newest state, and the records since then. Their number differs by chance."""
    long, short = (Team.of(home, size.objects, records) for records in (size.long, size.short))
    took = {team.records: _fetched(product, team, home) for team in (long, short)}
    whole = _whole(long, home)
    told = f"{took[long.records] / took[short.records]:.2f}; {took[long.records] / 1024:.0f} KiB"
    what = "bytes that `plan` fetches into a clone of depth 1"
    newest = f"{_since_checkpoint(long)} ÷ {_since_checkpoint(short)} since the last checkpoint"
    where = f"remote, {long.records:,} ÷ {short.records:,} records, {newest}"
    yield what, where, told, "≤ 1.10 for as many"
    share = f"{took[long.records] / whole:.3f} of {whole / 1024:.0f} KiB"
    yield "the same ÷ the whole ledger", f"remote, {long.records:,} records", share, "(to compare)"


def _since_checkpoint(team: Team) -> int:
    """Return the number of records since the newest checkpoint: the lines of the notes beside the state."""
    git = ["git", "-C", str(team.clone.parent / "remote.git")]

    def said(*command: str) -> str:
        return subprocess.run([*git, *command], check=True, capture_output=True, text=True).stdout

    (ref,) = said("for-each-ref", "--format=%(refname)", "refs/notes/reconcile/").split()
    rows = (line.split("\t") for line in said("ls-tree", "-r", ref).splitlines())
    notes = [about.split()[2] for about, path in rows if path != "state"]
    return sum(said("cat-file", "blob", note).count("\n") for note in notes)


def _fetched(product: Product, team: Team, home: Path) -> int:
    clone = home / "clone-of-depth-1"
    options = ("-q", "--depth=1", "-c", "fetch.unpackLimit=1")
    team.git("clone", *options, team.remote, str(clone))
    before = _packed(clone)
    with serving(team.ground) as platform:
        product.run("plan", str(clone / "bench"), **platform.variables)
    took = _packed(clone) - before
    shutil.rmtree(clone)
    return took


def _whole(team: Team, home: Path) -> int:
    clone = home / "whole-ledger"
    team.git("init", "-q", "--bare", str(clone))
    refs = "refs/notes/*:refs/notes/*"
    options = ("-C", str(clone), "-c", "fetch.unpackLimit=1")
    team.git(*options, "fetch", "-q", team.remote, refs)
    took = _packed(clone)
    shutil.rmtree(clone)
    return took


def _packed(clone: Path) -> int:
    return sum(path.stat().st_size for path in clone.rglob("*.pack"))


def large(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield what a cold plan costs against its floor, with a long history."""
    team = Team.of(home, size.large, size.long, changed=0.01)
    floors, ours = list[Run](), list[Run]()
    with serving(team.ground, "--replay") as platform:
        for number in range(rounds + 1):
            floor = _floor(product, team, platform)
            plan = product.run(
                "plan", "--detailed-exitcode", team.folder, expect=2, **platform.variables
            )
            if number:
                floors.append(floor)
                ours.append(plan)
    name = f"cold `plan` of {size.large:,} manifests, 1 % changed ÷ floor"
    yield name, f"remote, {team.records:,} records", ratio(ours, floors), "≤ 2.1"


def _floor(product: Product, team: Team, platform: Platform) -> Run:
    return run([product.python, str(HERE / "floor.py"), team.folder, *platform.login])


def stops(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield how long a stop takes, by the clock: its goals are in seconds."""
    team = Team.of(home, size.campaigns, size.long)
    with _slow(team, home, size.campaigns) as platform:
        name = ("halt", team.folder, STOP, "--reason", "a benchmark")
        took = product.run(*name, **platform.variables)
    seconds = platform.noted["first_delete_s"] - took.began_s
    told = f"{seconds:.2f} s, after {platform.noted['requests_before']} requests"
    where = f"remote, {team.records:,} records; no `expand`, {PACE} requests/s"
    what = f"`halt` of one of {size.campaigns:,}: from its start to the first DELETE"
    yield what, where, told, "≤ 2 s"
    team = Team.of(home, size.silenced, size.long)  # a manifest for each campaign, and no more
    for burst, goal in BURSTS.items():
        with _slow(team, home, size.silenced, burst) as platform:
            took = _stop_all(product, team, platform)
        silent_s = platform.noted["last_refresh_s"] - took.began_s
        least_s = max(2 * size.silenced - burst, 0) / PACE
        told = f"{silent_s:.1f} s; the requests alone take {least_s:.1f} s"
        what = f"`halt --all` until the platform has stopped {size.silenced}"
        yield what, f"{where}, {burst} at once", told, goal
        told = f"{took.wall_s:.1f} s, {platform.answers.get('429', 0)} refused"
        what = f"the same until each of the {size.silenced} was read as silent and is held"
        yield what, f"{where}, {burst} at once", told, "(to compare)"


def _stop_all(product: Product, team: Team, platform: Platform) -> Run:
    """Stop every campaign, and release them again for the next stop. Return how long the stop took."""
    command, why = (team.folder, "--all"), ("--reason", "a benchmark")
    took = product.run("halt", *command, *why, **platform.variables)
    product.run("release", *command, *why, **platform.variables)
    return took


def _slow(
    team: Team, home: Path, campaigns: int, burst: int = PACE
) -> contextlib.AbstractContextManager[Platform]:
    """Serve so many campaigns at the team's URL, slowly, without `expand`."""
    state = home / f"slow-{campaigns}.db"
    state.unlink(missing_ok=True)
    figures = {"count": campaigns, "changed": 0, "rate": PACE, "burst": burst}
    script("ground.py", "-", str(state), *(f"--{name}={n}" for name, n in figures.items()))
    ground = Ground(team.ground.folder, state, campaigns, team.ground.port)
    return serving(ground, "--fault", "no-expand")


def repeated(product: Product, home: Path, size: Size, rounds: int) -> Iterator[Row]:
    """Yield how the plan after each of five large applies in a row compares with its floor."""
    team = Team.of(home, size.again, 0)
    told = []
    with serving(team.ground) as platform:
        for number in range(size.in_a_row):
            team.rewrite(1.9 - number / 10, count=size.again)  # below what any manifest says
            product.run("apply", "--yes", team.folder, **platform.variables)
            pairs = [
                (
                    product.run("plan", team.folder, **platform.variables),
                    _floor(product, team, platform),
                )
                for _ in range(rounds)
            ]
            told.append(median(plan.cpu_s / floor.cpu_s for plan, floor in pairs))
    what = (
        f"`plan` after each of {size.in_a_row} applies in a row, of {size.again:,} changes ÷ floor"
    )
    figures = ", ".join(f"{each:.2f}" for each in told)
    yield what, "remote, only these applies", f"CPU {figures}", "flat"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
