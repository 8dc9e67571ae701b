"""A saved plan: what is read back is what was saved, and every edit is found that the hashes can find."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import Place
from reconciler.plan import (
    Base,
    Remarks,
    Strictness,
    approval_from,
    build,
    read_saved,
    require_whole,
    saved,
    sha256_of,
)
from reconciler.plan.strictness import Weakening
from reconciler.policies.base import Level
from tests.plan.test_merge import campaign_triples, skill_triples
from tests.support.bodies import make_body
from tests.support.factories import (
    KINDS,
    SKILLS,
    make_desired,
    make_finding,
    make_live,
    make_origin,
    make_retired,
    make_silent,
    make_skill_desired,
    make_snapshot,
)

REMARKS = Remarks(5, ("a note",), ((5, "not committed"),), ("history",), ("schedules/a.yaml",))


def make_plan():
    """Return a plan with every action, a hold, a block, findings and a weakening."""
    fast = make_body(campaign_id="1004", dial_rate=30.0)
    wanted = [
        make_desired("1001"),
        make_desired("1002", body=make_body(campaign_id="1002", dial_rate=20.0)),
        make_retired("1003"),
        make_desired("1004"),
        make_desired("1005", body=make_body(campaign_id="1005", dial_rate=26.0)),
        make_desired("1006"),
    ]
    lives = [
        make_silent("1001"),
        make_live("1002"),
        make_live("1003"),
        make_live("1004", stored={**fast, "dial_rate": 1.0, "dnc_verification": False}),
        make_live("1005"),
        make_live("1006", active_id="older"),
        make_live("2001"),
    ]
    weakening = Weakening(
        "limits.changed_share", "0.2", "0.5", ("spec", "limits", 0), Place("t", 1)
    )
    return build(
        make_origin(platform="campaigns/acme.example", commit="c" * 40, skew_s=1.23456),
        wanted,
        make_snapshot(lives),
        KINDS,
        findings=[
            make_finding("1005"),
            make_finding("1002", level=Level.WARNING, place=Place("f")),
        ],
        base={"1004": Base(make_body(campaign_id="1004"))},
        held={"1006": "halted"},
        strictness=Strictness(weakenings=(weakening,), notes=("other settings",), moved=True),
    )


PLAN = make_plan()


def read(plan, remarks=REMARKS):
    """Return a plan after a round trip through a file."""
    data = require_whole(json.loads(json.dumps(saved(plan, remarks))))
    approval_from(data)
    return read_saved(data)


def test_what_is_read_back_is_what_was_saved():
    found = read(PLAN)
    assert found.remarks == REMARKS
    assert found.plan.operations == PLAN.operations
    assert found.plan == replace(PLAN, strictness=found.plan.strictness)
    assert found.plan.strictness.weakenings == PLAN.strictness.weakenings
    assert found.plan.strictness.pending
    assert {each.action.value for each in PLAN.operations} == {
        *("create", "update", "retire", "held")
    }


@settings(max_examples=40)
@given(campaign_triples)
def test_a_plan_for_any_campaign_is_read_back(triple):
    base, live, desired = triple
    plan = build(
        make_origin(),
        [make_desired(body=desired)],
        make_snapshot([make_live(stored=live)]),
        KINDS,
        base={"1001": Base(base)},
    )
    assert read(plan).plan == plan


@settings(max_examples=15)
@given(skill_triples)
def test_a_plan_for_any_skill_is_read_back(triple):
    base, live, desired = triple
    plan = build(
        make_origin(),
        [make_skill_desired(**desired)],
        make_snapshot([make_live("4001", stored=live)]),
        SKILLS,
        base={"4001": Base(base)},
    )
    assert read(plan).plan == plan


# --- edits --------------------------------------------------------------------------------------------------------------


def leaves(value, at=()):
    """Yield the place of every scalar in a JSON value."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*at, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, (*at, number))
    else:
        yield at


FILE = json.loads(json.dumps(saved(PLAN, REMARKS)))
LEAVES = list(leaves(FILE))


def edited(*edits, forged=False):
    """Return the file with values replaced by others; `forged`: with a new content hash."""
    data = copy.deepcopy(FILE)
    for at, value in edits:
        *way, last = at
        inner = data
        for step in way:
            inner = inner[step]
        inner[last] = value
    if forged:
        data["content"] = sha256_of({k: v for k, v in data.items() if k != "content"})
    return data


def refused(data):
    with pytest.raises(ValueError, match=r".") as caught:
        checked(data)
    return str(caught.value)


def checked(data):
    require_whole(data)
    approval_from(data)
    return read_saved(data)


@given(st.sampled_from(LEAVES), st.sampled_from(["x", 7, None, True, 0.5]))
def test_every_edited_value_of_a_file_is_found(at, value):
    data = edited((at, value))
    if json.dumps(data, sort_keys=True) == json.dumps(FILE, sort_keys=True):  # True is not 1
        checked(data)
    else:
        refused(data)


PUBLIC = [at for at in LEAVES if at[0] not in {"content", "shown"}]


@given(st.sampled_from(PUBLIC), st.sampled_from(["x", 7, None, True, 0.5]))
def test_an_edit_on_one_side_alone_is_found_whatever_its_content_hash_says(at, value):
    data = edited((at, value), forged=True)
    if json.dumps(data, sort_keys=True) == json.dumps(FILE, sort_keys=True):
        checked(data)
    else:
        refused(data)


def shown(name):
    """Return where the first update is, in both parts of the file."""
    place = next(n for n, each in enumerate(FILE["operations"]) if each["action"] == "update")
    return ("operations", place, name), ("shown", "plan", "operations", place, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action", "retire"),
        ("key", "2001"),
        ("kind", "SkillSchedule"),
        ("desired", make_body(campaign_id="1002", dial_rate=2.0)),
        ("live", make_body(campaign_id="1002", dial_rate=19.0)),
        ("live_hash", "0" * 64),
        ("fields", []),
        ("blocked", ["tenant-limits"]),
    ],
)
def test_what_the_digest_covers_cannot_be_forged_even_on_both_sides(name, value):
    one, other = shown(name)
    refused(edited((one, value), (other, value), forged=True))


def test_what_the_digest_does_not_cover_can_be_forged_by_who_computes_the_hash_again():
    """`show` says so, and `--check` finds it."""
    one, other = shown("name")
    found = checked(edited((one, "harmless"), (other, "harmless"), forged=True))
    assert "harmless" in {each.name for each in found.plan.operations}


@pytest.mark.parametrize(
    "data", [None, [], {}, {"operations": []}, {"operations": 1, "content": 1}]
)
def test_what_is_no_plan_is_refused(data):
    refused(data)


def test_a_plan_without_a_content_hash_is_refused():
    data = {name: value for name, value in FILE.items() if name != "content"}
    assert "no content hash" in refused(data)


def test_a_part_that_is_missing_is_refused():
    data = {name: value for name, value in FILE.items() if name != "shown"}
    data["content"] = sha256_of({k: v for k, v in data.items() if k != "content"})
    assert "cannot be read" in refused(data)
