"""A report of two proposals with their plots, from plain data."""

from __future__ import annotations

from functools import cache

from reconciler.pacing.queueing import abandonment_queue
from reconciler.report import Report, Row, Table, Tone
from reconciler.report.plots import (
    At,
    Compared,
    Curve,
    HourRate,
    Measure,
    Range,
    RateDay,
    Rates,
)

CLOSED = "Sun"


def at(rate: float, agents: int = 45) -> At:
    low, mean, high = (
        abandonment_queue(agents, rate * share, 180).abandonment for share in (0.22, 0.25, 0.285)
    )
    return At(rate, Range(low, mean, high))


def rates(title: str = "Answer rate by hour of week, with 90 % intervals") -> Rates:
    days = tuple(
        RateDay(
            name,
            tuple(
                HourRate(hour, Range(share - width, share, share + width), hour * 10, binding=(name, hour) == ("Tue", 18))
                for hour in range(9, 20)
                for share in [0.15 + 0.001 * (hour - 9) * (20 - hour) + 0.01 * number]
                for width in [0.02 + 0.005 * number]
            ) if name != CLOSED else (),
        )
        for number, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", CLOSED))
    )  # fmt: skip
    return Rates(title, "Binding hour: Tue 18:00, 18 % (15 to 20 %) answer.", days)


def curve(title: str = "Predicted abandonment on Tue 18:00 with 45 agents") -> Curve:
    points = tuple(at(0.02 + 0.026 * number) for number in range(50))
    return Curve(title, points, 0.03, at(0.95), at(0.78))


def compared(title: str = "Predicted in the binding hour") -> Compared:
    return Compared(
        title,
        (
            Measure("Abandonment", Range(0.032, 0.051, 0.073), Range(0.012, 0.02, 0.029), 0.03),
            Measure("Utilisation", Range(0.9, 0.93, 0.96), None),
            Measure(
                "Contacts per hour", Range(600, 720, 800), Range(500, 560, 610), is_share=False
            ),
        ),
    )


def row(name: str, direction: str) -> Row:
    return Row(
        ("update", name, "1001", direction, "dial_rate 0.95 → 0.78"),
        Tone.CHANGE,
        ("45 agents can serve 0.17 live answers a second",),
        status="update",
        name=name,
        key="1001",
        direction=direction,
        plots=(compared(), rates(), curve()),
    )


@cache
def plotted() -> Report:
    """Return the report. It is made when a test first asks for it: every worker imports this module."""
    return Report(
        "Optimize tenant acme",
        "2 changes proposed; 1 schedule left as it is",
        Tone.CHANGE,
        0,
        (
            Table(
                "Proposals",
                ("action", "manifest", "id", "direction", "change"),
                (row("spring-renewals", "tighten"), row("win-back", "loosen")),
            ),
            Table(
                "Left as they are",
                ("manifest", "reason"),
                (Row(("reminders", "12 attempts are too few"), Tone.DIM),),
            ),
        ),
        ("nothing is edited and nothing applied",),
    )
