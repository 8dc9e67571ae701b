"""Reports that every renderer is shown: a plan as a reader meets it, and one whose every value is hostile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import Place
from reconciler.kinds.live import Live
from reconciler.models import Desired
from reconciler.plan import Strictness, Weakening, build
from reconciler.policies.base import Level
from reconciler.report import Report, Row, Table, Tone
from reconciler.report.changes import of_plan
from tests.support.bodies import make_body, make_window
from tests.support.factories import (
    KINDS,
    make_desired,
    make_finding,
    make_live,
    make_origin,
    make_retired,
    make_silent,
    make_snapshot,
)

NOON = datetime(2027, 1, 4, 12, 0, tzinfo=UTC)
LONDON, DENVER = make_window("Europe/London", 9, 18), make_window("America/Denver", 9, 20)


def _wanted(key: str, name: str, **fields: Any) -> Desired:
    body = make_body(campaign_id=key, **fields)
    return make_desired(key, name=name, body=body, place=Place(f"schedules/acme/{name}.yaml", 1, 1))


def _held(key: str, name: str, **fields: Any) -> Live:
    return make_live(key, name=name, stored=make_body(campaign_id=key, **fields))


def _few() -> Iterator[tuple[Desired, Live]]:
    """Yield a change of each kind."""
    yield _wanted("1006", "autumn-winback", dial_rate=12.0), make_silent("1006", name="Winback")
    for number in range(12):
        key = str(1010 + number)
        slower = _wanted(key, f"clinic-{number + 1:02}", dial_rate=20.0)
        yield slower, _held(key, f"Clinic {number + 1}")
    yield (
        _wanted(
            "1001",
            "spring-renewals",
            end_time="2027-01-17T23:00:00Z",
            dial_rate=60.0,
            compliance_windows=[make_window(start=10)],
        ),
        _held("1001", "Spring Renewals"),
    )
    yield _wanted("1002", "night-shift", dnc_verification=False), _held("1002", "Night Shift")
    yield make_retired("1004", name="market-survey"), _held("1004", "Market Survey")


def _many() -> Iterator[tuple[Desired, Live]]:
    """Yield more changes than one screen holds; the last but one is the worst."""
    yield from _few()
    for number in range(30):
        key = str(1100 + number)
        rate = 10.0 if number % 2 else 9.5 - number / 10
        fields = {"compliance_windows": [make_window(), LONDON]} if number % 3 else {}
        slower = _wanted(
            key, f"branch-{number:02}", dial_rate=round(rate + number / 100, 2), **fields
        )
        yield slower, _held(key, f"Branch {number}", dial_rate=10.0, **fields)
    night = [make_window(), make_window("America/Denver", 21, 23)]
    yield (
        _wanted("1200", "collections", dial_rate=40.0, compliance_windows=night),
        _held("1200", "Collections", dial_rate=10.0, compliance_windows=[make_window(), DENVER]),
    )
    odd = [make_window(end=25)]
    yield _wanted("1201", "surveys"), _held("1201", "Surveys", compliance_windows=odd)


def _planned(pairs: Iterable[tuple[Desired, Live]], *weakenings: Weakening) -> Report:
    desired, live = zip(*pairs, strict=True)
    limit = make_finding(
        "1001",
        name="spring-renewals",
        message="dial_rate 60 is above the tenant's limit of 50: lower it",
        place=Place("schedules/acme/spring-renewals.yaml", 14, 14),
    )
    syncing = make_finding(
        "1006",
        name="autumn-winback",
        rule="dnc-list",
        level=Level.WARNING,
        message='the linked list "Federal DNC" is SYNCING: apply will wait for it',
        place=Place("schedules/acme/autumn-winback.yaml", 9, 3),
    )
    plan = build(
        make_origin(commit="04d89858a1b7c3d2e9f0a1b2c3d4e5f60718293a"),
        (*desired, make_desired("1007")),
        make_snapshot((*live, make_live("1007"), make_live("1008"), make_live("1009")), at=NOON),
        KINDS,
        findings=(limit, syncing),
        strictness=Strictness(weakenings=weakenings),
    )
    return of_plan(plan, exit_code=5)


SAMPLE = _planned(_few())
"""A plan with a change of each kind."""

LONG = _planned(_many(), Weakening("limits.loosened_share", "0.3", "0.6", (), factor=2.0))
"""A plan that is longer than the first screen."""

CLEAN = Report(
    title="Plan for tenant sandbox",
    verdict="No changes. 47 schedules match their manifests.",
    tone=Tone.GOOD,
    exit_code=0,
    data={"changes": []},
)

HOSTILE_VALUES = (
    "<script>alert(1)</script>",
    "a|b||c",
    "`code` ``` ````` fence",
    "two\nlines\r\nand a carriage\rreturn",
    "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07 \x9b2J \x7f",
    "\u202egnirts\u202c zero\u200bwidth \u2028 \ufeff \u2066x\u2069",
    "::add-mask::secret",
    "\u00a0 ::stop-commands::token",
    "x ##[error]y ##[add-mask]z",
    "@team #12 org/repo#3 &#64;team &commat;team",
    "![image](https://evil.example/x.png) [link](javascript:alert(1)) https://evil.example www.evil.example",
    "*bold* _under_ ~~gone~~ $x^2$ \\ {x} <!-- -->",
    "```\n::error::x\n```",
    "</details></table></main>",
    '" onload="x',
    "%0A::error::x,line=1:2",
    "東京 e\u0301 \U0001f600",
    "\ud800",
    "# heading",
    "- - -",
    "",
)


def _hostile_rows() -> tuple[Row, ...]:
    tones = list(Tone)
    return tuple(
        Row((value, value), tones[n % len(tones)], (value,), Place(value or "f", n, n), name=value)
        for n, value in enumerate(HOSTILE_VALUES)
    )


_ALL = " ".join(HOSTILE_VALUES)

HOSTILE = Report(
    title=_ALL,
    verdict=_ALL,
    tone=Tone.WARN,
    exit_code=2,
    tables=(Table(_ALL, ("value", HOSTILE_VALUES[6]), _hostile_rows()),),
    notes=HOSTILE_VALUES,
    facts={f"{n} {value}": value for n, value in enumerate(HOSTILE_VALUES)},
    data={"values": list(HOSTILE_VALUES), _ALL: None},
)
