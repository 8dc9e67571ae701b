"""The page on the ledger's format is enough to check a ledger: a verifier written from it agrees with `audit verify`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from reconciler.audit import rules
from reconciler.errors import LedgerError
from reconciler.git import Git
from reconciler.ledger import LedgerOptions
from tests import docs
from tests.ledger import auditor
from tests.support import history
from tests.support.gitfakes import ENVIRON, PLATFORM, git, opened, repository

PAGE = (docs.PAGES / "ledger-format.md").read_text("utf-8")
REF = f"refs/notes/reconcile/{PLATFORM}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = repository(tmp_path_factory.mktemp("made"))
    story = history.Story(applies=4, changes=2, objects=3, halt_every=2, crash_every=3, batches=1)
    history.write(repo.root, story.appends(), least=12)
    return repo.root


def test_both_accept_an_honest_ledger(made):
    assert opened(Git(made, environ=ENVIRON)).verify().defects == ()
    assert auditor.audit(made, PLATFORM) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"actor":"ci-bot"', b'"actor":"nobody"'),
        (b'"n":1', b'"n":2'),
        (b'"kind":"hold"', b'"kind":"note"'),
        (b'":"', b'": "'),
        (b'"ts":"2027-01-', b'"ts":"2027-W02-'),
    ],
)
@pytest.mark.parametrize("path", ["state", ""])
def test_both_find_a_changed_line(made, tmp_path, old, new, path):
    root = tmp_path / "r"
    shutil.copytree(made, root)
    rows = [row.split() for row in git(root, "ls-tree", "-r", REF).splitlines()]
    names = {row[3]: row[2] for row in rows if (row[3] == "state") == bool(path)}
    git(root, "read-tree", REF)
    for name, blob in names.items():
        data = auditor.git(root, "cat-file", "blob", blob)
        changed = git(root, "hash-object", "-w", "--stdin", stdin=data.replace(old, new, 1))
        git(root, "update-index", "--cacheinfo", f"100644,{changed},{name}")
    message = git(root, "log", "-1", "--format=%B", REF).encode() + b"\n"
    parent = git(root, "rev-parse", f"{REF}^")
    forged = git(root, "commit-tree", git(root, "write-tree"), "-p", parent, stdin=message)
    git(root, "update-ref", REF, forged)
    assert bool(auditor.audit(root, PLATFORM)) == is_bad(root)


INSTANTS = {
    "2027-01-11T14:00:00.000Z": True,
    "2027-01-11T14:00:00Z": True,
    "2027-01-11T15:00:00.1234567+01:00": True,
    "2027-01-11T23:59:59-23:59": True,
    "2027-W02-1T14:00:00Z": False,
    "2027-W02-1": False,
    "20270111T140000Z": False,
    "2027-01-11T140000Z": False,
    "2027-01-11T14:00:00,000Z": False,
    "2027-01-11T24:00:00Z": False,
    "2027-01-11T24:00:00.000Z": False,
    "2027-01-11T14:00Z": False,
    "2027-01-11T14Z": False,
    "2027-01-11 14:00:00Z": False,
    "2027-01-11t14:00:00z": False,
    "2027-01-11T14:00:00": False,
    "2027-01-11T14:00:00+0100": False,
    "2027-01-11T14:00:00+01": False,
    "2027-01-11T14:00:00+01:00:30": False,
    "2027-01-11T14:00:00+24:00": False,
    "2027-02-30T14:00:00Z": False,
    "2027-01-11T14:00:60Z": False,
    "2027-01-11T14:00:00Z ": False,
    "\u0662\u0660\u0662\u0667-01-11T14:00:00Z": False,
    "1969-12-31T23:59:59Z": False,
    "9000-01-01T00:00:00Z": False,
}
"""Texts, and whether the page calls each an instant. Some of them are read by some versions of Python only."""


@pytest.mark.parametrize("text", INSTANTS)
def test_both_take_exactly_the_instants_of_rfc_3339(text):
    assert rules.INSTANT.holds(text) is auditor.is_instant(text) is INSTANTS[text]
    assert rules.is_end(text) is (INSTANTS[text] and text.endswith(".000Z"))


def is_bad(root: Path) -> bool:
    """Return whether the product finds a defect. A state that is not that of its checkpoint cannot even be read."""
    try:
        ledger = opened(Git(root, environ=ENVIRON), options=LedgerOptions(unchecked=True))
    except LedgerError:
        return True
    return bool(ledger.verify().defects)


def test_both_find_that_the_ref_of_a_closed_segment_is_gone(made, tmp_path):
    root = tmp_path / "r"
    shutil.copytree(made, root)
    ref, *_ = Git(root, environ=ENVIRON).refs(below=f"refs/notes/reconcile-closed/{PLATFORM}")
    git(root, "update-ref", "-d", ref)
    assert opened(Git(root, environ=ENVIRON)).verify().defects
    assert auditor.audit(root, PLATFORM)


def test_the_worked_example_is_right():
    (line,) = re.findall(r'^\{"actor".*\}$', PAGE, re.MULTILINE)
    record = json.loads(line)
    assert auditor.canonical(record).decode() == line
    bare = line.replace(f'"h":"{record["h"]}",', "")
    assert auditor.sha(bare.encode()) == record["h"]
    assert f"`{record['h']}`" in PAGE
    (known,) = re.findall(r'`(\{"kind":"note".*?\})`', PAGE)
    assert auditor.sha(known.encode()) == record["id"] == auditor.id_of(record)
