"""The documentation says what the code says: generated parts are current, nothing is left out, links lead somewhere."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from inspect import getsource, isfunction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest

import reconciler
from reconciler.cli import COMMANDS, run
from reconciler.dialects.personal_connection import assumed
from reconciler.effect import Direction
from reconciler.errors import ExitCode
from reconciler.manifests.reader import read
from reconciler.models import MANIFESTS
from reconciler.models.schemas import json_schemas
from reconciler.plan import Action, Cause, Result, Way
from reconciler.policies import POLICIES
from reconciler.renderers import EXPORTS, RENDERERS
from reconciler.report import words
from tests import docs, readme

ROOT = docs.PAGES.parent.parent
KNOWN = docs.parts()
PAGES = sorted(docs.PAGES.glob("*.md"))
SCHEMAS = json_schemas()
TENANT: dict[str, Any] = {
    "apiVersion": "cxone.reconciler/v1",
    "kind": "Tenant",
    "spec": {"api": "campaigns", "url": "sandbox:"},
}
YAML = [
    block
    for page in (*PAGES, readme.README)
    for block in re.findall(
        r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
]
NAME = re.compile(r"(?:CXONE|RECONCILE|GITHUB)_[A-Z_]+|NO_COLOR|USER|LOGNAME")


def rows(part: str) -> list[str]:
    """Return the first cell of every row of a part's table."""
    return re.findall(r"^\| `([^`]+)` \|", KNOWN[part], re.MULTILINE)


def explain(capsys: pytest.CaptureFixture[str], *topic: str) -> str:
    assert run(["explain", *topic]) == 0
    return capsys.readouterr().out


# --- the pages -----------------------------------------------------------------------------------------------------------


def test_every_generated_part_is_current() -> None:
    assert docs.stale(KNOWN) == {}


def test_every_part_stands_on_one_page() -> None:
    named = [part[2] for page in PAGES for part in docs.PART.finditer(page.read_text("utf-8"))]
    assert sorted(named) == sorted(KNOWN)


@pytest.mark.parametrize("part", sorted(KNOWN))
def test_a_row_that_is_missing_or_added_makes_a_page_stale(part: str) -> None:
    page = f"<!-- generated: {part} -->\n{KNOWN[part]}<!-- end -->\n"
    assert docs.current(page, KNOWN) == page
    first, second, third, *rest = KNOWN[part].splitlines(keepends=True)
    for lines in ([first, second, *rest], [first, second, third, third, *rest]):
        changed = page.replace(KNOWN[part], "".join(lines))
        assert docs.current(changed, KNOWN) == page != changed


@pytest.mark.parametrize("page", [*PAGES, readme.README], ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text("utf-8")
    ):
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_picture_is_text_with_a_title_and_a_description_and_loads_nothing() -> None:
    text = (ROOT / ".github" / "flow.svg").read_text("utf-8")
    picture = ET.fromstring(text)  # noqa: S314 - our own file
    space = "{http://www.w3.org/2000/svg}"
    ids = picture.get("aria-labelledby", "").split()
    told = {
        each.get("id"): each.text
        for each in picture
        if each.tag in {f"{space}title", f"{space}desc"}
    }
    assert picture.get("role") == "img"
    assert ids == list(told)
    assert all(told.values())
    assert len(list(picture.iter(f"{space}text"))) > len(list(picture.iter(f"{space}rect")))
    assert "href" not in text


def test_the_readme_is_a_front_door() -> None:
    """It is short, and leads to every page."""
    text = readme.README.read_text("utf-8")
    assert len(text.splitlines()) <= 150
    for page in PAGES:
        assert f"(.github/docs/{page.name})" in text, page.name


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.splitlines()[-1].strip())
def test_every_example_is_accepted(block: str) -> None:
    """A fragment of `tenant.yaml` is held against the schema with the rest beside it."""
    (document,) = read(block.encode(), "example.yaml")
    value: Any = document.value
    if "kind" not in value:
        value = {**TENANT, "spec": {**TENANT["spec"], **value["spec"]}}
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", value["kind"]).lower()
    schema = jsonschema_rs.validator_for(SCHEMAS[f"{kind}.json"])
    assert [str(error) for error in schema.iter_errors(value)] == []


CONSOLE = [
    block
    for page in (*PAGES, readme.README)
    for block in re.findall(
        r"^```console\n\$ reconcile (timeline schedules/sandbox .*?)^```$",
        page.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
]


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.splitlines()[0])
def test_every_timeline_that_is_shown_is_what_the_samples_print(
    block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command, *lines = block.splitlines()
    assert run(command.split()) == 0
    printed = iter(capsys.readouterr().out.splitlines())
    assert [line for line in lines if line != "…" and line not in printed] == []
    assert len(lines) > 5


def test_the_readme_and_the_page_show_a_timeline() -> None:
    assert len(CONSOLE) == 2


# --- what the code knows -------------------------------------------------------------------------------------------------


def test_every_exit_code_has_a_meaning_and_a_remedy() -> None:
    table = KNOWN["exit-codes"].splitlines()[2:]
    assert len(table) == len(ExitCode)
    for code, line in zip(ExitCode, table, strict=True):
        number, meaning, remedy = (cell.strip() for cell in line.strip("|").split(" | "))
        assert number == f"`{code.value}`"
        assert meaning.endswith(".")
        assert remedy.endswith(".")


def test_every_word_that_a_report_prints_is_explained() -> None:
    assert {action.value for action in Action} | {"blocked"} == set(words.ACTIONS)
    assert {direction.value for direction in Direction} == set(words.DIRECTIONS)
    assert {cause.value for cause in Cause} == set(words.DRIFTS)
    assert {way.value for way in Way} == set(words.WAYS)
    assert {result.value.replace("_", " ") for result in Result} == set(words.RESULTS)


def test_every_rule_every_kind_and_every_command_is_explained() -> None:
    assert rows("rules") == list(POLICIES)
    assert {f"fields {kind}" for kind in MANIFESTS} < set(KNOWN)
    assert {row.split()[1] for row in rows("commands")} == set(COMMANDS)


@pytest.mark.parametrize("rule", POLICIES)
def test_a_rule_that_no_waiver_changes_says_so(rule: str) -> None:
    source = getsource(import_module(f"reconciler.policies.{rule.replace('-', '_')}"))
    assert ("Always blocks" in POLICIES[rule].WHEN) == ("stops=True" in source)


def test_every_renderer_is_offered_and_documented() -> None:
    modules = {file.stem for file in (ROOT / "reconciler" / "renderers").glob("[a-z]*.py")}
    assert {*RENDERERS, *EXPORTS} == modules
    offered = KNOWN["commands"].replace("\\|", "|")
    for styles in (RENDERERS, EXPORTS):
        assert f"`--format {'|'.join(styles)}`" in offered


def test_every_variable_that_the_code_names_is_explained_and_no_other() -> None:
    named = {
        node.value
        for file in (ROOT / "reconciler").rglob("*.py")
        if "sandbox" not in file.parts
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and NAME.fullmatch(node.value)
    }
    assert named == set(rows("environment"))


def test_no_message_prints_a_command_with_a_placeholder_for_the_folder() -> None:
    """A reader would have to find out what PATH is. Only a usage line and the docstring of a command say PATH."""
    code = Path(reconciler.__file__).parent
    found = [
        f"{file.name}: {text}"
        for file in code.rglob("*.py")
        for text in re.findall(r"reconcile (?:[a-z]+ )+PATH\b.*", file.read_text("utf-8"))
    ]
    assert found == []


def test_every_assumption_is_listed_and_stands_where_it_is_said_to_stand() -> None:
    own = {name for name, thing in vars(assumed).items() if name.isupper() or isfunction(thing)}
    public = {name for name in own if not name.startswith("_")} - {"BESIDE"}
    assert set(rows("assumptions")) == public | set(assumed.BESIDE)
    for name in assumed.BESIDE:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(f"reconciler.{module}"), attribute), name


def test_every_key_of_a_manifest_is_a_row() -> None:
    assert {"spec.dial_rate", "spec.compliance_windows[].start_hour"} <= set(
        rows("fields CampaignSchedule")
    )
    assert "spec.profiles.NAME.pacing" in rows("fields Tenant")
    assert "spec.run_window.daily.start" in rows("fields SkillSchedule")


# --- reconcile explain ---------------------------------------------------------------------------------------------------


def test_without_a_topic_the_topics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    said = explain(capsys)
    for topic in {part.partition(" ")[0] for part in KNOWN}:
        assert topic in said


@pytest.mark.parametrize(
    ("topic", "says"),
    [
        ("75", "Not finished before `--deadline` or `--wait`."),
        ("calling-windows", "FAIL:"),
        ("dial_rate", "spec.dial_rate"),
        ("spec.limits.changed_share", "0.3"),
        ("CXONE_SCOPE", "Scopes to request"),
        ("RATIO", "The highest `maximumRatio` is 3."),
        ("halt", "`--until INSTANT|SPAN`"),
        ("held", "until `reconcile release`"),
        ("stale", "plan again"),
        ("audit show", "COMMIT|NAME"),
        ("audit", "reconcile audit export"),
    ],
)
def test_one_thing_is_explained_by_its_name(
    capsys: pytest.CaptureFixture[str], topic: str, says: str
) -> None:
    assert says in explain(capsys, topic)


@pytest.mark.parametrize(
    "topic", ["exit-codes", "environment", "rules", "words", "fields", "assumptions"]
)
def test_a_topic_prints_what_the_page_holds(capsys: pytest.CaptureFixture[str], topic: str) -> None:
    said = explain(capsys, topic)
    for part in (part for part in KNOWN if part.partition(" ")[0] == topic):
        table = [line for line in KNOWN[part].splitlines() if line.startswith("| `")]
        for cell in (cell for line in table for cell in line.strip("| ").split(" | ")):
            assert cell in said.replace("|", "\\|") or cell.strip("`") in said


def test_a_name_of_several_words_needs_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    said = explain(capsys, "stored", "not", "active")
    assert said == explain(capsys, "stored not active")
    assert "The next apply finishes it." in said


def test_an_unknown_topic_is_a_usage_error_that_names_the_nearest_and_all_topics(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["explain", "dail_rate"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.startswith(
        "error: no topic, rule, word, field, exit code, variable or command is named 'dail_rate'"
    )
    assert "did you mean dial_rate?" in said
    assert run(["explain", "zzyzx"]) == ExitCode.USAGE
    assert "is named 'zzyzx'. Topics: " in capsys.readouterr().err
    assert (
        "Topics: exit-codes, environment, rules, words, fields, assumptions, strategies, scenarios, commands"
        in said
    )
