"""How schedules change: keys, preconditions, store and remove, refresh, activation. Source of every rule: the contract.

All functions run in one open transaction and never wait. A later effect (an activation, or a write that is executed after
its answer) is a row in `pending` with its due time. The next access to the state executes it as of that time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from sqlite3 import Connection, Row
from typing import Any

from reconciler.sandbox import campaign_rules as rules
from reconciler.sandbox.clock import iso
from reconciler.sandbox.errors import (
    Conflict,
    Failed,
    Invalid,
    KeyReused,
    NotFound,
    PreconditionFailed,
)

KEY_LIFE_MS = 24 * 3600 * 1000
"""How long an answer is kept under its key."""

_KEY = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_ETAGS = re.compile(r'\s*(W/)?"[\x21\x23-\x7e]*"\s*(,\s*(W/)?"[\x21\x23-\x7e]*"\s*)*')
_ETAG = re.compile(r'(W/)?("[\x21\x23-\x7e]*")')


@dataclass(frozen=True, slots=True)
class Result:
    """An answer to a write: `body` is JSON text, empty for none."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an idempotency key is scoped to, and the fingerprint of the body it came with."""

    client: str
    method: str
    path: str
    key: str
    fingerprint: str

    @property
    def scope(self) -> tuple[str, str, str, str]:
        """Client, method, path and key: what two requests with the same key share."""
        return self.client, self.method, self.path, self.key


@dataclass(frozen=True, slots=True)
class Conditions:
    """`If-Match` and `If-None-Match` as sent."""

    if_match: str | None = None
    if_none_match: str | None = None


@dataclass(frozen=True, slots=True)
class Mishap:
    """An injected fault of a write: the platform answers 500.

    Attributes:
        commit: whether the write is executed nevertheless. The 500 is stored under the idempotency key in any case.
        late_ms: milliseconds after which the write is executed instead; until then the key counts as in flight.
    """

    commit: bool = False
    late_ms: int | None = None


def make_ticket(client: str, method: str, path: str, key: str | None, raw: bytes) -> Ticket:
    """Return the ticket of a write.

    Raises:
        Invalid: no key, or not a bare token of at most 64 characters.
    """
    if key is None:
        raise Invalid([("Idempotency-Key", "is required")])
    if not _KEY.fullmatch(key):
        raise Invalid([("Idempotency-Key", "must be a bare token of at most 64 characters")])
    return Ticket(client, method, path, key, fingerprint(raw))


def fingerprint(raw: bytes) -> str:
    """Return the fingerprint by which two bodies are compared: of the JSON value, or of the bytes if the body is not JSON."""
    with contextlib.suppress(Invalid):
        raw = json.dumps(rules.load(raw), sort_keys=True).encode()
    return hashlib.sha256(raw).hexdigest()


def replay(db: Connection, now: int, ticket: Ticket) -> Result | None:
    """Return the answer stored under the idempotency key.

    Raises:
        KeyReused: the key was used for another body.
        Conflict: the first request with the key is still being executed.
    """
    row = db.execute(
        "SELECT * FROM keys WHERE client=? AND method=? AND path=? AND key=? AND made_ms>?",
        (*ticket.scope, now - KEY_LIFE_MS),
    ).fetchone()
    if row is None:
        return None
    if row["fingerprint"] != ticket.fingerprint:
        raise KeyReused("this Idempotency-Key was used for another body")
    if row["status"] is None:
        raise Conflict("a request with this Idempotency-Key is in flight")
    return Result(row["status"], row["body"], json.loads(row["headers"]))


def remember(db: Connection, now: int, ticket: Ticket | None, result: Result | None) -> None:
    """Store an answer under its idempotency key; `None` marks the key as in flight."""
    if ticket is None:
        return
    answer: tuple[object, ...] = (None, None, None)
    if result is not None:
        answer = (result.status, json.dumps(dict(result.headers)), result.body)
    db.execute(
        "INSERT OR REPLACE INTO keys VALUES (?,?,?,?,?,?,?,?,?)",
        (*ticket.scope, ticket.fingerprint, now, *answer),
    )


def campaign(db: Connection, campaign_id: str) -> Row:
    """Return a campaign's row.

    Raises:
        NotFound: there is none.
    """
    row: Row | None = db.execute("SELECT * FROM campaigns WHERE id=?", (campaign_id,)).fetchone()
    if row is None:
        raise NotFound("campaign not found")
    return row


def check_body(
    raw: bytes | None, campaign_id: str, limits: Mapping[str, float]
) -> dict[str, Any] | None:
    """Return the schedule that was sent; `None` for a removal.

    Raises:
        Invalid: lists every wrong field.
    """
    if raw is None:
        return None
    body = rules.load(raw)
    errors = rules.check_schedule(body, campaign_id, limits)
    if errors:
        raise Invalid(errors)
    return dict(body)


def check_conditions(row: Row, conditions: Conditions) -> None:
    """Check the request's `If-Match` and `If-None-Match` against the stored schedule.

    Raises:
        PreconditionFailed: the stored schedule does not match.
        Invalid: a header is malformed.
    """
    stored = row["schedule_id"]
    if conditions.if_none_match is not None:
        if conditions.if_none_match.strip() != "*":
            raise Invalid([("If-None-Match", "must be * on a write")])
        if stored is not None:
            raise PreconditionFailed("the campaign has a schedule")
    if conditions.if_match is not None and not matches(conditions.if_match, stored, weak=False):
        raise PreconditionFailed("the stored schedule is another one")


def matches(header: str, stored: str | None, *, weak: bool) -> bool:
    """Whether an entity-tag list names what is stored (RFC 9110 §13.1).

    Args:
        header: `*` or a list of entity tags.
        stored: id of what is stored.
        weak: compare weakly, as `If-None-Match` does.

    Raises:
        Invalid: the header is malformed.
    """
    if header.strip() == "*":
        return stored is not None
    if not _ETAGS.fullmatch(header):
        raise Invalid([("If-None-Match" if weak else "If-Match", 'must be * or quoted: "<id>"')])
    return any(
        tag == etag(stored) and (weak or not prefix) for prefix, tag in _ETAG.findall(header)
    )


def etag(schedule_id: str | None) -> str | None:
    """Return the entity tag of a stored schedule, quotes included."""
    return None if schedule_id is None else f'"{schedule_id}"'


def execute(db: Connection, now: int, row: Row, body: dict[str, Any] | None, client: str) -> Result:
    """Store a schedule under a new id, or remove the stored one when `body` is `None`."""
    campaign_id, new = row["id"], None
    if body is None:
        document, result = None, Result(204)
        note(db, now, "REMOVED", campaign_id, row["schedule_id"], client)
    else:
        new = schedule_id(reserve_ids(db, 1) - 1)
        document = stamped(body, new, now, client)
        result = Result(201, document, {"ETag": f'"{new}"'})
        note(db, now, "STORED", campaign_id, new, client, json.dumps(body))
    db.execute(
        "UPDATE campaigns SET schedule_id=?, schedule=? WHERE id=?",
        (new, document, campaign_id),
    )
    return result


def blunder(
    db: Connection,
    now: int,
    row: Row,
    body: dict[str, Any] | None,
    ticket: Ticket | None,
    client: str,
    how: Mishap,
) -> Result:
    """Inject the fault `how`, and answer 500."""
    if how.late_ms is not None:
        scope = ticket and [*ticket.scope, ticket.fingerprint]
        job = {"body": body, "client": client, "ticket": scope}
        later(db, now + how.late_ms, "commit", row["id"], json.dumps(job))
        remember(db, now, ticket, None)
        return Result(500)
    if how.commit:
        execute(db, now, row, body, client)
    remember(db, now, ticket, Result(500))
    return Result(500)


def refresh(db: Connection, now: int, campaign_id: str, client: str, delay_ms: int) -> None:
    """Schedule the activation of the stored schedule in `delay_ms` milliseconds. The schedule that is stored at that time becomes active.

    Raises:
        NotFound: no such campaign.
        Failed: a linked list is SYNCING.
    """
    row = campaign(db, campaign_id)
    for each in lists_of(db, campaign_id):
        if each["status"] == "SYNCING":
            raise Failed(f"DNC list {each['id']} is SYNCING")
    note(db, now, "REFRESHED", campaign_id, row["schedule_id"], client)
    if row["active_id"] != row["schedule_id"]:
        later(db, now + delay_ms, "activate", campaign_id)


def lists_of(db: Connection, campaign_id: str) -> list[Row]:
    """Return the DNC lists that are linked to a campaign."""
    query = (
        "SELECT lists.* FROM links JOIN lists ON lists.id=list_id WHERE campaign_id=? ORDER BY 1"
    )
    return db.execute(query, (campaign_id,)).fetchall()


def settle(db: Connection, now: int) -> None:
    """Execute all pending jobs that are due, in order, each as of its due time."""
    query = "SELECT * FROM pending WHERE due_ms<=? ORDER BY due_ms, n"
    for job in db.execute(query, (now,)).fetchall():
        db.execute("DELETE FROM pending WHERE n=?", (job["n"],))
        if job["job"] == "activate":
            _activate(db, job["due_ms"], job["campaign_id"])
        else:
            _commit(db, job)


def _activate(db: Connection, at: int, campaign_id: str) -> None:
    row: Row | None = db.execute("SELECT * FROM campaigns WHERE id=?", (campaign_id,)).fetchone()
    if row is None or row["active_id"] == row["schedule_id"]:
        return
    db.execute(
        "UPDATE campaigns SET active_id=schedule_id, activated_at=? WHERE id=?",
        (iso(at), campaign_id),
    )
    note(db, at, "ACTIVATED", campaign_id, row["schedule_id"], None, body_of(row["schedule"]))


def _commit(db: Connection, job: Row) -> None:
    late = json.loads(job["detail"])
    row = campaign(db, job["campaign_id"])
    result = execute(db, job["due_ms"], row, late["body"], late["client"])
    remember(db, job["due_ms"], late["ticket"] and Ticket(*late["ticket"]), result)


def body_of(document: str | None) -> str | None:
    """Return a stored document without the platform's own fields, as JSON text."""
    if document is None:
        return None
    stored = json.loads(document)
    return json.dumps({k: v for k, v in stored.items() if k in rules.FIELDS})


def later(db: Connection, due: int, job: str, campaign_id: str, detail: str | None = None) -> None:
    """Schedule a job for the time `due` on the platform's clock."""
    db.execute(
        "INSERT INTO pending (due_ms, job, campaign_id, detail) VALUES (?,?,?,?)",
        (due, job, campaign_id, detail),
    )


def schedule_id(number: int) -> str:
    """Return the id of the `number`th schedule."""
    return f"sch-{number:06d}"


def reserve_ids(db: Connection, count: int = 0) -> int:
    """Return the number of the next schedule after taking `count` of them."""
    db.execute("UPDATE meta SET value=value+? WHERE name='schedules'", (count,))
    (taken,) = db.execute("SELECT value FROM meta WHERE name='schedules'").fetchone()
    return int(taken) + 1


def stamped(body: Mapping[str, Any], schedule_id: str, now: int, client: str) -> str:
    """Return a schedule with the platform's own fields, as JSON text."""
    stamps = {"id": schedule_id, "updated_at": iso(now), "updated_by": client}
    return json.dumps({**body, **stamps}, separators=(",", ":"))


ADD_NOTE = "INSERT INTO journal (at_ms, action, campaign_id, schedule_id, client, body) VALUES (?,?,?,?,?,?)"


def note(
    db: Connection,
    at: int,
    action: str,
    campaign_id: str,
    schedule_id: str | None,
    client: str | None,
    body: str | None = None,
) -> None:
    """Add an entry to a campaign's history."""
    db.execute(ADD_NOTE, (at, action, campaign_id, schedule_id, client, body))
