"""A second verifier of a ledger, written from `.github/docs/ledger-format.md` alone: the standard library and git, nothing of the product."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

IDENTITY = {
    "open": ("run",),
    "close": ("run",),
    "intent": ("commit", "op", "generation", "attempt"),
    "outcome": ("intent",),
    "hold": ("run", "target"),
    "release": ("run", "target"),
    "note": ("run", "text"),
    "checkpoint": ("segment", "closes"),
}
INSTANTS = ("timestamp", "latest")
REPEATED = ("op", "generation", "attempt", "object", "target", "verb")
Files = dict[str, bytes]


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def is_instant(text: Any) -> bool:
    form = (
        r"\d{4}-\d\d-\d\d" r"T([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?" r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
    )
    try:
        return bool(re.fullmatch(form, text, re.ASCII)) and 1970 <= instant(text).year < 9000
    except (TypeError, ValueError):
        return False


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def id_of(record: dict[str, Any]) -> str:
    names = ["kind", "tenant", *IDENTITY[record["kind"]]]
    if record["kind"] == "intent" and record["verb"] == "halt":
        names.append("run")
    if record["kind"] == "hold" and record.get("body") is not None:
        names.append("body")
    return sha(canonical({name: record.get(name) for name in names}))


def git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True).stdout


def commits(root: Path, platform: str) -> Iterator[tuple[str, str, str, Files]]:
    """Yield id, parents, message and files of each ledger commit, oldest first."""
    ref = f"refs/notes/reconcile/{platform}"
    for line in (
        git(root, "rev-list", "--topo-order", "--reverse", "--parents", ref).decode().splitlines()
    ):
        commit, _, parents = line.partition(" ")
        files = {}
        for row in git(root, "ls-tree", "-r", commit).decode().splitlines():
            about, path = row.split("\t")
            files[path.replace("/", "")] = git(root, "cat-file", "blob", about.split()[2])
        yield commit, parents, git(root, "log", "-1", "--format=%B", commit).decode().strip(), files


def audit(root: Path, platform: str) -> list[str]:
    """Return what is wrong with the ledger of a platform."""
    check = Auditor(platform)
    parent = ""
    before: Files = {}
    for commit, parents, message, files in commits(root, platform):
        if parents != parent:
            check.problems.append(f"{commit} does not follow {parent}")
        is_new = files.get("state") != before.get("state")
        if is_new:
            check.open_segment(parent, files)
        check.step(commit, message, {} if is_new else before, files)
        parent, before = commit, files
    refs = git(
        root,
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        f"refs/notes/reconcile-closed/{platform}",
    )
    found = {
        line.split()[0].rpartition("/")[2]: line.split()[1] for line in refs.decode().splitlines()
    }
    due = {f"{at:06}-{each[:12]}": each for at, each in enumerate(check.closed, start=1)}
    if found != due:
        check.problems.append("the refs of closed segments are not as they should be")
    return check.problems


def action_of(verb: str, result: str) -> str:
    removes = verb in {"halt", "retire"}
    match result:
        case "created" | "updated" | "deleted" | "refreshed" | "confirmed":
            ends = {"halt": "HALTED", "retire": "RETIRED", "refresh": "REFRESHED"}
            return ends.get(verb, "DEPLOYED")
        case "stored_not_active" | "overtaken" | "not_as_sent":
            return "REMOVED" if removes else "STORED"
        case "unknown":
            return "UNKNOWN"
    return "UNCHANGED"


class Auditor:
    """What must be remembered while a ledger is read in order."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        self.problems: list[str] = []
        self.lines: list[bytes] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.opened: dict[str, str] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.ended: set[str] = set()
        self.ids: set[str] = set()
        self.held: set[str] = set()
        self.standing: dict[str, list[bytes]] = {}
        self.seen: set[str] = set()
        self.closed: list[str] = []
        self.latest = ""
        self.clock: str | None = None

    def open_segment(self, parent: str, files: Files) -> None:
        """Check a state, as far as this page says what it must hold by itself."""
        self.closed.append(parent)
        state = files.get("state", b"").splitlines(keepends=True)
        places = {line: at for at, line in enumerate(self.lines)}
        order = [places.get(self.outcome_of(line) or line, -1) for line in state]
        holds = (line for each in self.standing.values() for line in each)
        needed = [self.lines[0], *(line for line in holds if not self.is_forgotten(line))]
        needed += [
            line
            for line in self.lines
            if json.loads(line)["id"] in self.intents.keys() - self.ended
        ]
        if -1 in order or order != sorted(order) or not set(needed) <= set(state):
            self.problems.append(
                "a state is not a selection of the records before it that holds what it must"
            )

    def outcome_of(self, line: bytes) -> bytes | None:
        """Return the line of the outcome that a `write` of a state stands for; `None` for other lines, and for a wrong `write`."""
        write = json.loads(line)
        if write["kind"] != "write" or not 0 <= write["seq"] < len(self.lines):
            return None
        outcome = json.loads(self.lines[write["seq"]])
        intent = self.intents.get(outcome.get("intent", ""), {})
        wanted = ("after", "base", "body", "emptied")
        due = outcome | {name: intent[name] for name in wanted if name in intent}
        return (
            self.lines[write["seq"]]
            if canonical({**due, "kind": "write"}) + b"\n" == line
            else None
        )

    def is_forgotten(self, hold: bytes) -> bool:
        until = json.loads(hold)["until"]
        if until is None or self.clock is None:
            return False
        return instant(self.clock) - instant(until) > timedelta(days=30)

    def step(self, commit: str, message: str, before: Files, files: Files) -> None:
        """Check the lines that a ledger commit added."""
        new: list[tuple[dict[str, Any], bytes, str]] = []
        for note in (before.keys() | files.keys()) - {"state"}:
            if not files.get(note, b"").startswith(before.get(note, b"")):
                self.problems.append(f"{commit} changed the note of {note}")
            for line in files.get(note, b"")[len(before.get(note, b"")) :].splitlines(
                keepends=True
            ):
                try:
                    record = json.loads(line)
                    right = canonical(record) + b"\n" == line and record["v"] == 1
                except (ValueError, KeyError, TypeError):
                    right = False
                if right:
                    new.append((record, line, note))
                else:
                    self.problems.append(f"a line of the note of {note} is no record")
        new.sort(key=lambda each: each[0]["seq"])
        for record, line, note in new:
            self.problems += (
                f"record {record['id']}: {each}" for each in self.check(record, note, files)
            )
            self.remember(record, line)
        if not new or message != f"{new[-1][0]['run']} {new[-1][0]['h']}":
            self.problems.append(f"{commit} does not name its last record")
        self.seen.add(commit)

    def check(  # noqa: C901, PLR0912 - a branch for each sentence of the page
        self, record: dict[str, Any], note: str, files: Files
    ) -> Iterator[str]:
        """Yield what is wrong with the next record."""
        kind, run = record["kind"], self.runs.get(record["run"])
        if (
            sha(canonical({name: value for name, value in record.items() if name != "h"}))
            != record["h"]
        ):
            yield "h"
        instants = [record["ts"], *(record[name] for name in INSTANTS if name in record)]
        if not all(map(is_instant, instants)):
            yield "instant"
        if id_of(record) != record["id"] or record["id"] in self.ids:
            yield "id"
        if record["commit"] != note or record["tenant"] != self.platform:
            yield "place"
        if record["seq"] != len(self.lines):
            yield "seq"
        due = (run["n"] + 1, run["h"], run["commit"]) if run else (0, "0" * 64, record["commit"])
        if (record["n"], record["prev"], record["commit"]) != due or (
            run and run["kind"] == "close"
        ):
            yield "chain"
        if kind in {"intent", "close"} and record["run"] not in self.opened:
            yield "no open"
        if kind == "open" and record["ledger"] is not None and record["ledger"] not in self.seen:
            yield "ledger"
        if kind == "intent":
            yield from self.check_intent(record)
        if kind == "outcome":
            intent = self.intents.get(record["intent"])
            if intent is None or any(intent[name] != record[name] for name in REPEATED):
                yield "intent"
            if record["action"] != f"SCHEDULE_{action_of(record['verb'], record['result'])}":
                yield "action"
        if kind == "release" and not self.held & {record["target"], "*"}:
            yield "never held"
        if kind == "checkpoint":
            state = files.get("state", b"")
            said = [
                record[name]
                for name in ("segment", "closes", "last", "records", "state", "latest", "clock")
            ]
            last = json.loads(self.lines[-1])["h"] if self.lines else ""
            closes = self.closed[-1] if self.closed else ""
            if (
                said
                != [
                    len(self.closed),
                    closes,
                    last,
                    state.count(b"\n"),
                    sha(state),
                    self.latest,
                    self.clock,
                ]
                or len(files) != 2
            ):
                yield "checkpoint"

    def check_intent(self, record: dict[str, Any]) -> Iterator[str]:
        if record["digest"] != self.opened.get(record["run"]):
            yield "digest"
        if record["after"] != (None if record["body"] is None else sha(canonical(record["body"]))):
            yield "after"
        parts = {"action": record["verb"], "desired": record["body"], "key": record["target"]}
        parts |= {"kind": record["object"], "live": record["before"]}
        if record["op"] not in {sha(canonical(parts)), sha(canonical({**parts, "reverts": True}))}:
            yield "op"
        scope = record["run"] if record["verb"] == "halt" else record["commit"]
        known = [record["tenant"], scope, record["op"], record["generation"], record["attempt"]]
        digest = hashlib.sha256(canonical(known)).digest()
        if record["key"] != base64.b32encode(digest).decode().rstrip("=").lower():
            yield "key"

    def remember(self, record: dict[str, Any], line: bytes) -> None:
        self.lines.append(line)
        self.ids.add(record["id"])
        self.runs[record["run"]] = record
        self.latest = max(self.latest, record.get("timestamp") or record["ts"])
        if said := record.get("timestamp") or record.get("clock"):
            self.clock = max(self.clock or said, said)
        match record["kind"]:
            case "open":
                self.opened[record["run"]] = record["digest"]
            case "intent":
                self.intents[record["id"]] = record
            case "outcome":
                self.ended.add(record["intent"])
            case "hold":
                self.held.add(record["target"])
                self.standing.setdefault(record["target"], []).append(line)
            case "release":
                self.standing.pop(record["target"], None)
