"""Seeded dangers: over 60 campaigns with 60 harmless edits, a dangerous one stands on the first screen, or is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from reconciler.errors import ManifestError
from reconciler.renderers import markdown, text
from reconciler.report import screen
from tests.report import danger_ground
from tests.report.danger_ground import CHICAGO, NEW_YORK, SMALL, TENANT, Ground, manifest

TIMES = "\N{MULTIPLICATION SIGN}"

NUMBER = 58
"""The campaign that most dangers are in, beside its harmless edit: a little faster, and minutes longer."""

NARROWED = 35
"""A campaign whose harmless edit only narrows: slower, shorter days."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with danger_ground.ground(tmp_path_factory.mktemp("dangers")) as made:
        yield made


class Danger(NamedTuple):
    """A dangerous edit.

    Attributes:
        edit: makes it.
        words: what a reviewer must read, on one row of the first screen; `None`: the edit is refused before there is a plan.
    """

    edit: Callable[[Ground], None]
    words: tuple[str, ...] | None


def spec(*words: str, number: int = NUMBER, **fields: Any) -> Danger:
    """Return the danger of a campaign's spec with other fields."""

    def edit(ground: Ground) -> None:
        each = manifest(number, edited=True)
        ground.write(number, replace(each, spec={**each.spec, **fields}))

    return Danger(edit, (f"m{number:02}", *words))


def metadata(*words: str, **fields: Any) -> Danger:
    def edit(ground: Ground) -> None:
        each = manifest(NUMBER, edited=True)
        ground.write(NUMBER, replace(each, metadata={**each.metadata, **fields}))

    return Danger(edit, (f"m{NUMBER:02}", *words))


def tenant(old: str, new: str, *words: str) -> Danger:
    def edit(ground: Ground) -> None:
        assert old in TENANT
        (ground.folder / "tenant.yaml").write_text(TENANT.replace(old, new), encoding="utf-8")

    return Danger(edit, words)


def unnamed(ground: Ground) -> None:
    each = manifest(NUMBER, edited=True)
    rest = {name: item for name, item in each.metadata.items() if name != "campaign_name"}
    ground.write(NUMBER, replace(each, metadata=rest))


FRIDAY = "Fri 2027-03-26 18:00"
NOW = "2027-03-01 07:00"

DANGERS = {
    "wrong campaign id": spec(
        "blocked by identity: this manifest was 1057 and is now 1099", number=57, campaign_id="1099"
    ),
    "id that the platform has not": spec(
        "blocked by identity: the platform has no campaign 9058", campaign_id="9058"
    ),
    "id of another manifest": spec(campaign_id="1035")._replace(words=None),
    "a.m. and p.m. swapped at the start": spec(
        "start_time Mon 2027-03-08 09:00 → Mon 2027-03-08 21:00 America/New_York (moved by exactly 12 h",
        start_time="2027-03-08 21:00",
    ),
    "a.m. and p.m. swapped at the end": spec(
        f"end_time {FRIDAY} → Fri 2027-03-26 06:00 America/New_York (moved by exactly 12 h",
        number=NARROWED,
        end_time="2027-03-26 06:00",
    ),
    "started on the evening before, a Sunday": spec(
        "start_time Mon 2027-03-08 09:00 → Sun 2027-03-07 21:00 America/New_York (moved by exactly 12 h",
        start_time="2027-03-07 21:00",
    ),
    "window dropped": spec(
        "compliance_windows[America/Chicago] 9-20 → none",
        number=NARROWED,
        compliance_windows=[{**NEW_YORK, "end_hour": 19}],
    ),
    "all windows dropped": spec("blocked by calling-windows", compliance_windows=[]),
    "rate x 4": spec(f"dial_rate 7.8 → 31.2 (raised {TIMES}4)", dial_rate=31.2),
    "rate x 10": spec(f"dial_rate 2.1 → 21 (raised {TIMES}10)", number=1, dial_rate=21.0),
    "rate x 4 in a row that looks large": spec(
        f"dial_rate 7 → 28 (raised {TIMES}4)", number=50, dial_rate=28.0
    ),
    "concurrency x 100": spec(
        f"max_concurrent_calls 15 → 1500 (raised {TIMES}100)",
        number=SMALL,
        max_concurrent_calls=1500,
    ),
    "DNC off": spec("dnc_verification true → false", dnc_verification=False),
    "zone swapped in a window": spec(
        "compliance_windows[America/Los_Angeles] none → 9-20",
        compliance_windows=[NEW_YORK, {**CHICAGO, "timezone": "America/Los_Angeles"}],
    ),
    "zone swapped in the schedule": spec(
        "timezone America/New_York → Asia/Tokyo",
        f"end_time {FRIDAY} America/New_York → Fri 2027-03-26 18:08 Asia/Tokyo",
        timezone="Asia/Tokyo",
    ),
    "window 0-23": spec(
        "compliance_windows[America/Chicago] 9-20 → 0-23 (newly calls before 8:00 or after 21:00)",
        compliance_windows=[NEW_YORK, {**CHICAGO, "start_hour": 0, "end_hour": 23}],
    ),
    "9-20 to 21-23": spec(
        "compliance_windows[America/Chicago] 9-20 → 21-23 (newly calls before 8:00 or after 21:00)",
        compliance_windows=[NEW_YORK, {**CHICAGO, "start_hour": 21, "end_hour": 23}],
    ),
    "start moved to now": spec(
        "start_time Mon 2027-03-08 09:00 → Mon 2027-03-01 07:00 America/New_York (7 days earlier",
        start_time=NOW,
    ),
    "end + 1 year": spec(
        f"end_time {FRIDAY} → Sun 2028-03-26 18:00 America/New_York (366 days later",
        end_time="2028-03-26 18:00",
    ),
    "start a week earlier": spec(
        "start_time Mon 2027-03-08 09:00 → Mon 2027-03-01 09:00 America/New_York (7 days earlier)",
        start_time="2027-03-01 09:00",
        end_time="2027-03-26 18:00",
    ),
    "end + 1 year on a weekday": spec(
        f"end_time {FRIDAY} → Fri 2028-03-24 18:00 America/New_York (364 days later)",
        end_time="2028-03-24 18:00",
    ),
    "end on a Sunday": spec(
        f"end_time {FRIDAY} → Sun 2027-03-28 18:00 America/New_York (2 days later, on a Sunday)",
        end_time="2027-03-28 18:00",
    ),
    "retirement": metadata("retire", "remove the schedule of Campaign 1058", retired=True),
    "profile that touches all": tenant(
        "max_concurrent_calls: 400",
        "max_concurrent_calls: 1600",
        f"max_concurrent_calls 400 → 1600 (raised {TIMES}4)",
    ),
    "profile that switches DNC off": tenant(
        "dnc_verification: true", "dnc_verification: false", "dnc_verification true → false"
    ),
    "limit loosened": tenant(
        "loosened_share: 1.0,",
        "loosened_share: 1.0, retired_share: 0.9,",
        "limits.retired_share",
        f"counts now 0.3 → from the next change on 0.9 (raised {TIMES}3)",
    ),
    "waiver added": tenant(
        "  profiles:",
        "  waivers: [{rule: calling-windows, name: m58, reason: pilot, until: 2027-12-31}]\n  profiles:",
        "waivers: calling-windows",
        "not waived → from the next change on waived for m58 until 2027-12-31",
    ),
    "level off": tenant(
        "{dnc-flag: warning}",
        "{dnc-flag: warning, calling-windows: 'off'}",
        "policies.calling-windows",
        "error → from the next change on off",
    ),
    "campaign_name removed": Danger(
        unnamed, ("campaign_name of m58", '"Campaign 1058" → from the next change on not checked')
    ),
    "requests_per_second x 10": tenant(
        "requests_per_second: 100",
        "requests_per_second: 1000",
        "requests_per_second (was 100)",
        f"1000 (raised {TIMES}10)",
    ),
    "mirror off": tenant("{mirror: true}", "{mirror: false}", "audit.mirror (was on)", "off"),
}


def rows_of(first_screen: str) -> list[str]:
    """Return the rows of a first screen as a reader sees them."""
    shown = re.sub(r"\\(.)", r"\1", first_screen).replace("&#8203;", "")
    return re.split(r"\n(?=  \S )|\n\| `", shown)


def first(output: str) -> str:
    """Return the first screen: 40 lines or 3,000 characters, whichever is shorter."""
    return "\n".join(output[:3000].split("\n")[:40])


@pytest.mark.parametrize("name", DANGERS)
def test_a_danger_among_harmless_edits_stands_on_the_first_screen_or_is_refused(
    ground: Ground, name: str
) -> None:
    danger = DANGERS[name]
    with ground.edited(danger.edit):
        if danger.words is None:
            with pytest.raises(ManifestError):
                ground.plan()
            return
        report = ground.plan()
    for output in (text.render(report), text.render(report, width=80), markdown.render(report)):
        shown = first(output)
        flat = [re.sub(r"\s+", " ", row) for row in rows_of(shown)]
        assert any(all(word in row for word in danger.words) for row in flat), "\n".join(flat)
        assert report.verdict in " ".join(shown.split()).replace("\\", "")
        assert re.search(r"\d+ more follow below", shown)
    assert not any(re.search(r"\d fields", row) for row in flat)


def test_the_harmless_edits_alone_are_worth_no_alarm(ground: Ground) -> None:
    report = ground.plan()
    worst = screen.worst(report)
    assert len(worst.rows) == screen.MOST_ROWS
    alarming = ("night", "Sunday", "safeguard", "unknown", "12 h", "blocked")
    assert not any(word in row.brief for word in alarming for row in worst.rows)
