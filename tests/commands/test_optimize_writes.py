"""`optimize --write`: the edits of all manifests or none, and only into files that nobody changed meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.commands import optimize
from reconciler.commands.manifest_edits import Sources, edit
from reconciler.commands.proposals import unlike_live
from reconciler.dialects import kinds_for
from reconciler.errors import UsageError
from reconciler.kinds.live import Snapshot
from reconciler.manifests import load
from reconciler.optimize.base import Change, Evidence, Proposal, Subject
from reconciler.report import NAMES_SHOWN, Report
from tests.commands.test_import import Desk

METRICS = """\
campaign_id,start,attempts,answers,abandons
1000000,{hour},1000,900,9
1000001,{hour},1000,900,9
"""


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path, "campaigns")
    sandbox.seed_many(made.platform, 2)
    made.platform.configure(requests_per_second=0)
    made.run("1000000", "1000001")
    hour = (made.platform.now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    (tmp_path / "m.csv").write_text(METRICS.format(hour=hour.isoformat()))
    yield made
    made.platform.close()


def optimized(desk, before_writing=lambda _: None, **more) -> Report:
    asked = optimize.OptimizeRequest(
        desk.folder, target_answer_rate=0.3, metrics=desk.folder.parent / "m.csv", write=True, **more
    )  # fmt: skip
    return asyncio.run(optimize.optimize(desk.world, asked, before_writing))


def content(desk) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in desk.folder.iterdir()}


def visible(desk) -> dict[str, bytes]:
    return {name: data for name, data in content(desk).items() if not name.startswith(".")}


def test_every_proposal_is_in_its_file_after_the_report_was_kept(desk) -> None:
    before, kept = content(desk), []
    report = optimized(desk, lambda report: kept.append((report, visible(desk))))
    assert kept == [(report, before)]
    changed = {name for name, data in content(desk).items() if data != before[name]}
    assert len(changed) == len(report.data["proposals"]) == 2
    assert {name.rpartition("/")[2] for name in report.data["written"]} == changed


def test_a_proposal_says_that_the_platform_holds_other_values(desk) -> None:
    assert not any("the platform holds" in note for note in optimized(desk).notes)
    folder = load(desk.folder)
    rate = folder.desired[0].body["dial_rate"]
    (note,) = (each for each in optimized(desk).notes if "campaign-1000000: the platform holds" in each)  # fmt: skip
    assert f"and the manifest {rate:g}. If somebody narrowed it by hand, a merge of this proposal ends that hold" in note  # fmt: skip
    nothing = Snapshot({}, {}, {}, desk.platform.now)
    change = (Change("dial_rate", 2.0, 1.25),)
    made = [Proposal(f"100000{at}", "spring", change, "why", Evidence(1, 1)) for at in range(9)]
    subjects = [Subject(each.key, each.name) for each in made]
    notes = unlike_live(made, subjects, nothing, kinds_for("campaigns"))
    assert notes[0].startswith("spring: the platform holds no schedule: it was stopped or removed")
    assert (len(notes), notes[-1]) == (NAMES_SHOWN + 1, f"and {9 - NAMES_SHOWN} more like that")


def test_a_page_draws_each_proposal(desk) -> None:
    (table, *_) = optimized(desk, drawn=True).tables
    assert [[type(plot).__name__ for plot in row.plots] for row in table.rows] == [["Rates"]] * 2
    (table, *_) = optimized(desk).tables
    assert [row.plots for row in table.rows] == [()] * len(table.rows)


def test_a_manifest_that_changed_meanwhile_is_refused_and_so_are_the_others(desk) -> None:
    path = next(path for path in sorted(desk.folder.iterdir()) if path.name != "tenant.yaml")
    before = content(desk)
    mine = path.read_bytes() + b"# mine\n"
    with pytest.raises(UsageError, match="was changed while this command ran"):
        optimized(desk, lambda _: path.write_bytes(mine) and None)
    assert content(desk) == before | {path.name: mine}


def test_a_manifest_that_changed_right_after_it_was_loaded_is_refused(desk) -> None:
    folder = load(desk.folder)
    path = Path(folder.desired[0].place.file)
    path.write_bytes(path.read_bytes() + b"# mine\n")
    with pytest.raises(UsageError, match="was changed while this command ran"):
        Sources.read(folder, folder.desired)


def test_a_report_that_cannot_be_kept_leaves_the_manifests(desk) -> None:
    def fail(_: Report) -> None:
        raise UsageError("the disk is full")

    before = content(desk)
    with pytest.raises(UsageError, match="disk is full"):
        optimized(desk, fail)
    assert content(desk) == before


def test_several_fields_of_several_manifests_of_one_file_are_edited_with_their_comments(
    desk,
) -> None:
    first, second = (path for path in sorted(desk.folder.iterdir()) if path.name != "tenant.yaml")
    both = f"{first.read_text()}\n---\n# the second\n{second.read_text()}# the end\n"
    first.write_text(both)
    second.unlink()
    folder = load(desk.folder)
    desired = folder.desired
    proposals = [
        Proposal(
            each.key,
            each.name,
            (Change("dial_rate", 2.0, 1.25), Change("max_concurrent_calls", 9, 33)),
            "why",
            Evidence(1, 1),
        )
        for each in desired
    ]
    edits = edit(Sources.read(folder, desired), proposals)
    (text,) = edits.texts.values()
    assert edits.by_hand == ()
    was, now = both.splitlines(), text.splitlines()
    moved = [line.strip() for line in now if line not in was]
    assert moved == ["dial_rate: 1.25", "max_concurrent_calls: 33"] * 2
    assert len(was) == len(now)


def test_a_manifest_that_must_be_edited_by_hand_spoils_no_other(desk) -> None:
    paths = [path for path in sorted(desk.folder.iterdir()) if path.name != "tenant.yaml"]
    odd = paths[0].read_text().replace("dial_rate: ", "dial_rate: !!float ")
    folder = load(desk.folder)
    desired = folder.desired
    proposals = [Proposal(each.key, each.name, (Change("dial_rate", 2.0, 1.25),), "why", Evidence(1, 1)) for each in desired]  # fmt: skip
    sources = Sources.read(folder, desired)
    sources.content[paths[0]] = odd.encode()
    edits = edit(sources, proposals)
    assert [each.key for each in edits.by_hand] == [each.key for each in desired if each.place.file == str(paths[0])]  # fmt: skip
    assert [*edits.texts] == [paths[1]]
