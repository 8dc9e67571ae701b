"""Reports that every renderer is shown: a plan as a reader meets it, and one whose every value is hostile."""

from __future__ import annotations

from reconciler.errors import Place
from reconciler.report import Report, Row, Table, Tone

_FOLDER = "schedules/sandbox"


def _changes() -> tuple[Row, ...]:
    return (
        Row(
            ("autumn-winback", "1006", "create", "loosens"),
            Tone.ADD,
            (
                "dial_rate: 12 calls/s, at most 300 at once",
                "2027-09-06 09:00 to 2027-11-26 18:00 (America/Chicago, DST ends 2027-11-07)",
                "calling hours: America/Chicago 9-20, America/New_York 9-20",
            ),
            name="autumn-winback",
            key="1006",
        ),
        Row(
            ("12 campaigns", "1010-1021", "update", "tightens"),
            Tone.CHANGE,
            (
                "dial_rate: 25 → 20",
                ", ".join(f"clinic-{n:02}" for n in range(1, 13)),
            ),
            name="12 campaigns",
            key="1010-1021",
        ),
        Row(
            ("spring-renewals", "1001", "update", "mixed"),
            Tone.CHANGE,
            (
                "end_time: 2027-01-15T23:00:00Z → 2027-01-22T23:00:00Z",
                "compliance_windows[America/New_York]: 8-21 → 9-20",
            ),
            name="spring-renewals",
            key="1001",
        ),
        Row(
            ("market-survey", "1004", "retire", "tightens"),
            Tone.REMOVE,
            ("schedule: sch-88 → none",),
            name="market-survey",
            key="1004",
        ),
        Row(
            ("debt-reminders", "1003", "held", "loosens"),
            Tone.WARN,
            (
                "dial_rate: 5 → 15",
                "narrowed by hand since it was last applied: commit to its manifest, import it, or approve this operation",
            ),
            name="debt-reminders",
            key="1003",
        ),
    )


def _findings() -> tuple[Row, ...]:
    return (
        Row(
            (
                "error",
                "tenant-limits",
                "spring-renewals: dial_rate 60 is above the tenant's 50 calls/s: lower it",
            ),
            Tone.BAD,
            place=Place(f"{_FOLDER}/renewals.yaml", 14, 14),
            status="error",
            name="spring-renewals",
            rule="tenant-limits",
            message="dial_rate 60 is above the tenant's 50 calls/s: lower it",
        ),
        Row(
            (
                "warning",
                "dnc-list",
                'autumn-winback: the linked list "Federal DNC" is SYNCING: apply will wait for it',
            ),
            Tone.WARN,
            place=Place(f"{_FOLDER}/winback.yaml", 9, 3),
            status="warning",
            name="autumn-winback",
            rule="dnc-list",
            message='the linked list "Federal DNC" is SYNCING: apply will wait for it',
        ),
        Row(
            ("info", "ended", "holiday-greeting: ended 2026-12-24, so it may be retired"), Tone.DIM
        ),
    )


SAMPLE = Report(
    title="Plan for tenant sandbox",
    verdict="1 to create, 13 to update, 1 to retire; 1 held, 1 blocked by an error",
    tone=Tone.BAD,
    exit_code=5,
    tables=(
        Table("Changes", ("campaign", "id", "action", "direction"), _changes()),
        Table("Findings", ("level", "rule", "finding"), _findings()),
    ),
    notes=(
        "31 schedules match their manifests.",
        "2 campaigns are not managed by any manifest and will not be changed: 1008, 1009",
    ),
    facts={
        "digest": "8f2cb0a4d9d1e7c35b60fd6b61a8be0c9a64f1d1c1f5f90f8a7e3a4b5c6d7e8f",
        "commit": "04d89858a1b7c3d2e9f0a1b2c3d4e5f60718293a",
        "platform clock": "2027-01-11T13:58:02Z (1.2 s ahead of ours)",
    },
    data={
        "changes": [
            {
                "action": "update",
                "campaign_id": "1001",
                "fields": {"dial_rate": {"desired": 20.0, "live": 25.0}},
            },
        ],
        "digest": "8f2cb0a4d9d1e7c35b60fd6b61a8be0c9a64f1d1c1f5f90f8a7e3a4b5c6d7e8f",
        "tenant": "sandbox",
    },
)

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
