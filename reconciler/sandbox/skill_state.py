"""A Personal Connection tenant: skills with three blocks of settings, DNC groups, a business unit. Knows no HTTP.

It shares with `campaign_state`: clock, clients, faults and the file. A write takes effect at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection, Row
from typing import Any, ClassVar, Final

from reconciler.sandbox import skill_rules as rules
from reconciler.sandbox.clock import iso, to_ms
from reconciler.sandbox.db import State
from reconciler.sandbox.errors import Conflict, Invalid, NotFound

SCHEDULE, ZONES, GENERAL = "schedule", "zones", "general"
BLOCKS: Final = (SCHEDULE, ZONES, GENERAL)

CONSOLE = "console"
"""Who wrote what the tenant was given, not asked to store."""

BUSINESS_UNIT: Final[Mapping[str, Any]] = {
    "businessUnitId": 1,
    "tenantId": "11ec0000-0000-0000-0000-000000000001",
    "outboundPortLimit": 400,
    "agentlessPortLimit": 50,
    "concurrentAgentLimit": 250,
    "allowPredictiveDialing": True,
    "enableSkillAbandonRate": True,
    "defaultTimeZone": "Eastern Standard Time",
}
"""What a new tenant's business unit says, but for its zones."""

KNOWN_ZONES: Final = {
    "Alaskan Standard Time": "(UTC-09:00) Alaska",
    "Central Standard Time": "(UTC-06:00) Central Time (US & Canada)",
    "Eastern Standard Time": "(UTC-05:00) Eastern Time (US & Canada)",
    "GMT Standard Time": "(UTC+00:00) Dublin, Edinburgh, Lisbon, London",
    "Hawaiian Standard Time": "(UTC-10:00) Hawaii",
    "Mountain Standard Time": "(UTC-07:00) Mountain Time (US & Canada)",
    "Pacific Standard Time": "(UTC-08:00) Pacific Time (US & Canada)",
    "US Mountain Standard Time": "(UTC-07:00) Arizona",
}
"""Windows names of the platform's zones, with what it shows for each."""

UNIT_ZONES: Final = tuple(name for name in KNOWN_ZONES if name != "GMT Standard Time")
"""The zones of a new tenant's business unit."""


class SkillState(State):
    """A tenant of the Personal Connection API. Make one with `SkillState.open`."""

    tables: ClassVar[str] = """
CREATE TABLE IF NOT EXISTS unit (one INTEGER PRIMARY KEY CHECK (one = 1), settings TEXT NOT NULL, zones TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS skills (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, outbound INTEGER NOT NULL, strategy TEXT NOT NULL, active INTEGER NOT NULL,
    running INTEGER NOT NULL, campaign_id INTEGER, schedule TEXT NOT NULL, zones TEXT NOT NULL, general TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dnc_groups (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, active INTEGER NOT NULL, removed INTEGER NOT NULL, records INTEGER NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS scrubbed (group_id INTEGER, skill_id INTEGER, PRIMARY KEY (group_id, skill_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contacts (skill_id INTEGER, start_ms INTEGER, figures TEXT NOT NULL, PRIMARY KEY (skill_id, start_ms)) WITHOUT ROWID;
"""
    emptied: ClassVar[tuple[str, ...]] = ("unit", "skills", "dnc_groups", "scrubbed", "contacts")

    # -- seeding

    def put_unit(self, *, zones: Sequence[str] = UNIT_ZONES, **settings: Any) -> None:
        """Replace the business unit: its time zones, and its fields. Fields that are not given get the value in `BUSINESS_UNIT`."""
        with self._writing() as (db, _):
            db.execute(
                "INSERT OR REPLACE INTO unit VALUES (1,?,?)",
                (json.dumps({**BUSINESS_UNIT, **settings}), json.dumps(list(zones))),
            )

    def put_skill(  # noqa: PLR0913 - a skill is made of these
        self,
        skill_id: int,
        name: str | None = None,
        *,
        running: bool = False,
        outbound: bool = True,
        strategy: str = "Personal Connection",
        active: bool = True,
        schedule: Mapping[str, Any] | None = None,
        zones: Mapping[str, tuple[str, str]] | None = None,
        general: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a skill, or change it, as if somebody had done so by hand.

        Args:
            skill_id: the skill.
            name: `Skill <id>` when `None`.
            running: the skill is dialing now, so a change of its pace takes effect at once.
            outbound: an outbound skill; otherwise inbound.
            strategy: dialing strategy. The blocks apply only to "Personal Connection".
            active: whether the skill is listed as active.
            schedule: fields of the schedule block that differ from `a_week`.
            zones: start and end by Windows zone; all of the unit's from 9 to 20 when `None`.
            general: fields of the general block that differ from `a_pace`.
        """
        windows = dict.fromkeys(UNIT_ZONES, ("09:00", "20:00")) if zones is None else zones
        blocks = (
            a_week() | dict(schedule or {}),
            [a_zone(zone, *hours) for zone, hours in sorted(windows.items())],
            a_pace() | dict(general or {}),
        )
        dialing = (outbound, strategy, active, running, 9000)
        row = (skill_id, name or f"Skill {skill_id}", *dialing, *map(json.dumps, blocks))
        with self._writing() as (db, _):
            db.execute("INSERT OR REPLACE INTO skills VALUES (?,?,?,?,?,?,?,?,?,?)", row)

    def put_group(
        self,
        group_id: int,
        name: str | None = None,
        *,
        active: bool = True,
        removed: bool = False,
        records: int = 1000,
        skills: Iterable[int] = (),
    ) -> None:
        """Add a DNC group, or change it, with the skills that it scrubs."""
        with self._writing() as (db, now):
            row = (group_id, name or f"Group {group_id}", active, removed, records, iso(now))
            db.execute("INSERT OR REPLACE INTO dnc_groups VALUES (?,?,?,?,?,?)", row)
            db.execute("DELETE FROM scrubbed WHERE group_id=?", (group_id,))
            db.executemany(
                "INSERT INTO scrubbed VALUES (?,?)", [(group_id, skill) for skill in skills]
            )

    def put_contacts(self, skill_id: int, start: datetime, figures: Mapping[str, float]) -> None:
        """Record one hour: `dials, connects, rightPartyConnects, abandons, connectsAHT`."""
        with self._writing() as (db, _):
            row = (skill_id, to_ms(start), json.dumps(dict(figures)))
            db.execute("INSERT OR REPLACE INTO contacts VALUES (?,?,?)", row)

    # -- reading

    @property
    def empty(self) -> bool:
        """Whether there is no skill."""
        with self._store.read() as db:
            return db.execute("SELECT 1 FROM skills LIMIT 1").fetchone() is None

    def unit(self) -> dict[str, Any]:
        """Return the business unit."""
        with self._store.read() as db:
            row = db.execute("SELECT * FROM unit").fetchone()
        settings, zones = (
            (BUSINESS_UNIT, UNIT_ZONES)
            if row is None
            else (json.loads(row["settings"]), json.loads(row["zones"]))
        )
        listed = [{"displayName": KNOWN_ZONES[name], "standardName": name} for name in zones]
        return {**settings, "timeZones": listed}

    def skills(self, *, active: bool | None = None, skip: int = 0, top: int = -1) -> list[Row]:
        """Return at most `top` skills, sorted by id, after skipping the first `skip`."""
        self.now_ms()
        query = "SELECT * FROM skills WHERE active=ifnull(?,active) ORDER BY id LIMIT ? OFFSET ?"
        with self._store.read() as db:
            return db.execute(query, (active, top, skip)).fetchall()

    def skill(self, skill_id: str) -> Row:
        """Return one skill.

        Raises:
            NotFound: there is none.
        """
        self.now_ms()
        with self._store.read() as db:
            return _skill(db, skill_id)

    def groups(self) -> list[Row]:
        """Return the DNC groups, by id."""
        with self._store.read() as db:
            return db.execute("SELECT * FROM dnc_groups ORDER BY id").fetchall()

    def scrubbed(self, group_id: str, skip: int = 0, top: int = -1) -> list[int]:
        """Return the skills that a group scrubs.

        Raises:
            NotFound: no such group.
        """
        query = "SELECT skill_id FROM scrubbed WHERE group_id=? ORDER BY 1 LIMIT ? OFFSET ?"
        with self._store.read() as db:
            found = db.execute(query, (_group(db, group_id)["id"], top, skip)).fetchall()
        return [skill for (skill,) in found]

    def contacts(self, start: datetime, end: datetime) -> list[Row]:
        """Return the hours of [start, end) of every skill."""
        query = (
            "SELECT * FROM contacts WHERE start_ms>=? AND start_ms<? ORDER BY start_ms, skill_id"
        )
        with self._store.read() as db:
            return db.execute(query, (to_ms(start), to_ms(end))).fetchall()

    # -- writing, for clients

    def write(self, skill_id: str, block: str, value: Any, client: str) -> list[dict[str, Any]]:
        """Replace a whole block, effective at once. Return the rejected entries; only the zones block can be stored in part.

        Raises:
            NotFound: no such skill.
            Invalid: the block is not valid, and nothing is stored.
        """
        with self._writing() as (db, now):
            row, failed = _skill(db, skill_id), list[dict[str, Any]]()
            if block == SCHEDULE:
                rules.check_schedule(value)
            elif block == GENERAL:
                rules.check_general(value, predictive=bool(self.unit()["allowPredictiveDialing"]))
            else:
                value, failed = self._zones(value)
            db.execute(
                f"UPDATE skills SET {block}=? WHERE id=?",  # noqa: S608 - a constant of ours
                (json.dumps(value), row["id"]),
            )
            _note(db, now, block.upper(), row["id"], client, value)
        return failed

    def link(self, group_id: str, skill_id: str, client: str) -> None:
        """Make a DNC group scrub a skill.

        Raises:
            NotFound: no such group or skill.
            Conflict: the group already scrubs the skill.
        """
        with self._writing() as (db, now):
            pair = _group(db, group_id)["id"], _skill(db, skill_id)["id"]
            if db.execute(
                "SELECT 1 FROM scrubbed WHERE group_id=? AND skill_id=?", pair
            ).fetchone():
                raise Conflict("the group scrubs this skill already")
            db.execute("INSERT INTO scrubbed VALUES (?,?)", pair)
            _note(db, now, "LINKED", pair[1], client, pair[0])

    def unlink(self, group_id: str, skill_id: str, client: str) -> None:
        """Stop a DNC group from scrubbing a skill.

        Raises:
            NotFound: the group does not scrub the skill.
        """
        with self._writing() as (db, now):
            pair = _group(db, group_id)["id"], _skill(db, skill_id)["id"]
            gone = db.execute("DELETE FROM scrubbed WHERE group_id=? AND skill_id=?", pair)
            if not gone.rowcount:
                raise NotFound("the group does not scrub this skill")
            _note(db, now, "UNLINKED", pair[1], client, pair[0])

    def stop(self, skill_id: str, client: str) -> None:
        """Stop a skill, a moment later.

        Raises:
            NotFound: no such skill.
            Conflict: the skill is not running.
        """
        with self._writing() as (db, now):
            row = _skill(db, skill_id)
            if not row["running"]:
                raise Conflict("the skill is not running")
            _note(db, now, "STOP", row["id"], client, None)
            due = now + round(self._settings(db).activation_s * 1000)
            db.execute(
                "INSERT INTO pending (due_ms, job, campaign_id) VALUES (?,'stop',?)",
                (due, str(row["id"])),
            )

    # -- queries for tests

    def journal(self, skill_id: int | None = None) -> list[tuple[str, int, str]]:
        """Return the writes of clients, in order: action, skill and client."""
        wanted = None if skill_id is None else str(skill_id)
        query = "SELECT * FROM journal WHERE campaign_id=ifnull(?,campaign_id) ORDER BY n"
        with self._store.read() as db:
            rows = db.execute(query, (wanted,)).fetchall()
        return [(row["action"], int(row["campaign_id"]), row["client"]) for row in rows]

    # -- internal

    def _settle(self, db: Connection, now: int) -> None:
        due = db.execute("SELECT * FROM pending WHERE due_ms<=? ORDER BY n", (now,)).fetchall()
        for job in due:
            db.execute("UPDATE skills SET running=0 WHERE id=?", (int(job["campaign_id"]),))
            db.execute("DELETE FROM pending WHERE n=?", (job["n"],))

    def _zones(self, value: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the zones to store, and the rejected entries. Zones of the business unit without a valid entry are stored as switched off."""
        if not isinstance(value, list):
            raise Invalid([("timeZoneSettings", "must be a list")])
        known = {zone["standardName"] for zone in self.unit()["timeZones"]}
        taken, failed = dict[str, dict[str, Any]](), []
        for item in value:
            wrong = rules.check_zone(item)
            name = item.get("standardName") if isinstance(item, dict) else None
            if wrong is None and name not in known:
                wrong = "the business unit has no such time zone"
            if wrong is None and name in taken:
                wrong = "the zone is given twice"
            if wrong is None:
                taken[str(name)] = item
            else:
                failed.append({"standardName": name, "success": False, "error": wrong})
        off = [a_zone(name, "00:00", "00:00", active=False) for name in known - set(taken)]
        return sorted([*taken.values(), *off], key=lambda zone: str(zone["standardName"])), failed


def a_week(start: str = "08:00", end: str = "21:00") -> dict[str, Any]:
    """Build a schedule block with the same start and end time on every day."""
    days = {
        f"{day}{part}": value
        for day in rules.DAYS
        for part, value in (("StartTime", start), ("EndTime", end), ("IsActive", True))
    }
    return {"isScheduled": True, **days}


def a_zone(name: str, start: str, end: str, *, active: bool = True) -> dict[str, Any]:
    """Build the entry of one time zone for a zones block."""
    return {
        "standardName": name,
        "startTime": start,
        "endTime": end,
        "timeZoneActiveToCall": active,
        "overrideTime": False,
    }


def a_pace(ratio: float = 1.5) -> dict[str, Any]:
    """Build a general block (pacing settings)."""
    return {
        "maximumRatio": ratio,
        "minimumRatio": 1,
        "aggressiveness": "5",
        "blockMultipleCalls": True,
        "percentageOfAgentsBeforeOverdial": 20,
        "abandonRateThreshold": 3,
        "abandonRateCutoff": 5,
        "overrideBusinessUnitAbandonRate": False,
        "maximumRingingDuration": 25,
        "callerIdOverride": "+12125550100",
    }


def _skill(db: Connection, skill_id: str) -> Row:
    row = _row(db, "SELECT * FROM skills WHERE id=?", skill_id)
    if row is None:
        raise NotFound(f"SkillId {skill_id} does not exist")
    return row


def _group(db: Connection, group_id: str) -> Row:
    row = _row(db, "SELECT * FROM dnc_groups WHERE id=?", group_id)
    if row is None:
        raise NotFound(f"DncGroupId {group_id} does not exist")
    return row


def _row(db: Connection, query: str, number: str) -> Row | None:
    if not (number.isascii() and number.isdigit() and len(number) < 16):  # noqa: PLR2004 - beyond any id
        return None
    found: Row | None = db.execute(query, (int(number),)).fetchone()
    return found


def _note(db: Connection, at: int, action: str, skill_id: int, client: str, body: Any) -> None:
    db.execute(
        "INSERT INTO journal (at_ms, action, campaign_id, schedule_id, client, body) VALUES (?,?,?,NULL,?,?)",
        (at, action, str(skill_id), client, json.dumps(body)),
    )
