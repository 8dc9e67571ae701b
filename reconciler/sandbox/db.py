"""Base of every sandbox platform: state file, clock, settings, clients and tokens, faults.

This module contains nothing about campaigns or skills: `campaign_state` and `skill_state` add the content of one API.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Any, ClassVar, Self

from reconciler.sandbox import tokens
from reconciler.sandbox.clock import Reading, from_ms, parse_instant, to_ms, utc_now
from reconciler.sandbox.errors import BadGrant, SandboxError, Unauthorized
from reconciler.sandbox.faults import Faults
from reconciler.sandbox.store import EMPTIED, Store

READ_SCOPES = ("campaigns:read", "dialer:read", "dnc:read")
SCOPES = (*READ_SCOPES, "campaigns:write", "telemetry:write")
"""Every scope of the contract."""

TOKEN_S = 1800
"""Life of a token, fixed by the contract."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a platform.

    Attributes:
        max_dial_rate: the tenant's limit, calls per second; `None` leaves the key out and the contract's 50 holds.
        max_concurrent_calls: the tenant's limit; `None` leaves the key out and the contract's 2000 holds.
        activation_s: seconds from an accepted refresh to the dialer having taken it.
        requests_per_second: rate limit of one process; 0 switches it off.
        burst: requests that may come at once.
    """

    max_dial_rate: float | None = 50
    max_concurrent_calls: int | None = 2000
    activation_s: float = 0.25
    requests_per_second: float = 50
    burst: int = 100

    @property
    def ceilings(self) -> dict[str, float]:
        """The effective limits: those set, else the contract's defaults."""
        rate, calls = self.max_dial_rate, self.max_concurrent_calls
        return {
            "max_dial_rate": 50 if rate is None else rate,
            "max_concurrent_calls": 2000 if calls is None else calls,
        }


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client of the platform. Public: this is a sandbox."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its client, its scopes, and its expiry in seconds since 1970 on the platform's clock."""

    client: str
    scopes: frozenset[str]
    expires: float
    value: str = field(repr=False)


class State:
    """A platform without content. Make one with `open`.

    Attributes:
        faults: what goes wrong, in this process alone (`faults`).
        traffic: answers by (method, route, status); status 0 is a dropped connection. Counted by the HTTP side.
    """

    tables: ClassVar[str] = ""
    """What one API's content needs beside the store's own tables: statements that may be repeated."""

    emptied: ClassVar[tuple[str, ...]] = ()
    """Those of them that a reset empties."""

    def __init__(self, store: Store, reading: Reading, faults: Faults) -> None:
        self._store = store
        self._reading = reading
        self._revoked: set[str] = set()
        self._key = b""
        self.faults = faults
        self.traffic: Counter[tuple[str, str, int]] = Counter()

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        clock: str | datetime | None = None,
        settings: Settings | None = None,
        faults: Sequence[str] = (),
        fault_seed: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Open a platform, or make an empty one with its clients.

        Args:
            path: state file; `None` keeps it in memory.
            clock: `"system"`, or the instant to pin a new platform to; `None` leaves the clock as the state has it (a new
                state: the system's). A pinned clock only ever moves forward.
            settings: new settings; `None` keeps those in the state file.
            faults: specifications (`faults`).
            fault_seed: of the faults' probabilities.
            monotonic: seconds that only grow; drives a pinned clock.
            now: the system's time.

        Raises:
            SandboxError: the file or the clock cannot be used.
            FaultError: a specification is wrong.
        """
        box = Faults(faults, seed=fault_seed)
        state = cls(Store(path), Reading(monotonic, now), box)
        with state._store.write() as db:
            if not db.execute("SELECT 1 FROM clients").fetchone():
                _found(db)
            for statement in filter(str.strip, cls.tables.split(";")):
                db.execute(statement)
            state._key = bytes.fromhex(_meta(db, "token_key"))
        if settings is not None:
            state.configure(settings)
        if clock is not None:
            state.pin(clock)
        return state

    def close(self) -> None:
        """Close the state file."""
        self._store.close()

    # -- clock and settings

    def now_ms(self) -> int:
        """Return the platform's time in milliseconds since 1970 UTC, after executing pending events that are due."""
        with self._store.read() as db:
            mark = _mark(db)
            now = self._reading.read(mark)
            due = db.execute("SELECT 1 FROM pending WHERE due_ms<=? LIMIT 1", (now,)).fetchone()
        # A `Date` has whole seconds. Store that second before it is shown, so that every process knows it.
        if due or (mark is not None and now // 1000 > mark // 1000):
            with self._writing() as (_, now):
                return now
        return now

    @property
    def now(self) -> datetime:
        """The platform's time."""
        return from_ms(self.now_ms())

    def pin(self, clock: str | datetime) -> None:
        """Pin the clock to an instant; from there it advances only while the platform is used. `"system"` unpins it.

        Raises:
            SandboxError: not an instant, or earlier than one that the platform has already returned.
        """
        mark = None if clock == "system" else to_ms(_instant(clock))
        with self._store.write() as db:
            known = _mark(db)
            if mark is not None and known is not None:
                mark = max(mark, known)
            db.execute("UPDATE meta SET value=? WHERE name='mark'", (mark,))
        self._reading.restart()

    @property
    def settings(self) -> Settings:
        """The settings of this platform."""
        with self._store.read() as db:
            return self._settings(db)

    def configure(self, settings: Settings | None = None, **changes: Any) -> None:
        """Change settings, for every process that uses the state."""
        with self._store.write() as db:
            new = replace(settings or self._settings(db), **changes)
            db.execute("UPDATE meta SET value=? WHERE name='settings'", (json.dumps(asdict(new)),))

    def reset(self) -> None:
        """Empty the platform. Clients, settings and the clock stay."""
        with self._store.write() as db:
            for table in (*EMPTIED, *self.emptied):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant of ours

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group all changes in the block into one commit, for example when seeding ten thousand campaigns."""
        with self._writing():
            yield

    # -- clients and tokens

    def put_client(
        self, client_id: str, secret: str, scopes: Sequence[str] = SCOPES
    ) -> Credentials:
        """Add a client, or give it another secret or other scopes. Tokens that were already issued stay valid."""
        with self._store.write() as db:
            _put_client(db, client_id, secret, scopes)
        return Credentials(client_id, secret, tuple(scopes))

    def clients(self) -> dict[str, Credentials]:
        """Return every client by id."""
        with self._store.read() as db:
            rows = db.execute("SELECT * FROM clients").fetchall()
        return {
            r["id"]: Credentials(r["id"], r["secret"], tuple(r["scopes"].split())) for r in rows
        }

    def issue(
        self,
        client_id: str,
        secret: str,
        scope: str | None = None,
        *,
        life_s: int = TOKEN_S,
        **more: str,
    ) -> Token:
        """Issue a token.

        Args:
            client_id: the client that requests the token.
            secret: the client's secret.
            scope: space-separated part of the client's scopes; `None` asks for all.
            life_s: lifetime in seconds.
            **more: claims that the API adds.

        Raises:
            Unauthorized: the client is unknown, or the secret is wrong.
            BadGrant: a scope that the client does not have.
        """
        client = self.clients().get(client_id)
        if client is None or not secrets.compare_digest(
            client.client_secret.encode(), secret.encode()
        ):
            raise Unauthorized("invalid_client")
        wanted = client.scopes if scope is None else tuple(dict.fromkeys(scope.split(" ")))
        if not set(wanted) <= set(client.scopes):
            raise BadGrant("invalid_scope")
        now = self.now_ms() / 1000
        value = self.sign(client_id, life_s, scope=" ".join(wanted), **more)
        return Token(client_id, frozenset(wanted), now + life_s, value)

    def sign(self, client_id: str, life_s: int, **more: str) -> str:
        """Return a JWT about a client. One without the claim `scope` gives access to nothing."""
        now = self.now_ms() / 1000
        claims: dict[str, Any] = {"iss": "cxone-sandbox", "sub": client_id, **more}
        claims |= {"iat": now, "exp": now + life_s, "jti": secrets.token_hex(8)}
        return tokens.sign(claims, self._key)

    def claims(self, value: str) -> dict[str, Any]:
        """Return the claims of a JWT that this platform signed.

        Raises:
            Unauthorized: unknown, revoked or expired.
        """
        claims = tokens.verify(value, self._key)
        if claims is None or value in self._revoked or claims["exp"] * 1000 <= self.now_ms():
            raise Unauthorized
        return claims

    def authenticate(self, value: str) -> Token:
        """Check an access token; return its client, scopes and expiry.

        Raises:
            Unauthorized: unknown, revoked or expired.
        """
        claims = self.claims(value)
        if "scope" not in claims:
            raise Unauthorized
        return Token(claims["sub"], frozenset(claims["scope"].split()), claims["exp"], value)

    def revoke(self, value: str) -> None:
        """Revoke a token, in this process only."""
        self._revoked.add(value)

    # -- internal

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, int]]:
        with self._store.write() as db:
            mark = _mark(db)
            now = self._reading.read(mark)
            if mark is not None:
                db.execute("UPDATE meta SET value=? WHERE name='mark'", (now,))
            self._settle(db, now)
            yield db, now

    def _settle(self, db: Connection, now: int) -> None:
        """Execute the pending events that are due. Subclasses define them."""

    @staticmethod
    def _settings(db: Connection) -> Settings:
        return Settings(**json.loads(_meta(db, "settings")))


def credentials(state: State, kind: str = "full", *, without: str | None = None) -> Credentials:
    """Return a client of every platform.

    Args:
        state: the platform.
        kind: `"full"`, or `"read-only"` (the scopes of a plan).
        without: a scope; return the client that has every scope but this one.

    Raises:
        SandboxError: the platform has no such client.
    """
    name = _client_id(kind, without)
    found = state.clients().get(name)
    if found is None:
        raise SandboxError(f"the sandbox has no client {name}")
    return found


def _client_id(kind: str, without: str | None) -> str:
    if without is not None:
        return f"sandbox-without-{without.replace(':', '-')}"
    return "sandbox" if kind == "full" else f"sandbox-{kind}"


def _found(db: Connection) -> None:
    """Initialize a new state: clients, settings and the signing key of tokens."""
    _put_client(db, "sandbox", "sandbox-secret", SCOPES)
    _put_client(db, "sandbox-read-only", "sandbox-read-only-secret", READ_SCOPES)
    for scope in SCOPES:
        name = _client_id("", scope)
        _put_client(db, name, f"{name}-secret", [s for s in SCOPES if s != scope])
    values = [
        ("settings", json.dumps(asdict(Settings()))),
        ("mark", None),
        ("schedules", 0),
        ("token_key", secrets.token_hex(32)),
    ]
    db.executemany("INSERT INTO meta VALUES (?,?)", values)


def _put_client(db: Connection, client_id: str, secret: str, scopes: Sequence[str]) -> None:
    db.execute(
        "INSERT OR REPLACE INTO clients VALUES (?,?,?)", (client_id, secret, " ".join(scopes))
    )


def _meta(db: Connection, name: str) -> Any:
    (value,) = db.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
    return value


def _mark(db: Connection) -> int | None:
    mark: int | None = _meta(db, "mark")
    return mark


def _instant(clock: str | datetime) -> datetime:
    if isinstance(clock, datetime):
        return clock
    try:
        return parse_instant(clock)
    except ValueError as error:
        raise SandboxError(f"clock {clock!r}: {error}") from None
