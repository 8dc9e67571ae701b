"""Random reports, for the laws that hold in every format."""

from __future__ import annotations

from hypothesis import strategies as st

from reconciler.errors import Place
from reconciler.report import Report, Row, Table, Tone
from tests.renderers.sample import HOSTILE_VALUES

TEXTS = st.one_of(st.sampled_from(HOSTILE_VALUES), st.text(max_size=30))
TONES = st.sampled_from(Tone)
PLACES = st.builds(Place, TEXTS, st.integers(0, 99), st.integers(0, 99))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def texts(most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(TEXTS, max_size=most).map(tuple)


ROWS = st.builds(Row, texts(4), TONES, texts(2), st.none() | PLACES, st.just(()) | texts(2))
TABLES = st.builds(Table, TEXTS, texts(4), st.lists(ROWS, max_size=4).map(tuple))
REPORTS = st.builds(
    Report,
    title=TEXTS,
    verdict=TEXTS,
    tone=TONES,
    exit_code=st.integers(0, 77),
    tables=st.lists(TABLES, max_size=3),
    notes=texts(3),
    facts=st.none() | st.dictionaries(TEXTS, TEXTS, max_size=3),
    data=JSON_VALUES,
)
