"""What reads something from outside, each with inputs for it. Whatever comes in, only errors of ours come out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from reconciler import audit, manifests, policies
from reconciler.audit.records import FIRST
from reconciler.audit.schema import RecordKind
from reconciler.commands.approval import read_file
from reconciler.commands.plan import _base, report_of
from reconciler.dialects.calls import Exchange, Reply
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.personal_connection import api as pc
from reconciler.errors import ReconcileError
from reconciler.kinds.live import Live
from reconciler.ledger import locks
from reconciler.ledger.snapshot import LedgerSnapshot, NoteRecords
from reconciler.manifests.reader import read
from reconciler.plan import (
    build,
    canonical_json,
    hold_against,
    read_saved,
    saved,
    serialised,
    sha256_of,
)
from reconciler.policies.base import Facts
from reconciler.report.audit import of_entries, of_instant
from reconciler.report.records import full_row, log_row
from tests.fuzz.mutations import as_json, changed, mangled
from tests.support.bodies import make_body
from tests.support.engine import engine
from tests.support.factories import (
    NOW,
    make_desired,
    make_live,
    make_operation,
    make_origin,
    make_plan,
    make_skill_desired,
    make_snapshot,
)
from tests.support.gitfakes import START, operation, run, story
from tests.support.skills import platform

ROOT = Path(__file__).parent.parent.parent
COMMIT = "c" * 40


@dataclass(frozen=True)
class Target:
    """Something that reads from outside.

    Attributes:
        inputs: what may come.
        read: reads it.
    """

    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], object]

    def accepts(self, data: Any) -> bool:
        """Read an input; return whether it was taken. An error that is not of ours goes on."""
        try:
            self.read(data)
        except ReconcileError:
            return False
        return True


# --- manifests --------------------------------------------------------------------------------------------------------------

_FILES = sorted((ROOT / "schedules").glob("*/*.yaml"))
_TENANTS = tuple(each.read_bytes() for each in _FILES if each.name == "tenant.yaml")
_MANIFESTS = tuple(each.read_bytes() for each in _FILES if each.name != "tenant.yaml")


def _manifest(data: bytes) -> object:
    """Read a file as any file, as `tenant.yaml`, as what an earlier commit held, and as the manifest of a folder."""
    for reader in (
        lambda: read(data, "f.yaml", keep_places=True),
        lambda: manifests.read_settings(data, "tenant.yaml"),
        lambda: list(manifests.claims(data, "f.yaml")),
    ):
        _ours(reader)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "acme"
        folder.mkdir()
        (folder / "tenant.yaml").write_bytes(_TENANTS[0])
        (folder / "f.yaml").write_bytes(data)
        return manifests.load(folder)


def _ours(call: Callable[[], object]) -> None:
    try:
        call()
    except ReconcileError:
        return


# --- records ----------------------------------------------------------------------------------------------------------------


@functools.cache
def _ledger() -> tuple[dict[str, Any], ...]:
    """Return the fields of an honest ledger's records, one of each kind at least."""
    maker = run(COMMIT)
    begun, *middle, closed = story(maker, [operation(), operation("7")])
    events = [
        begun,
        *middle,
        maker.hold("1002", name="n", reason="r", until=START, body=make_body()),
        maker.release("1002", name="n", reason="r"),
        maker.superseded("d" * 40),
        maker.found(make_desired(), START),
        maker.nothing_to_do([]),
        maker.creating(),
        closed,
    ]
    records, last = [], None
    for event in events:
        last = audit.chain(event, last, len(records))
        records.append(last.fields())
    return tuple(records)


def _written(ledger: Any) -> bytes:
    """Return a note of records that say anything, with every hash right."""
    lines, prev = [], FIRST
    for fields in ledger if isinstance(ledger, list) else [ledger]:
        try:
            told = {**fields, "prev": prev}
            blank = {name: value for name, value in told.items() if name != "h"}
            text = canonical_json(blank)
            prev = hashlib.sha256(text.encode()).hexdigest()
            lines.append(canonical_json({**blank, "h": prev}).encode() + b"\n")
        except (TypeError, ValueError):  # no record at all, or no JSON
            lines.append(repr(fields).encode() + b"\n")
    return b"".join(lines)


def _records(data: bytes) -> object:
    """Read a note; ask everything that is asked of records, whether they hold to each other or not."""
    records, defects = audit.decode(COMMIT, data)
    audit.verify({COMMIT: records}, tenant="acme")
    book = LedgerSnapshot("h", "t", {COMMIT: NoteRecords("b", len(data), records, defects)})
    _ours(lambda: book.new_records([record.event for record in _honest()]))
    last = audit.applied(records)
    audit.open_generations(records), audit.open_intents(records), audit.judging_commits(records)
    audit.applied_commits(records), audit.standing(records, now=START)
    audit.holds(records, now=START)
    for each in records:
        log_row(each), full_row(each), audit.about([each], "1001")
        if each.kind is RecordKind.INTENT:
            audit.may_be_sent(records, each)
    of_entries("acme", audit.entries(records, since=START, until=START + timedelta(1)))
    of_instant("acme", "1001", ("1001",), START, records, {})
    for key, each in last.items():
        _planned(key, each)
    return defects


@functools.cache
def _honest() -> tuple[audit.Record, ...]:
    records, _ = audit.decode(COMMIT, _written(list(_ledger())))
    return records


def _planned(key: str, last: audit.Applied) -> None:
    """Plan against what a record says was applied: as it was stored, removed, and narrowed."""
    base = _base(last)
    desired = make_desired(key, body=make_body(campaign_id=key, dial_rate=20.0))
    for live in (make_live(key), Live(key, "x"), make_live(key, stored=make_body(dial_rate=1.0))):
        build(make_origin(), [desired], make_snapshot([live]), campaigns.KINDS, base={key: base})


# --- the lock, and the plan that was approved -------------------------------------------------------------------------------


def _lock(data: bytes) -> object:
    lock = locks.parse(b"tree 4b825dc\n\n" + data, COMMIT)
    lock.expired(NOW)
    return locks.refusal("acme", "refs/l", lock), locks.lost("acme", lock)


_LOCK = json.loads(locks.fresh("ci", "https://ci.example/7", "n", START).message())


def _saved() -> Iterator[Any]:
    yield saved(make_plan([make_operation(), make_operation("7")]))
    yield saved(make_plan([dataclasses.replace(make_operation(), desired=None, live=None)]))


def _forged(data: bytes) -> bytes:
    """Return a saved plan with the content hash that belongs to it: else every mutation would end at that."""
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        read = json.loads(data)
        rest = {name: value for name, value in read.items() if name != "content"}
        return json.dumps(rest | {"content": sha256_of(rest)}).encode()
    return data


def _approval(data: bytes) -> object:
    data = _forged(data)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        approval, whole = read_file(Path(file.name))
    with contextlib.suppress(ValueError):
        found = read_saved(whole)
        report_of(found.plan, found.remarks)
    return hold_against(make_plan([make_operation()]), approval)


# --- the platform's answers -------------------------------------------------------------------------------------------------

_ROUNDS = 40
"""Batches of requests after which a conversation with a platform that says odd things must have ended."""

Asked = tuple[str, str]


def _recorded(exchange: Exchange[Any], log: list[tuple[Asked, Any]]) -> Exchange[Any]:
    """Carry a conversation on, and write down what was answered."""
    try:
        calls = next(exchange)
        while True:
            replies = yield calls
            log += [
                ((call.method, call.path), reply.json)
                for call, reply in zip(calls, replies, strict=True)
            ]
            calls = exchange.send(replies)
    except StopIteration as end:
        return end.value


@functools.cache
def _campaigns_said() -> tuple[Any, ...]:
    with engine({"1001": make_body(), "1002": None}) as world:
        return _said(world.ask, campaigns, "1001")


@functools.cache
def _skills_said() -> tuple[Any, ...]:
    with platform() as world:
        return _said(world.ask, pc, "4001")


def _said(ask: Callable[[Any], Any], dialect: Any, key: str) -> tuple[Any, ...]:
    """Return what a platform answered in all conversations, as the one good input: `[[method, path, answer], …]`."""
    told: list[Any] = []
    for make in _conversations(dialect, key):
        log: list[tuple[Asked, Any]] = []
        ask(_recorded(make(), log))
        told += [[method, path, said] for (method, path), said in log]
    return (told,)


def _conversations(dialect: Any, key: str) -> tuple[Callable[[], Exchange[Any]], ...]:
    start = NOW - timedelta(days=1)
    return (
        dialect.read,
        lambda: dialect.read_one(key),
        lambda: dialect.read_some([key]),
        lambda: dialect.read_pages(lambda _: None),
        lambda: dialect.metrics(key, start, NOW),
    )


def _answers(dialect: Any, key: str, told: Any) -> object:
    """Hold every conversation with a platform that answers what was told, and plan from what it made of it."""
    if not isinstance(told, list):
        return None
    answers: dict[Any, list[Any]] = {}
    for each in told:
        if isinstance(each, list) and len(each) == 3 and isinstance(each[1], str):
            answers.setdefault(each[1], []).append(each[2])
    for make in _conversations(dialect, key):
        _ours(lambda make=make: _held(make(), answers))
    return _plan_from(_held(dialect.read(), answers), dialect, key)


def _held(exchange: Exchange[Any], answers: dict[Any, list[Any]]) -> Any:
    turns: dict[str, int] = {}
    try:
        calls = next(exchange)
        for _ in range(_ROUNDS):
            calls = exchange.send(tuple(_reply(call, answers, turns) for call in calls))
    except StopIteration as end:
        return end.value
    exchange.close()
    return None


def _reply(call: Any, answers: dict[Any, list[Any]], turns: dict[str, int]) -> Reply:
    said = answers.get(call.path)
    if said is None:
        return Reply(404, {}, None, NOW)
    at = turns[call.path] = turns.get(call.path, -1) + 1
    return Reply(200, {}, said[min(at, len(said) - 1)], NOW)


def _plan_from(snapshot: Any, dialect: Any, key: str) -> object:
    if snapshot is None:
        return None
    make = make_desired if dialect is campaigns else make_skill_desired
    desired = (make(key),)
    findings = policies.check_all(Facts(desired, dialect.KINDS, snapshot.at, snapshot), {})
    plan = build(make_origin(), desired, snapshot, dialect.KINDS, findings=findings)
    return plan.digest, json.dumps(serialised(plan))


def targets() -> dict[str, Target]:
    """Return everything that reads from outside, by name."""
    plans = tuple(_saved())
    notes = (*_ledger(), list(_ledger()))
    return {
        "manifest": Target(mangled((*_MANIFESTS, *_TENANTS)) | st.binary(max_size=200), _manifest),
        "record bytes": Target(
            mangled((_written(list(_ledger())),)) | st.binary(max_size=200), _records
        ),
        "record": Target(changed(notes).map(_written), _records),
        "lock": Target(
            changed((_LOCK,)).map(as_json) | mangled((as_json(_LOCK),)) | st.binary(), _lock
        ),
        "approved plan": Target(
            changed(plans).map(as_json)
            | mangled(tuple(json.dumps(each, indent=1).encode() for each in plans))
            | st.binary(max_size=200),
            _approval,
        ),
        "campaigns": Target(
            changed(_campaigns_said()), functools.partial(_answers, campaigns, "1001")
        ),
        "personal-connection": Target(
            changed(_skills_said()), functools.partial(_answers, pc, "4001")
        ),
    }
