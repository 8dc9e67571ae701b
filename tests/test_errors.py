"""Text from outside cannot steer a terminal or a log, and every error has the exit code that its page says."""

from __future__ import annotations

import ast
import inspect
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.errors import (
    SHORTENED_TO,
    ApiError,
    ManifestError,
    Place,
    Problem,
    ReconcileError,
    UncertainWrite,
    safe,
)

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
hostile = st.text(
    st.sampled_from(":#[] \tab%\n\r\x1b\x9b\u200b\u202e\u2028\u00a0\ufeff\u3000\ud800\U000e0001")
    | st.characters(),
    max_size=12,
)


# --- safe ---------------------------------------------------------------------------------------------------------------


@given(hostile)
def test_nothing_that_a_terminal_obeys_or_hides_comes_through(text):
    assert not any(unicodedata.category(character) in HIDDEN for character in safe(text))


@given(hostile)
@example("\u00a0::add-mask::x")
@example("a ::stop-commands::t")
@example("##[error]x")
@example(":::")
@example("\u2003::x")
@example("#" * 3 + "[group]")
def test_nothing_that_a_ci_log_obeys_comes_through(text):
    shown = safe(text)
    assert "##[" not in shown
    assert not re.search(r"(?:^|\s)::", shown)
    assert not shown.strip().startswith("::")


@given(hostile)
def test_what_is_safe_stays_as_it_is(text):
    assert safe(safe(text)) == safe(text)


ordinary = st.one_of(
    st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F)),
    st.text("Москва по-русски"),
    st.text("Ελλάδα Δ"),
    st.text("東京タワー山田\u3000"),
    st.text("สวัสดี"),
)
"""Text of one script at a time."""


@given(ordinary)
@example("America/New_York 9-20, café 東京 \U0001f600 a::b # [x]")
def test_ordinary_text_is_not_touched(text):
    assert safe(text) == text


@given(hostile)
def test_what_was_hidden_can_be_read_back(text):
    plain = text.replace("\\", "")
    code = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")
    assert code.sub(lambda found: chr(int(found[1] or found[2], 16)), safe(plain)) == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", "\\u001b[31mred"),
        ("two\nlines", "two\\u000alines"),
        ("\u202egnirts", "\\u202egnirts"),
        ("tag \U000e0001", "tag \\U000e0001"),
        ("::error::x", "\\u003a:error::x"),
        ("x ##[error]y", "x ##\\u005berror]y"),
        ("a::b", "a::b"),
    ],
)
def test_what_is_dangerous_is_shown_by_its_code(text, expected):
    assert safe(text) == expected


@given(ordinary, st.integers(1, 20))
def test_a_limit_cuts_and_says_so(text, limit):
    shown = safe(text, limit=limit)
    assert len(shown) <= limit
    assert (shown == text) == (len(text) <= limit)
    assert len(text) <= limit or shown.endswith("…")


# --- places and problems ------------------------------------------------------------------------------------------------


def test_a_place_is_written_as_editors_read_it():
    assert str(Place("a.yaml", 3, 5)) == "a.yaml:3:5"
    assert str(Place("a.yaml")) == "a.yaml"
    assert str(Place("a\n::error::.yaml")) == "a\\u000a::error::.yaml"


def test_problems_are_told_all_at_once_in_the_order_of_their_places():
    problems = [
        Problem(Place("b.yaml", 1, 1), "is wrong"),
        Problem(Place("a.yaml", 10, 1), "is late"),
        Problem(Place("a.yaml", 9, 2), "is early\x07"),
    ]
    error = ManifestError(problems)
    assert str(error) == "a.yaml:9:2: is early\\u0007\na.yaml:10:1: is late\nb.yaml:1:1: is wrong"
    assert error.problems == tuple(sorted(problems))


# --- the platform's refusals --------------------------------------------------------------------------------------------


def test_a_refusal_says_what_was_asked_and_each_reason():
    error = ApiError(
        400, "POST /api/campaigns/1001/schedule", ["dial_rate: too high", "end_time: too late"]
    )
    assert str(error) == (
        "the platform answered 400 to POST /api/campaigns/1001/schedule: dial_rate: too high; end_time: too late"
    )
    assert (error.status, error.where) == (400, "POST /api/campaigns/1001/schedule")
    assert "no reason given" in str(ApiError(500, "GET /x"))


def test_what_the_platform_says_is_cut_and_cannot_steer_the_log():
    error = ApiError(400, "GET /\x1b[2J", ["x" * 10_000, "::error::y"])
    assert len(error.reasons[0]) == SHORTENED_TO
    assert error.reasons[1] == "\\u003a:error::y"
    assert "\x1b" not in str(error)


def test_an_uncertain_write_is_a_refusal_that_must_be_read_back():
    assert issubclass(UncertainWrite, ApiError)
    assert UncertainWrite(502, "POST /x", ["reset"]).status == 502


# --- the tree at the top ------------------------------------------------------------------------------------------------


def all_errors() -> dict[str, type[ReconcileError]]:
    return {
        name: thing
        for name, thing in inspect.getmembers(errors, inspect.isclass)
        if issubclass(thing, ReconcileError)
    }


def drawn() -> dict[str, tuple[str | None, int]]:
    """Return the tree in the module's docstring: name → parent and exit code."""
    found: dict[str, tuple[str | None, int]] = {}
    branch: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"([│├└─ ]*)(\w+) +(\d+)  ", line)
        if match:
            depth = len(match[1]) // 4
            branch[depth:] = [match[2]]
            found[match[2]] = (branch[depth - 1] if depth else None, int(match[3]))
    return found


def test_the_tree_shows_every_error_with_its_parent_and_exit_code():
    actual = {
        name: (None if thing is ReconcileError else thing.__base__.__name__, thing.exit_code)
        for name, thing in all_errors().items()
    }
    assert drawn() == actual


def test_exit_codes_are_those_of_the_commands_and_never_success():
    assert {thing.exit_code for thing in all_errors().values()} == {1, 4, 5, 6, 64, 65, 69, 75, 77}


def test_every_error_says_when_it_is_raised():
    assert all(inspect.getdoc(thing) for thing in all_errors().values())


def test_no_module_writes_an_exit_code_as_a_number():
    """`ExitCode` is their one home. 0 may stand in the command line, which starts without the errors."""
    numbers = {code.value for code in errors.ExitCode} - {0}
    found = [
        f"{file.name}:{node.lineno}"
        for file in Path(errors.__file__).parent.rglob("*.py")
        if "sandbox" not in file.parts
        for node in map(_given, ast.walk(ast.parse(file.read_text("utf-8"))))
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and type(part.value) is int and part.value in numbers
    ]
    assert found == []


def _given(node: ast.AST) -> ast.AST:
    """Return what a keyword, a field or a variable named after an exit code is given."""
    match node:
        case ast.keyword(arg="exit_code" | "code", value=value):
            return value
        case ast.AnnAssign(target=ast.Name(id="exit_code" | "code"), value=ast.AST() as value):
            return value
        case ast.Assign(targets=[ast.Name(id="exit_code" | "code")], value=value):
            return value
        case _:
            return ast.Pass()
