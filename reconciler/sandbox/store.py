"""The state of a platform: one SQLite file that processes share, or memory. Knows tables and transactions, no rules."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from reconciler.sandbox.errors import SandboxError

HOME = ".reconcile"
"""The folder of a repository that holds state files. A commit can hold one, too, so it may not be a link."""

FORMAT = "1"
"""Of the tables below. A state of another format is refused, not migrated: it is a sandbox."""

BUSY_S = 10.0
"""Seconds that one process waits for another's transaction."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE clients (id TEXT PRIMARY KEY, secret TEXT NOT NULL, scopes TEXT NOT NULL);
CREATE TABLE campaigns (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, status TEXT NOT NULL,
    schedule_id TEXT, schedule TEXT, active_id TEXT, activated_at TEXT
);
CREATE TABLE lists (id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE links (campaign_id TEXT, list_id TEXT, PRIMARY KEY (campaign_id, list_id)) WITHOUT ROWID;
CREATE INDEX links_of_list ON links (list_id, campaign_id);
CREATE TABLE keys (
    client TEXT, method TEXT, path TEXT, key TEXT, fingerprint TEXT NOT NULL, made_ms INTEGER NOT NULL,
    status INTEGER, headers TEXT, body TEXT, PRIMARY KEY (client, method, path, key)
) WITHOUT ROWID;
CREATE TABLE pending (
    n INTEGER PRIMARY KEY, due_ms INTEGER NOT NULL, job TEXT NOT NULL, campaign_id TEXT NOT NULL, detail TEXT
);
CREATE INDEX pending_due ON pending (due_ms, n);
CREATE TABLE journal (
    n INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, action TEXT NOT NULL,
    campaign_id TEXT NOT NULL, schedule_id TEXT, client TEXT, body TEXT
);
CREATE INDEX journal_of_campaign ON journal (campaign_id, n);
CREATE TABLE metrics (campaign_id TEXT, start_ms INTEGER, bucket TEXT NOT NULL, PRIMARY KEY (campaign_id, start_ms)) WITHOUT ROWID;
CREATE TABLE events (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, event TEXT NOT NULL);
"""

EMPTIED = ("campaigns", "lists", "links", "keys", "pending", "journal", "metrics", "events")
"""Tables that a reset empties; settings, clients and the token key stay."""


class Store:
    """A SQLite database with short transactions. Threads take turns; processes wait up to `BUSY_S`.

    Attributes:
        close: closes the file. Garbage collection of the object does the same.

    Args:
        path: the state file, made when absent; `None` keeps it in memory.

    Raises:
        SandboxError: the file is no state of a sandbox, of another format, or a link.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self._turn = RLock()
        try:
            self._db = self._connect()
        except sqlite3.Error as error:
            raise SandboxError(f"{self.path}: cannot be used as sandbox state: {error}") from error
        self.close = weakref.finalize(self, self._db.close)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a write transaction: all or nothing. Reentrant: an inner block joins the outer transaction."""
        with self._turn:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                yield self._db

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a read transaction, which sees a consistent state."""
        with self._turn:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN")
            with self._db:
                yield self._db

    def _connect(self) -> sqlite3.Connection:
        if self.path is not None:
            _make_folder(self.path)
        db = sqlite3.connect(
            ":memory:" if self.path is None else self.path,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        db.row_factory = sqlite3.Row
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        self._check(db)  # before anything is changed: it may be somebody else's file
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("BEGIN IMMEDIATE")
        with db:
            if self._check(db):
                for statement in TABLES.split(";"):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))

    def _check(self, db: sqlite3.Connection) -> bool:
        """Return whether the file is still empty. Refuse a file that is not a sandbox state."""
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        if tables and ("meta" not in tables or _format(db) != FORMAT):
            raise SandboxError(
                f"{self.path}: not a sandbox state of this version; remove the file, or name another"
            )
        return not tables


def _make_folder(file: Path) -> None:
    """Make the folder of a state file.

    Raises:
        SandboxError: the file or the folder is a link, so the state would be written elsewhere; or the folder cannot be made.
    """
    for path in (file, file.parent):
        if path.is_symlink() and (path == file or path.name == HOME):
            raise SandboxError(
                f"{path}: is a link, and sandbox state is not written through links: remove it"
            )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxError(f"{file.parent}: cannot be made: {error.strerror}") from None


def _format(db: sqlite3.Connection) -> object:
    try:
        row = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except sqlite3.OperationalError:  # another program's table of that name
        return None
    return row and row[0]
