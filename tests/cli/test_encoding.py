"""An output encoding that lacks a character changes no exit code, ends nothing, and loses no name."""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli import run
from reconciler.cli.encoding import replace_unencodable
from reconciler.cli.options import show
from reconciler.report import Report, Row, Table, Tone
from tests.support.desk import commit, git
from tests.support.samples import SAMPLES, copy_files

NARROW = ("ascii", "latin-1", "cp1252")
NAME = "Dvořák → Škoda"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the samples, one of them owned by somebody whose name few encodings hold."""
    root = tmp_path_factory.mktemp("repository")
    copy_files(SAMPLES, root / "schedules" / "sandbox")
    path = root / "schedules" / "sandbox" / "spring-renewals.yaml"
    text = path.read_text("utf-8").replace(
        "campaign_name: Spring Renewals", f"campaign_name: {NAME}"
    )
    assert NAME in text
    path.write_text(text, "utf-8")
    (root / ".gitignore").write_text(".reconcile/\n")
    git(root, "init", "-q")
    commit(root)
    return root


def said(patch: pytest.MonkeyPatch, folder: Path, encoding: str, line: str) -> tuple[int, str]:
    """Run a command in a folder with both streams in an encoding; return its code, and what it said."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    patch.chdir(folder)
    patch.setattr(sys, "stdout", out)
    patch.setattr(sys, "stderr", out)
    code = run(shlex.split(line))
    out.flush()
    return code, out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


COMMANDS = {
    "plan schedules/sandbox": 5,
    "plan schedules/sandbox --format markdown": 5,
    "plan schedules/sandbox --format html": 5,
    "plan schedules/sandbox --format github": 5,
    "plan schedules/sandbox --format json": 5,
    "validate schedules/sandbox": 0,
    "render schedules/sandbox": 0,
    "optimize schedules/sandbox --target-answer-rate 0.3": 0,
    "apply --yes schedules/sandbox": 3,
    "halt --all --wait 0 --reason Škoda→ schedules/sandbox": 75,
    "release --all --reason Škoda→ schedules/sandbox": 0,
    "import schedules/sandbox": 0,
    "doctor schedules/sandbox": 0,
    "audit log schedules/sandbox": 0,
    "audit show 1003 schedules/sandbox": 0,
    "audit at 2027-03-01T18:00:00Z --campaign 1003 schedules/sandbox": 0,
    "audit export schedules/sandbox --format csv": 0,
    "audit export schedules/sandbox --format json": 0,
    "audit verify schedules/sandbox": 0,
    "lock status schedules/sandbox": 0,
    "tenants": 0,
    "schema CampaignSchedule": 0,
    "plan Škoda→": 64,
    "plan --Škoda→": 64,
    "--help": 0,
}
"""Every command that shows something, in an order in which each has something to show, with its exit code."""


def test_every_command_ends_with_its_code_where_the_terminal_has_no_arrow(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "-q", str(folder), str(tmp_path / "clone"))
    seen = ""
    for line, expected in COMMANDS.items():
        code, shown = said(monkeypatch, tmp_path / "clone", "cp1252", line)
        assert code == expected, (line, shown)
        seen += shown
    assert "dial_rate 3 -> 2.4" in seen
    assert "Dvo\\u0159ák" in seen  # cp1252 has the second letter, not the first


@pytest.mark.parametrize(("encoding", "locale"), [("ascii", "C.UTF-8"), ("utf-8", "C")])
def test_columns_are_aligned_as_they_are_printed(
    monkeypatch: pytest.MonkeyPatch, encoding: str, locale: str
) -> None:
    streams = Streams(monkeypatch, encoding)
    monkeypatch.setenv("LC_ALL", locale)
    replace_unencodable()
    rows = tuple(Row((limits, "last")) for limits in ("2 → 3", "…", "ř", "10"))
    facts = {"2 → 3": "last", "10": "last"}
    table = Table("Limits", ("limits", ""), rows)
    report = Report("Title", "Verdict", Tone.GOOD, 0, (table,), facts=facts)
    assert show(report, "text") == 0
    lines = streams.out.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]
    starts = [line.index("last") for line in lines if "last" in line]
    assert "2 -> 3  last" in "\n".join(lines)
    assert len(starts) == 6
    assert len(set(starts[:4])) == len(set(starts[4:])) == 1


def test_a_page_for_a_browser_is_what_its_head_says_in_any_encoding(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = said(monkeypatch, folder, "latin-1", "plan schedules/sandbox --format html")[1]
    assert page.isascii()
    assert "&#8594;" in page


class Streams:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
        self.out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", self.out)
        monkeypatch.setattr(sys, "stderr", None)


@given(st.text(st.characters(), max_size=30), st.sampled_from([*NARROW, "utf-8"]))
def test_no_text_at_all_fails_to_be_written(text: str, encoding: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        streams = Streams(patch, encoding)
        replace_unencodable()
        sys.stdout.write(text)
        sys.stdout.flush()
    assert streams.out.buffer.getvalue().decode(encoding) or not text  # type: ignore[attr-defined]


def test_two_names_that_differ_are_never_shown_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, "ascii")
    replace_unencodable()
    sys.stdout.write("Škoda Śkoda")
    sys.stdout.flush()
    assert streams.out.buffer.getvalue() == b"\\u0160koda \\u015akoda"  # type: ignore[attr-defined]


def test_a_stream_that_is_closed_or_somebodys_own_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    assert run(["tenants", "no/such/folder"]) == 64


@pytest.mark.parametrize("encoding", NARROW)
def test_what_is_wrong_is_said_with_its_code_in_any_encoding(
    folder: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.chdir(folder)
    for line in ("validate schedules/sandbox", "render schedules/sandbox", "tenants"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", out)
        assert run(shlex.split(line)) == 0
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stderr", out)
    assert run(["plan", "schedules/Škoda→"]) == 64
