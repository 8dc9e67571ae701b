"""State and rules of a campaigns platform, apart from HTTP: one method for each operation of the API, and queries for tests.

A platform lives in memory or in a file. Two processes may use one file at once; there is no global state. Every instant comes
from the platform's clock (`clock`). Every method first executes pending events that are due.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection, Row
from typing import Any

from reconciler.sandbox import writes
from reconciler.sandbox.clock import Reading, from_ms, iso, to_ms
from reconciler.sandbox.db import Credentials, Settings, State, credentials
from reconciler.sandbox.errors import Conflict, Failed, NotFound
from reconciler.sandbox.faults import Faults
from reconciler.sandbox.store import Store
from reconciler.sandbox.writes import Conditions, Mishap, Result, Ticket

__all__ = ["CampaignState", "Credentials", "Entry", "Settings", "credentials"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the history of a campaign.

    Attributes:
        at: the platform's clock.
        action: `STORED`, `REMOVED`, `REFRESHED` or `ACTIVATED`.
        schedule_id: stored, removed or now active; `None` when nothing is active.
        client: the client that made the request; `None` for an activation.
        body: the schedule that was stored or is now active.
    """

    at: datetime
    action: str
    campaign_id: str
    schedule_id: str | None
    client: str | None
    body: dict[str, Any] | None


CONSOLE = "console"
"""Who wrote what the platform was given, not asked to store."""

_ADD_CAMPAIGN = (
    "INSERT INTO campaigns (id, name, status, schedule_id, schedule, active_id, activated_at)"
    " VALUES (?,?,'RUNNING',?,?,?,?) ON CONFLICT (id) DO UPDATE SET name=excluded.name,"
    " schedule_id=excluded.schedule_id, schedule=excluded.schedule,"
    " active_id=excluded.active_id, activated_at=excluded.activated_at"
)


class CampaignState(State):
    """A tenant of the campaigns API. Make one with `CampaignState.open`."""

    def __init__(self, store: Store, reading: Reading, faults: Faults) -> None:
        super().__init__(store, reading, faults)
        self._claims: set[tuple[str, str, str, str]] = set()

    # -- seeding

    def put_campaign(
        self,
        campaign_id: str,
        name: str | None = None,
        *,
        status: str = "RUNNING",
        schedule: Mapping[str, Any] | None = None,
        active: bool = True,
    ) -> None:
        """Add a campaign, or rename it; with a schedule, as if somebody had stored it by hand (and the dialer taken it)."""
        with self._writing() as (db, now):
            db.execute(
                "INSERT INTO campaigns (id, name, status) VALUES (?,?,?)"
                " ON CONFLICT (id) DO UPDATE SET name=excluded.name, status=excluded.status",
                (campaign_id, name or f"Campaign {campaign_id}", status),
            )
            if schedule is not None:
                writes.execute(db, now, writes.campaign(db, campaign_id), dict(schedule), CONSOLE)
                if active:
                    writes.later(db, now, "activate", campaign_id)
                    writes.settle(db, now)

    def put_campaigns(self, schedules: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Add many campaigns, as (id, name, schedule), stored and active: one commit, a few statements."""
        with self._writing() as (db, now):
            rows, notes = [], list[tuple[object, ...]]()
            first = writes.reserve_ids(db)
            for number, (campaign_id, name, body) in enumerate(schedules, first):
                schedule_id = writes.schedule_id(number)
                document = writes.stamped(body, schedule_id, now, CONSOLE)
                text = json.dumps(body)
                rows.append((campaign_id, name, schedule_id, document, schedule_id, iso(now)))
                notes.append((now, "STORED", campaign_id, schedule_id, CONSOLE, text))
                notes.append((now, "ACTIVATED", campaign_id, schedule_id, None, text))
            db.executemany(_ADD_CAMPAIGN, rows)
            db.executemany(writes.ADD_NOTE, notes)
            writes.reserve_ids(db, len(rows))

    def put_list(
        self,
        list_id: str,
        name: str | None = None,
        *,
        status: str = "ACTIVE",
        campaign_ids: Sequence[str] = (),
    ) -> None:
        """Add a DNC list, or change it; `status` is `ACTIVE`, `SYNCING` or `INACTIVE`."""
        with self._writing() as (db, now):
            db.execute(
                "INSERT OR REPLACE INTO lists VALUES (?,?,?,?)",
                (list_id, name or f"List {list_id}", status, iso(now)),
            )
            db.execute("DELETE FROM links WHERE list_id=?", (list_id,))
            db.executemany(
                "INSERT OR IGNORE INTO links VALUES (?,?)", [(c, list_id) for c in campaign_ids]
            )

    def put_metrics(self, campaign_id: str, start: datetime, bucket: Mapping[str, float]) -> None:
        """Record one hour of a campaign: `attempts, answers, abandons, agents, handle_time_s`."""
        with self._store.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO metrics VALUES (?,?,?)",
                (campaign_id, to_ms(start), json.dumps(dict(bucket))),
            )

    # -- reading

    def campaign_page(self, page: int, size: int) -> tuple[list[Row], int]:
        """Return one page of campaigns by id, and how many there are."""
        query = (
            "SELECT c.* FROM campaigns c JOIN (SELECT id FROM campaigns ORDER BY id LIMIT ? OFFSET ?)"
            " USING (id) ORDER BY id"
        )
        self.now_ms()
        return self._page(query, "campaigns", page, size)

    def list_page(self, page: int, size: int) -> tuple[list[dict[str, Any]], int]:
        """Return one page of DNC lists by id, each with its `campaign_ids`, and how many there are."""
        query = "SELECT * FROM lists ORDER BY id LIMIT ? OFFSET ?"
        now = self.now_ms()
        with self._store.read() as db:
            rows, total = self._page(query, "lists", page, size)
            links = "SELECT campaign_id FROM links WHERE list_id=? ORDER BY 1"
            found = [
                dict(r) | {"campaign_ids": [c for (c,) in db.execute(links, (r["id"],))]}
                for r in rows
            ]
        for each in found:
            if self.faults.syncing(each["id"], now):
                each["status"] = "SYNCING"
        return found, total

    def campaign(self, campaign_id: str) -> Row:
        """Return a campaign: `id, name, status, schedule_id, schedule` (JSON text), `active_id, activated_at`.

        Raises:
            NotFound: there is none.
        """
        self.now_ms()
        with self._store.read() as db:
            return writes.campaign(db, campaign_id)

    def metrics(self, campaign_id: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Return the hours of [start, end) that have data.

        Raises:
            NotFound: no such campaign.
        """
        query = "SELECT * FROM metrics WHERE campaign_id=? AND start_ms>=? AND start_ms<? ORDER BY start_ms"
        with self._store.read() as db:
            writes.campaign(db, campaign_id)
            rows = db.execute(query, (campaign_id, to_ms(start), to_ms(end))).fetchall()
        return [
            {"start": iso(r["start_ms"]).replace(".000", "")} | json.loads(r["bucket"])
            for r in rows
        ]

    # -- writing

    def write_schedule(
        self,
        campaign_id: str,
        raw: bytes | None,
        *,
        client: str,
        ticket: Ticket | None,
        conditions: Conditions,
        vet: Callable[[], None] = lambda: None,
        mishap: Mishap | None = None,
    ) -> Result:
        """Store a schedule, or remove the stored one. Key replay, validation, precondition and execution are one transaction.

        Args:
            campaign_id: the campaign.
            raw: the request body; `None` removes the stored schedule.
            client: id of the client that sent the request.
            ticket: scope of the idempotency key; `None` on a platform without keys.
            conditions: `If-Match`, `If-None-Match`.
            vet: further validation of the request, called after the replay and before the body is checked; raises a `Refusal`.
            mishap: the fault to inject; `None` for none.

        Raises:
            Refusal: anything that the contract lists.
        """
        with self._writing() as (db, now):
            kept = None if ticket is None else writes.replay(db, now, ticket)
            if kept is not None:
                return kept
            vet()
            row = writes.campaign(db, campaign_id)
            body = writes.check_body(raw, campaign_id, self._settings(db).ceilings)
            if raw is None and row["schedule_id"] is None:
                raise NotFound("the campaign has no schedule")
            writes.check_conditions(row, conditions)
            if mishap is not None:
                return writes.blunder(db, now, row, body, ticket, client, mishap)
            result = writes.execute(db, now, row, body, client)
            writes.remember(db, now, ticket, result)
            return result

    @contextmanager
    def claim(self, ticket: Ticket | None) -> Iterator[None]:
        """Hold an idempotency key while a slow request is executed. Other requests with the same key get 409.

        Raises:
            Conflict: another request holds the key.
        """
        if ticket is None:
            yield
            return
        if ticket.scope in self._claims:
            raise Conflict("a request with this Idempotency-Key is in flight")
        self._claims.add(ticket.scope)
        try:
            yield
        finally:
            self._claims.discard(ticket.scope)

    def replay(self, ticket: Ticket) -> Result | None:
        """Return the answer stored under an idempotency key, if any. Raises as `writes.replay`."""
        now = self.now_ms()
        with self._store.read() as db:
            return writes.replay(db, now, ticket)

    def refresh(self, campaign_id: str, client: str) -> None:
        """Make the dialer take the stored schedule after the activation delay.

        Raises:
            NotFound: no such campaign.
            Failed: a linked list is SYNCING.
        """
        with self._writing() as (db, now):
            for each in writes.lists_of(db, campaign_id):
                if self.faults.syncing(each["id"], now):
                    raise Failed(f"DNC list {each['id']} is SYNCING")
            delay = round(self._settings(db).activation_s * 1000)
            writes.refresh(db, now, campaign_id, client, delay)

    def take_events(self, events: Sequence[Mapping[str, Any]]) -> int:
        """Record telemetry; return how many were new. The same `id` counts once."""
        with self._store.write() as db:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO events (id, event) VALUES (?,?)",
                [(e["id"], json.dumps(e)) for e in events],
            )
            return db.total_changes - before

    # -- queries for tests

    def journal(self, campaign_id: str | None = None, action: str | None = None) -> list[Entry]:
        """Return the history in order, optionally of one campaign or of one action."""
        self.now_ms()
        query = "SELECT * FROM journal WHERE campaign_id=ifnull(?,campaign_id) AND action=ifnull(?,action) ORDER BY n"
        with self._store.read() as db:
            return [_entry(row) for row in db.execute(query, (campaign_id, action))]

    def executed(self, campaign_id: str | None = None, action: str = "STORED") -> int:
        """Return how many writes were executed by clients (not by the console, and no replays)."""
        return sum(e.client != CONSOLE for e in self.journal(campaign_id, action))

    def active_history(self, campaign_id: str) -> list[tuple[datetime, dict[str, Any] | None]]:
        """Return the history of active schedules: start and body of each; a body of `None` means silence."""
        return [(e.at, e.body) for e in self.journal(campaign_id, "ACTIVATED")]

    @property
    def empty(self) -> bool:
        """Whether there is no campaign."""
        with self._store.read() as db:
            return db.execute("SELECT 1 FROM campaigns LIMIT 1").fetchone() is None

    def events(self) -> list[dict[str, Any]]:
        """Return the telemetry that was taken, in order."""
        with self._store.read() as db:
            return [json.loads(e) for (e,) in db.execute("SELECT event FROM events ORDER BY n")]

    # -- internal

    def _settle(self, db: Connection, now: int) -> None:
        writes.settle(db, now)

    def _page(self, query: str, table: str, page: int, size: int) -> tuple[list[Row], int]:
        with self._store.read() as db:
            rows = db.execute(query, (size, (page - 1) * size)).fetchall()
            (total,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a constant of ours
        return rows, total


def _entry(row: Row) -> Entry:
    body = row["body"] and json.loads(row["body"])
    at = from_ms(row["at_ms"])
    return Entry(at, row["action"], row["campaign_id"], row["schedule_id"], row["client"], body)
