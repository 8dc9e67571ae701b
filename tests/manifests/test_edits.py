"""Edits touch a value and nothing else."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.errors import ManifestError, UsageError
from reconciler.manifests.edits import edit, edit_settings, has, replacing
from reconciler.manifests.reader import read

BLOCK = """\
# The spring run. é
metadata:
    name:   spring   # its name
spec:
    campaign_id:  '1001'   # the id
    # what finance agreed
    dial_rate:   25.0      # calls per second
    timezone: "America/New_York"
    compliance_windows:
    -   {timezone: America/New_York,   start_hour: 9, end_hour: 20}
# the end
"""
FLOW = "{metadata: {name: spring}, spec: {campaign_id: '1001', dial_rate: 25.0, compliance_windows: []}}"
SECOND = "metadata: {name: other}\nspec:\n  campaign_id: '2'\n  dial_rate: 1.0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spring.yaml"


def edited(file: Path, text: str, **values: float | str) -> str:
    file.write_bytes(text.encode())
    return edit(file, {("spring", f"spec.{key}"): value for key, value in values.items()})


def test_a_value_is_replaced_where_it_stands(file: Path) -> None:
    assert edited(file, BLOCK, dial_rate=21.25) == BLOCK.replace("25.0 ", "21.25 ")
    assert edited(file, FLOW, dial_rate=20) == FLOW.replace("25.0", "20")


def test_a_key_that_a_profile_supplied_is_added_behind_the_last_plain_one(file: Path) -> None:
    anchor = '    timezone: "America/New_York"\n'
    added = BLOCK.replace(anchor, f"{anchor}    max_concurrent_calls: 400\n")
    assert edited(file, BLOCK, max_concurrent_calls=400) == added
    assert edited(file, FLOW, max_concurrent_calls=400) == FLOW.replace(
        "25.0", "25.0, max_concurrent_calls: 400"
    )


def test_a_comment_behind_the_neighbour_stays_with_it(file: Path) -> None:
    text = "metadata: {name: spring}\nspec:\n  campaign_id: '1' # the id"
    assert edited(file, text, dial_rate=2.5) == f"{text}\n  dial_rate: 2.5"


def test_line_ends_stay_as_they_are(file: Path) -> None:
    text = BLOCK.replace("\n", "\r\n")
    done = edited(file, text, dial_rate=2.5, max_concurrent_calls=9)
    assert done.count("\r\n") == done.count("\n") == text.count("\n") + 1


@pytest.mark.parametrize(("above", "end"), [("\r\n", "\n"), ("\n", "\r\n")])
def test_a_new_line_ends_like_the_line_above_it_in_a_file_of_both_line_ends(
    file: Path, above: str, end: str
) -> None:
    text = f"metadata: {{name: spring}}{above}spec:{above}  campaign_id: '1'{end}"
    assert edited(file, text, dial_rate=2.5) == f"{text}  dial_rate: 2.5{end}"


def test_the_right_document_of_many_is_edited(file: Path) -> None:
    text = f"{SECOND}\n---\n{BLOCK}---\n{SECOND.replace('other', 'third')}"
    assert edited(file, text, dial_rate=3.5) == text.replace("25.0 ", "3.5 ")


def test_an_equal_value_keeps_its_way_of_writing(file: Path) -> None:
    assert edited(file, BLOCK, dial_rate=25) == BLOCK


def test_nothing_is_written(file: Path) -> None:
    edited(file, BLOCK, dial_rate=1.5)
    assert file.read_text(encoding="utf-8") == BLOCK


def test_an_unknown_name_is_a_wrong_call(file: Path) -> None:
    file.write_text(BLOCK)
    with pytest.raises(UsageError, match="holds no manifest named 'autumn'"):
        edit(file, {("autumn", "spec.dial_rate"): 1.0})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (BLOCK, "compliance_windows"),
        ("metadata: {name: spring}\nspec: {}\n", "dial_rate"),
        ("metadata: {name: spring}\n", "dial_rate"),
        ("metadata: {name: spring}\nspec:\n  campaign_id: >-\n    1001\n", "dial_rate"),
    ],
)
def test_what_cannot_be_spliced_is_left_to_people(file: Path, text: str, key: str) -> None:
    with pytest.raises(ManifestError, match="must be edited by hand"):
        edited(file, text, **{key: 1.5})


ODD_TEXTS = [
    *(
        ":",
        "-",
        "?",
        "~",
        "null",
        "yes",
        "true",
        "0x1",
        "1_000",
        "12:30",
        "1e3",
        "# x",
        "a #b",
        "a: b",
    ),
    *(
        "{",
        "}",
        "[",
        ",",
        "a ",
        " a",
        "",
        "'",
        '"',
        "\\",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`",
        "<<",
        "=",
        "---",
    ),
    *("\n", "a\nb", "\t", "é", "\N{GRINNING FACE}"),
]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("template", [BLOCK, FLOW.replace("dial_rate", "timezone: UTC, dial_rate")])
def test_every_yaml_reader_reads_what_was_written(file: Path, template: str, version: str) -> None:
    for value in [*ODD_TEXTS, 1, 5000, 2.5, 1e-7, 1.5e-7, 1e16, 1e22, 100.0, True, False]:
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        assert yaml.load(edited(file, template, timezone=value))["spec"]["timezone"] == value


@pytest.mark.parametrize("char", "\r\x00\x1b\x7f\x85\xa0\u2028\u2029\ufeff\ufffe\ud800")
def test_a_hidden_character_is_refused_before_anything_is_edited(file: Path, char: str) -> None:
    with pytest.raises(ManifestError, match=rf"hidden character U\+{ord(char):04X}"):
        edited(file, BLOCK, timezone=f"a{char}")


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "dial_rate": st.floats(0.01, 100).map(lambda rate: round(rate, 2)),
        "max_concurrent_calls": st.integers(1, 5000),
        "timezone": st.text("abcé /\"'#:", min_size=1, max_size=12),
        "dnc_verification": st.booleans(),
    },
)
COMMENTS = ["", "  # it's: {a} note é", " # dial_rate: 9"]


@st.composite
def layouts(draw: st.DrawFn) -> str:
    """A file with the manifest `spring` among others, in any layout that people use."""
    indent = " " * draw(st.sampled_from([1, 2, 4]))
    spellings = [
        ["campaign_id:  '1001'", 'campaign_id: "1001"'],
        ["dial_rate: 25", "dial_rate:   25.0", "dial_rate: 2.5e+1"],
        ["timezone: America/New_York", "timezone: 'it''s'", 'timezone: "a\\tb"'],
        ["dnc_verification: true"],
        [
            "windows: [{start_hour: 9}, {start_hour: 12}]",
            f"windows:\n{indent}- start_hour: 9\n{indent}  end_hour: 20",
            f"windows:\n{indent}-  {{start_hour: 9,\n{indent}     end_hour: 20}}",
        ],
    ]
    lines = [draw(st.sampled_from(each)) for each in spellings]
    some = [lines[0], *draw(st.lists(st.sampled_from(lines[1:]), unique=True))]
    if draw(st.booleans()):
        spec = "spec: {" + ", ".join(line for line in some if "windows" not in line) + "}"
    else:
        shown = [line + draw(st.sampled_from(COMMENTS)) for line in draw(st.permutations(some))]
        spec = "\n".join(["spec:", *shown]).replace("\n", f"\n{indent}")
    head = f"metadata:\n{indent}name:  spring{draw(st.sampled_from(COMMENTS))}"
    document = "\n".join(draw(st.permutations([head, spec, "kind: CampaignSchedule"])))
    around = [("", "\n"), ("", ""), ("# first\n\n", "\n# last\n"), (f"{SECOND}\n---\n", "\n")]
    before, after = draw(st.sampled_from(around))
    return (before + document + after).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def comments(text: str) -> list[str]:
    return [said for line in text.splitlines() for said in COMMENTS[1:] if line.endswith(said)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=layouts(), values=VALUES)
@example(text=FLOW, values={"timezone": ":"})
@example(text=FLOW, values={"timezone": ": a"})
@example(text=FLOW, values={"timezone": ": '"})
def test_an_edit_means_what_the_same_edit_of_ruamels_document_means(
    file: Path, text: str, values: dict[str, Any]
) -> None:
    """Compare with the edited document itself: ruamel's dump of it may be YAML that ruamel cannot read (`{timezone: : a}`)."""
    yaml = YAML()
    documents = list(yaml.load_all(text))
    (spring,) = (each for each in documents if each["metadata"]["name"] == "spring")
    spring["spec"].update(values)
    done = edited(file, text, **values)
    assert list(yaml.load_all(done)) == documents
    assert comments(done) == comments(text)
    if "spec: {" not in text:
        touched = tuple(f"{key}:" for key in values)
        lines = iter(done.split("\n"))
        assert all(
            line in lines for line in text.split("\n")[:-1] if not line.lstrip().startswith(touched)
        )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    template=st.sampled_from([BLOCK, FLOW, f"{SECOND}\n---\n{BLOCK}", BLOCK.replace("\n", "\r\n")]),
    values=VALUES,
)
def test_an_edit_changes_those_values_and_not_another_byte(file: Path, template, values) -> None:
    done = edited(file, template, **values)
    before, after = read(template.encode(), "f"), read(done.encode(), "f")
    for old, new in zip(before, after, strict=True):
        spec = old.value["spec"] | (values if old.value["metadata"]["name"] == "spring" else {})
        assert new.value == old.value | {"spec": spec}
    kept = [
        line
        for line in template.splitlines()
        if "campaign_id" not in line and not any(key in line for key in values)
    ]
    assert [line for line in done.splitlines() if line in kept] == kept or template is FLOW


# --- tenant.yaml -------------------------------------------------------------------------------------------------------------

DECLARED = {"ledger": "campaigns/acme.cxonecloud.com", "began": "0" * 64}
AUDITS = [
    'audit: {sign: true, signers: ["a b c"]}\n',
    "audit: # who signs\n    sign: true   # since March\n    signers: []\n",
    "audit:\n    signers: []\n    mirror: false # no branch",
]


@pytest.mark.parametrize("audit", AUDITS)
def test_keys_are_added_to_a_mapping_of_any_layout_in_their_order(file: Path, audit: str) -> None:
    text = f"kind: Tenant\nspec:\n  api: campaigns # the API\n  {audit}"
    file.write_text(text, encoding="utf-8")
    after = edit_settings(file, {f"spec.audit.{key}": DECLARED[key] for key in DECLARED})
    assert read(after.encode(), "f")[0].value["spec"]["audit"].items() >= DECLARED.items()
    assert after.index("ledger:") < after.index("began:")
    left = iter(after)
    assert all(char in left for char in text), "every byte stays, in its order"
    assert has(file, ("spec", "audit"))
    assert not has(file, ("spec", "audit", "began"))


def test_a_mapping_is_added_behind_the_last_plain_value(file: Path) -> None:
    text = "kind: Tenant\nspec:\n  api: campaigns # the API\n  profiles: {}\n"
    file.write_text(text, encoding="utf-8")
    line = f'  audit: {{ledger: "{DECLARED["ledger"]}", began: "{DECLARED["began"]}"}}\n'
    anchor = "campaigns # the API\n"
    assert edit_settings(file, {"spec.audit": DECLARED}) == text.replace(anchor, anchor + line)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("audit", [{}, {"audit": {"sign": False}}])
def test_a_file_that_is_json_is_json_afterwards(file: Path, indent: int | None, audit: Any) -> None:
    """JSON is YAML, so a file may be written by a JSON tool, and read by one."""
    spec = {"api": "campaigns", "url": "https://acme.cxonecloud.com", **audit}
    file.write_text(json.dumps({"kind": "Tenant", "spec": spec}, indent=indent))
    changes = {f"spec.audit.{key}": DECLARED[key] for key in DECLARED}
    after = edit_settings(file, changes if audit else {"spec.audit": DECLARED})
    wanted = spec | {"audit": audit.get("audit", {}) | DECLARED}
    assert json.loads(after) == {"kind": "Tenant", "spec": wanted}


def test_a_mapping_without_a_plain_value_must_be_edited_by_hand(file: Path) -> None:
    file.write_text("spec: {audit: {signers: []}}\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"spec\.audit\.began must be edited by hand"):
        edit_settings(file, {"spec.audit.began": DECLARED["began"]})


# --- several files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[Path, bytes]:
    """Three files, with their content."""
    made = {tmp_path / f"{name}.yaml": f"{name}: 1\n".encode() for name in "abc"}
    for path, data in made.items():
        path.write_bytes(data)
    return made


def content(files: dict[Path, bytes]) -> dict[Path, bytes]:
    """Return what the folder of some files holds."""
    (folder,) = {path.parent for path in files}
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_several_files_change_at_the_end_of_the_context_and_nothing_is_left_beside_them(
    files,
) -> None:
    new = {path: f"{path.stem}: é\r\n" for path in files}
    with replacing(new, files):
        assert {path: path.read_bytes() for path in files} == files
    assert content(files) == {path: text.encode() for path, text in new.items()}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_file_that_changed_meanwhile_is_kept_and_so_are_the_others(files, place: int) -> None:
    path = sorted(files)[place]
    files_now = files | {path: b"mine\n"}

    def change() -> None:
        path.write_bytes(b"mine\n")

    change()
    with (
        pytest.raises(UsageError, match="was changed while"),
        replacing(dict.fromkeys(files, "new"), files),
    ):
        raise AssertionError("it begins")
    path.write_bytes(files[path])
    with (
        pytest.raises(UsageError, match="was changed while"),
        replacing(dict.fromkeys(files, "new"), files),
    ):
        change()
    assert content(files) == files_now


def test_what_is_raised_within_leaves_all_files(files) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(dict.fromkeys(files, "new"), files):
        raise KeyboardInterrupt
    assert content(files) == files


def test_a_folder_that_takes_no_file_leaves_all_files(files) -> None:
    last = max(files)
    (last.parent / f".{last.name}.new").mkdir()
    with (
        pytest.raises(UsageError, match="no manifest is changed"),
        replacing(dict.fromkeys(files, "new"), files),
    ):
        raise AssertionError("it begins")
    assert content(files) == files


def test_a_link_that_waits_beside_a_file_is_removed_and_not_written_through(files, tmp_path_factory) -> None:  # fmt: skip
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "precious"
    elsewhere.write_text("precious")
    first, last = min(files), max(files)
    first.with_name(f".{first.name}.new").symlink_to(elsewhere)
    last.with_name(f".{last.name}.new").write_text("left over")
    with replacing(dict.fromkeys(files, "new"), files):
        pass
    assert elsewhere.read_text() == "precious"
    assert not first.is_symlink()
    assert content(files) == dict.fromkeys(files, b"new")


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_kept_and_a_read_only_file_leaves_all_files(files) -> None:
    first, last = min(files), max(files)
    first.chmod(0o600)
    with replacing({first: "new"}, files):
        pass
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    last.chmod(0o444)
    now = content(files)
    with (
        pytest.raises(UsageError, match=r"c\.yaml: the file is read-only; no manifest is changed"),
        replacing(dict.fromkeys(files, "newer"), now),
    ):
        raise AssertionError("it begins")
    assert content(files) == now


def test_a_replacement_that_fails_halfway_puts_the_others_back(files) -> None:
    last = max(files)
    with (
        pytest.raises(UsageError, match="no manifest is changed"),
        replacing(dict.fromkeys(files, "new"), files),
    ):
        (last.parent / f".{last.name}.new").unlink()
    assert content(files) == files


def test_a_new_file_is_made_with_the_others_or_not_at_all(files) -> None:
    new = max(files).with_name("new.md")
    texts = dict.fromkeys([*files, new], "new")
    with pytest.raises(KeyError), replacing(texts, {**files, new: None}):
        raise KeyError
    with (
        pytest.raises(UsageError, match="no manifest is changed"),
        replacing(texts, {**files, new: None}),
    ):
        max(files).with_name(".new.md.new").unlink()
    assert content(files) == files
    with (
        pytest.raises(UsageError, match="was changed while"),
        replacing(texts, {**files, new: None}),
    ):
        new.write_text("mine")
    assert content(files) == files | {new: b"mine"}
    new.unlink()
    with replacing(texts, {**files, new: None}):
        pass
    assert content(files) == dict.fromkeys(texts, b"new")


def test_a_new_file_is_gone_again_if_a_later_replacement_fails(files) -> None:
    new = min(files).with_name("0.md")
    with (
        pytest.raises(UsageError),
        replacing({new: "new", **dict.fromkeys(files, "new")}, {new: None, **files}),
    ):
        max(files).with_name(f".{max(files).name}.new").unlink()
    assert content(files) == files
