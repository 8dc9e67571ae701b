"""Random reports, for the laws that hold in every format."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from reconciler.errors import Place
from reconciler.report import Report, Row, Table, Tone
from reconciler.report.figures import (
    Bar,
    Chart,
    Day,
    Figure,
    Level,
    LoadDay,
    Part,
    Strip,
)
from reconciler.report.plots import At, Compared, Curve, HourRate, Measure, Range, RateDay, Rates
from tests.renderers.sample import HOSTILE_VALUES

TEXTS = st.one_of(st.sampled_from(HOSTILE_VALUES), st.text(max_size=30))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def _report(pool: list[str], data: object, seed: int) -> Report:
    """Build a report whose texts are those of `pool`. To let Hypothesis draw each part of it takes five times as long."""
    rng = random.Random(seed)

    def texts(most: int) -> tuple[str, ...]:
        return tuple(rng.choices(pool, k=rng.randint(0, most)))

    def row() -> Row:
        place = Place(rng.choice(pool), rng.randint(0, 99), rng.randint(0, 99))
        names = rng.choice([(), texts(2)])
        facts = [rng.choice(["", *pool]) for _ in range(5)]  # status, name, key, rule, message
        return Row(
            texts(4),
            rng.choice(list(Tone)),
            texts(2),
            rng.choice([None, place]),
            names,
            *facts,
            direction=rng.choice(["", "loosen", *pool]),
            figures=tuple(figure() for _ in range(rng.randint(0, 1))),
            plots=plots() if rng.randint(0, 1) else (),
        )

    def span() -> Range:
        return Range(*sorted(rng.choice([0, rng.random()]) for _ in range(3)))

    def plots() -> tuple[Rates | Curve | Compared, ...]:
        hours = tuple(HourRate(hour, span(), 9, rng.choice([True, False])) for hour in (0, 23))
        days = tuple(RateDay(rng.choice(pool), rng.choice([(), hours])) for _ in range(2))
        at = [At(rng.choice([0.5, 2.5]), span()) for _ in range(3)]
        measure = Measure(rng.choice(pool), span(), rng.choice([None, span()]), 0.03)
        return (
            Rates(rng.choice(pool), rng.choice(pool), days),
            Curve(rng.choice(pool), tuple(at[:1]), 0.03, at[1], at[2]),
            Compared(rng.choice(pool), (measure,)),
        )

    def bar() -> Bar:
        start = rng.randrange(1440)
        return Bar(start, rng.randint(start + 1, 1440), rng.choice(list(Part)))

    def day() -> Day:
        words = [rng.choice(pool) for _ in range(4)]
        bars = tuple(bar() for _ in range(rng.randint(0, 2)))
        return Day(
            *words[:2], bars, *words[2:], 60, 0, rng.choice([None, (0, 60)]), rng.choice(pool)
        )

    def figure() -> Figure:
        days = tuple(day() for _ in range(rng.randint(1, 2)))
        strip = Strip(rng.choice(pool), days, rng.choice(pool), rng.choice([True, False]))
        return Figure(texts(2), (strip,), rng.choice(pool))

    def chart() -> Chart:
        level = Level(0, 60, rng.choice([0, 1.5]), rng.choice([0, 2.5]))
        days = (
            LoadDay(
                rng.choice(pool), rng.choice(pool), 1, (level,), *level[2:], 60, rng.choice(pool)
            ),
        )
        said = [rng.choice(pool) for _ in range(3)]
        return Chart(
            *said[:2], days, said[2], rng.choice([None, 2.0]), rng.choice([True, False]), texts(2)
        )

    def rows() -> tuple[Row, ...]:
        return tuple(row() for _ in range(rng.randint(0, 4)))

    facts = {rng.choice(pool): rng.choice(pool) for _ in range(rng.randint(0, 3))}
    return Report(
        title=rng.choice(pool),
        verdict=rng.choice(pool),
        tone=rng.choice(list(Tone)),
        exit_code=rng.randint(0, 77),
        tables=[Table(rng.choice(pool), texts(4), rows()) for _ in range(rng.randint(0, 3))],
        notes=texts(3),
        facts=rng.choice([None, facts]),
        data=data,
        charts=[chart() for _ in range(rng.randint(0, 1))],
    )


REPORTS = st.builds(
    _report, st.lists(TEXTS, min_size=1, max_size=8), JSON_VALUES, st.integers(0, 2**32 - 1)
)
