"""Whom a kill ends, and when: by the number of a request at the platform or of a git child, so that a seed strikes the same again."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LENGTHS: Final = {
    "apply": (20, 78),
    "halt": (12, 65),
    "release": (0, 20),
    "import": (10, 32),
}
"""Requests and git children of a command, as measured with `python -m tests.crash.kills --measure`."""

SERVERS: Final = (b"receive-pack", b"upload-pack")
"""Processes of git that run on another machine in earnest: no kill of this machine reaches them."""

_SHIM: Final = """\
#!/bin/sh
# Counts the git children of one command. Ends the chosen one, or the process that started it, or both with all other children.
here=${0%/*}
read -r nth whom stage delay < "$here/order"
printf . >> "$here/count"
count=$(wc -c < "$here/count")
if [ "$nth" -eq 0 ] || [ "$count" -lt "$nth" ] || ! mkdir "$here/struck" 2> /dev/null; then
    exec GIT "$@"
fi
printf '%s ' "$@" > "$here/struck/git"
strike() {
    case $whom in
        git) ;;
        python) kill -9 "$PPID" ;;
        tree)
            others=$(cat /proc/"$PPID"/task/*/children)
            kill -9 "$PPID"
            for each in $others; do [ "$each" = $$ ] || kill -9 "$each" 2> /dev/null; done ;;
        *) kill -"$whom" "$PPID" ;;
    esac
}
die() {
    case $whom in git | tree) kill -9 $$ ;; esac
}
case $stage in
    before) strike; die; exec GIT "$@" ;;
    after) GIT "$@"; code=$?; strike; die; exit $code ;;
    middle)
        exec 3<&0
        GIT "$@" <&3 &
        child=$!
        sleep "$delay"
        strike
        case $whom in git | tree) kill -9 $child 2> /dev/null ;; esac
        wait $child
        code=$?
        die
        exit $code ;;
esac
"""


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        at: `request`: at the platform; `DELETE` or another method: a request with it; `git`: a git child of the command.
        nth: the which, from 1.
        stage: of a request: `lost` before it is carried out, `asked` while it is, `did` after it; of a git child: `before`, `middle`
            or `after`.
        whom: `tree`: the process and all its children; `python`: the process alone; `git`: the git child alone; `TERM`, `INT`: a
            signal to the process.
        delay_s: seconds of real time from the start of the git child, for `middle`.
    """

    at: str
    nth: int
    stage: str
    whom: str
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.whom} {self.stage} {self.at} {self.nth}"


def drawn(rng: random.Random, command: str, *, middle: bool, within: float = 1.0) -> Kill:
    """Draw a kill of a command; `middle` allows such as depend on real time.

    Args:
        within: the share of the command's length, from its begin, in which it may fall.
    """
    requests, children = (round(length * within) for length in LENGTHS[command])
    if rng.randint(1, requests + children) <= requests:
        whom = rng.choice(("tree", "tree", "tree", "python", "TERM", "INT"))
        return Kill("request", rng.randint(1, requests), rng.choice(("lost", "asked", "did")), whom)
    stage = rng.choice(("before", "after", "middle") if middle else ("before", "after"))
    whom = rng.choice(("tree", "tree", "python", "git", "git", "TERM"))
    return Kill("git", rng.randint(1, children), stage, whom, round(rng.uniform(0, 0.008), 4))


class Shim:
    """A `git` that stands before the real one on the command's PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        real = shutil.which("git")
        assert real is not None
        script = folder / "git"
        script.write_text(_SHIM.replace("GIT", real), encoding="utf-8")
        script.chmod(0o755)

    def set(self, kill: Kill | None) -> None:
        """Begin to count anew, and strike as told."""
        shutil.rmtree(self.folder / "struck", ignore_errors=True)
        (self.folder / "count").write_bytes(b"")
        mine = kill is not None and kill.at == "git"
        told = f"{kill.nth} {kill.whom} {kill.stage} {kill.delay_s}" if mine else "0 - - 0"
        (self.folder / "order").write_text(told + "\n", encoding="utf-8")

    @property
    def count(self) -> int:
        return (self.folder / "count").stat().st_size

    @property
    def struck(self) -> str | None:
        """The arguments of the git child that was struck, without git's own options."""
        what = self.folder / "struck" / "git"
        if not what.exists():
            return None
        return what.read_text(encoding="utf-8").rpartition("--work-tree=")[2].partition(" ")[2]


def strike(pid: int, kill: Kill) -> bool:
    """End a process while the platform has its request; return whether there was anything to end."""
    if kill.whom in {"TERM", "INT"}:
        return _send(pid, signal.SIGTERM if kill.whom == "TERM" else signal.SIGINT)
    if kill.whom == "python":
        return _send(pid, signal.SIGKILL)
    if not _send(pid, signal.SIGSTOP):  # it starts no child meanwhile
        return False
    for each in [*children(pid), pid]:
        _send(each, signal.SIGKILL)
    return True


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def children(pid: int) -> Iterator[int]:
    """Return all processes below one, but none of a git server."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for each in (task / "children").read_text(encoding="ascii").split():
                if not any(word in _command(int(each)) for word in SERVERS):
                    yield from children(int(each))
                    yield int(each)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def settled(root: Path, other: int | None = None, *, within_s: float = 30.0) -> None:
    """Wait until no process works in a folder: a git child that outlived its parent, and the server's side of a push.

    Args:
        root: the folder.
        other: a process that goes on, with its children.
        within_s: how long to wait, seconds of real time.

    Raises:
        TimeoutError: one of them does not end.
    """
    until = time.monotonic() + within_s
    while left := [pid for pid in _everybody() if _works(pid, root) and not _below(pid, other)]:
        if time.monotonic() > until:
            raise TimeoutError(f"{[_command(pid) for pid in left]} did not end")
        time.sleep(0.005)  # nobody else's child can be waited for


def _everybody() -> Iterator[int]:
    return (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())


def _below(pid: int, other: int | None) -> bool:
    return other is not None and (pid == other or pid in children(other))


def _works(pid: int, root: Path) -> bool:
    if pid == os.getpid():
        return False
    try:
        place = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return place.is_relative_to(root)
