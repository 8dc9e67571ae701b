"""Long ledgers, made fast: events through the product's own functions, git objects through one `git fast-import`.

`python -m tests.support.history REPOSITORY --records 100000` makes one for a measurement.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from reconciler import audit
from reconciler.audit import Event, Record, Run
from reconciler.audit.schema import WRITE
from reconciler.ledger import notes, snapshot
from reconciler.ledger.refs import RefNames
from reconciler.plan import Action, Operation, Result
from tests.support.gitfakes import ENVIRON, PLATFORM, START, WHO, operation

DIGEST = "d" * 64


def fake_commit(number: int) -> str:
    """Return the id of a commit that need not exist: a note may be of any."""
    return hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest()


def change(key: int, version: int) -> Operation:
    """Return the operation that gives an object its next body."""
    return operation(str(1_000_000 + key), rate=10.0 + version % 2)


@dataclass(kw_only=True)
class Story:
    """What happened on a platform: applies on one commit after another, some of them killed, and now and then a stop.

    Attributes:
        applies: how many.
        changes: operations of each apply.
        objects: on the platform; applies go through them in turn.
        halt_every, crash_every: each so many applies, a stop of one object follows (released half the time), or the apply is
            killed before some of its outcomes, which the next one settles. 0: never.
        batches: appends of outcomes in one apply.
        seed: of what is random.
        commit_of: commit of each apply.
        change: operation on the n-th object, and its version.
    """

    applies: int = 10
    changes: int = 4
    objects: int = 20
    halt_every: int = 7
    crash_every: int = 5
    batches: int = 2
    seed: int = 1
    tenant: str = PLATFORM
    start: datetime = START
    commit_of: Callable[[int], str] = fake_commit
    change: Callable[[int, int], Operation] = change
    seconds: float = 0.0
    unsettled: list[tuple[Event, Operation]] = field(default_factory=list)
    made: dict[tuple[int, int], Operation] = field(default_factory=dict)
    heads: int = 0

    def now(self) -> datetime:
        """Return the time of the next event, a little later for each."""
        self.seconds += 0.01
        return self.start + timedelta(seconds=self.seconds)

    def run(self, number: int, what: str) -> Run:
        return Run(self.tenant, self.commit_of(number), f"{what}-{number}", self.now, WHO)

    def appends(self) -> Iterator[tuple[Event, ...]]:
        """Yield the events of each ledger commit."""
        chance = random.Random(self.seed)
        for number in range(self.applies):
            self.seconds += 3600
            yield from self._apply(number, chance)
            if self.halt_every and number % self.halt_every == self.halt_every - 1:
                yield from self._halt(number, chance)

    def _operations(self, number: int) -> list[Operation]:
        first = number * self.changes
        wanted = (divmod(first + at, self.objects) for at in range(self.changes))
        return [self._change(key, version) for version, key in wanted]

    def _change(self, key: int, version: int) -> Operation:
        known = (key, version % 2)
        if known not in self.made:  # its hash is costly
            self.made[known] = self.change(key, version)
        return self.made[known]

    def _apply(self, number: int, chance: random.Random) -> Iterator[tuple[Event, ...]]:
        maker = self.run(number, "apply")
        operations = self._operations(number)
        begun = self._open(maker, len(operations), number)
        settled = tuple(
            maker.outcome(intent, Result.CONFIRMED, audit=each.audit)
            for intent, each in self.unsettled
        )
        self.unsettled.clear()
        intents = [maker.intent(each, digest=DIGEST, generation=number) for each in operations]
        yield (begun, *settled, *intents)
        writes = list(zip(intents, operations, strict=True))
        killed = self.crash_every and number % self.crash_every == self.crash_every - 1
        done = chance.randrange(len(writes)) if killed else len(writes)
        size = -(-len(writes) // self.batches)
        for at in range(0, done, size):
            yield tuple(
                maker.outcome(intent, Result.UPDATED, audit=each.audit, schedule_id=f"s-{each.key}")
                for intent, each in writes[at : min(at + size, done)]
            )
        if killed:
            self.unsettled = writes[done:]
        else:
            yield (maker.close({"planned": len(writes), "active": done}),)

    def _halt(self, number: int, chance: random.Random) -> Iterator[tuple[Event, ...]]:
        maker = self.run(number, "halt")
        key = chance.randrange(self.objects)
        stop = replace(
            self._change(key, 0), action=Action.HALT, desired=None, live_hash=f"{number:064x}"
        )
        hold = maker.hold(stop.key, name=stop.name, reason="complaints", body=stop.live)
        intent = maker.intent(stop, digest=DIGEST, generation=0)
        yield (hold, self._open(maker, 1, number, purpose=audit.HALT), intent)
        yield (
            maker.outcome(intent, Result.DELETED, audit=stop.audit),
            maker.close({"planned": 1, "active": 1}),
        )
        if chance.random() < 0.5:
            yield (self.run(number, "release").release(stop.key, name=stop.name, reason="solved"),)

    def _open(self, maker: Run, operations: int, number: int, purpose: str = audit.APPLY) -> Event:
        return maker.open(
            digest=DIGEST,
            operations=operations,
            tool="reconcile 1",
            ledger=None,
            applied=self.commit_of(number - 1) if number else None,
            purpose=purpose,
        )


@dataclass
class Writer:
    """Writes ledger commits as `Ledger` would, to `git fast-import`.

    Attributes:
        out: its standard input.
        tenant: the platform.
        least: see `snapshot.SEGMENT_LEAST`; 0: no segment ever ends.
    """

    out: IO[bytes]
    tenant: str
    least: int = snapshot.SEGMENT_LEAST
    seq: int = 0
    marks: int = 0
    segment: int = 0
    tips: dict[str, Record] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    state: tuple[Record, ...] = ()
    tail: list[Record] = field(default_factory=list)
    lines: dict[int, bytes] = field(default_factory=dict)
    selection: audit.Selection = field(default_factory=audit.Selection)

    @property
    def ref(self) -> str:
        return f"refs/notes/reconcile/{self.tenant}"

    def append(self, events: Iterable[Event]) -> None:
        """Write a ledger commit; begin the next segment if an apply closed and this one is long."""
        records = list(map(self._chained, events))
        for record in records:
            where = record.event.commit
            self.lines[record.seq] = line = audit.encode(record)
            self.notes[where] = self.notes.get(where, b"") + line
        changed = {record.event.commit for record in records}
        self.commit({_path(each): self.notes[each] for each in changed}, records[-1])
        self.tail += records
        for record in records:
            self.selection.add(record)
        due = max(self.least, len(self.state) // 4)
        is_apply = records[-1].event.run.startswith("apply")
        if self.least and len(self.tail) >= due and is_apply and records[-1].kind == "close":
            self._close()

    def _chained(self, event: Event) -> Record:
        record = audit.chain(event, self.tips.get(event.run), self.seq)
        self.tips[event.run] = record
        self.seq += 1
        if record.kind == "close":
            del self.tips[event.run]
        return record

    def _close(self) -> None:
        """End the segment with the last ledger commit, whose id `git fast-import` is asked for."""
        before = (*self.state, *self.tail)
        mark = self.marks
        closes = self.ask(b"get-mark :%d\n" % mark)
        self.segment += 1
        self.state = self.selection.fold()
        self.lines = {
            each.seq: audit.encode(each) if each.kind is WRITE else self.lines[each.seq]
            for each in self.state
        }
        data = b"".join(self.lines.values())
        now = datetime.fromisoformat(before[-1].event.ts)
        event = audit.checkpoint(before, data, segment=self.segment, closes=closes, now=now)
        record = self._chained(event)
        self.tail = [record]
        self.selection.add(record)
        self.lines[record.seq] = line = audit.encode(record)
        self.notes = {event.commit: line}
        files = {notes.STATE: data, _path(event.commit): self.notes[event.commit]}
        self.commit(files, record, empty=True)
        name = f"{RefNames.of(self.tenant).closed}/{self.segment:06}-{closes[:12]}"
        self.out.write(b"reset %s\nfrom :%d\n\n" % (name.encode(), mark))

    def ask(self, command: bytes) -> str:
        """Return the answer of `git fast-import` to a command."""
        raise NotImplementedError

    def commit(self, files: Mapping[str, bytes], last: Record, *, empty: bool = False) -> None:
        """Write a ledger commit that sets files; `empty`: it has no others."""
        self.marks += 1
        at = int(datetime.fromisoformat(last.event.ts).astimezone(UTC).timestamp())
        message = snapshot.message(last).encode()
        self.out.write(b"commit %s\nmark :%d\n" % (self.ref.encode(), self.marks))
        for role in (b"author", b"committer"):
            self.out.write(b"%s reconcile <reconcile@localhost> %d +0000\n" % (role, at))
        self.out.write(b"data %d\n%s" % (len(message), message))
        self.out.write(b"deleteall\n" if empty else b"")
        for path, data in files.items():
            self.out.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))


def _path(commit: str) -> str:
    return f"{commit[:2]}/{commit[2:]}"


def write(
    root: Path,
    appends: Iterable[Iterable[Event]],
    *,
    tenant: str = PLATFORM,
    least: int = snapshot.SEGMENT_LEAST,
) -> int:
    """Write a ledger into a repository that has none; return the number of its records.

    Args:
        root: of the repository.
        appends: the events of each ledger commit.
        tenant: the platform.
        least: fewest records of a segment; 0: all in one.
    """
    command = ["git", "-c", "core.compression=1", "fast-import", "--quiet", "--done"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, env=ENVIRON, stdin=pipe, stdout=pipe) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        class Asking(Writer):
            def ask(self, command: bytes) -> str:
                self.out.write(command)
                self.out.flush()
                return stdout.readline().decode().strip()

        writer = Asking(stdin, tenant, least)
        for events in appends:
            writer.append(events)
        stdin.write(b"done\n")
        stdin.close()
    assert process.returncode == 0
    return writer.seq


def long_story(records: int, **more: Any) -> Story:
    """Return a story of about so many records: applies of 40 changes on 1,000 objects."""
    story = Story(**{"changes": 40, "objects": 1000, **more})
    return replace(story, applies=max(1, round(records / (2 * story.changes + 2))))


def main() -> None:
    """Write a long ledger into a repository."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("repository", type=Path)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--objects", type=int, default=1000)
    asked = parser.parse_args()
    story = long_story(asked.records, changes=asked.changes, objects=asked.objects)
    print(write(asked.repository, story.appends()))


if __name__ == "__main__":
    main()
