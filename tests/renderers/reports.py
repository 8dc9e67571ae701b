"""Random reports, for the laws that hold in every format."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from reconciler.errors import Place
from reconciler.report import Report, Row, Table, Tone
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
            texts(4), rng.choice(list(Tone)), texts(2), rng.choice([None, place]), names, *facts
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
    )


REPORTS = st.builds(
    _report, st.lists(TEXTS, min_size=1, max_size=8), JSON_VALUES, st.integers(0, 2**32 - 1)
)
