"""Good inputs made bad: bytes that are cut and spliced, JSON in which one place says something else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "0", "-1", "\ud800", "\u202e", "a\0b", "\x1b[2J", "x" * 9000, "../..", "1e999"),
    *("2027-02-30T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+23:59"),
    *("2027-01-11", "24:00", "America/Nowhere", "sideways", "held"),
    *([], {}, [[]], [None], {"": None}, {"id": "1"}, [{}], [{"id": []}]),
)
"""What stands in place of a good value."""

SNIPPETS: tuple[bytes, ...] = (
    *(b"&a ", b"*a", b"!!python/object:os.system ", b"%YAML 1.1\n", b"---\n", b"...\n", b"<<: "),
    *(b"\t", b"\0", b"\xff\xfe", b"\xed\xa0\x80", "\u202e".encode(), "\u2028".encode(), b"\r"),
    *(b"{", b"[", b"]", b"}", b": ", b"- ", b"? ", b"|\n", b">-\n", b"'", b'"', b"#", b"@", b"`"),
    *(b"0x1F", b"1e999", b"NaN", b".inf", b"9" * 5000, b"[" * 300, b"{a: " * 300, b"- " * 300),
)
"""What is put into good bytes."""

_MOVES = ("drop", "odd", "odd", "odd", "repeat", "deepen", "rename")


@st.composite
def mangled(draw: st.DrawFn, goods: tuple[bytes, ...]) -> bytes:
    """Return good bytes after a few cuts, insertions and moves."""
    data = draw(st.sampled_from(goods))
    for _ in range(draw(st.integers(1, 4))):
        lines = data.splitlines(keepends=True) or [b""]
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match draw(
            st.sampled_from(["cut", "drop", "repeat", "indent", "snippet", "bytes", "swap"])
        ):
            case "cut":
                data = data[: draw(st.integers(0, len(data)))]
                continue
            case "drop":
                del lines[at]
            case "repeat":
                lines.insert(other, lines[at])
            case "indent":
                lines[at] = b" " * draw(st.integers(1, 5)) + lines[at]
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case what:
                bits = st.sampled_from(SNIPPETS) if what == "snippet" else st.binary(max_size=6)
                cut = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + draw(bits) + lines[at][cut:]
        data = b"".join(lines)
    return data


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container and key (or index) of a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(pairs):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


@st.composite
def changed(draw: st.DrawFn, goods: tuple[Any, ...]) -> Any:
    """Return a good JSON value with a few places changed, as JSON can hold it."""
    value = deepcopy(draw(st.sampled_from(goods)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value)) if isinstance(value, dict | list) else []
        if not places:
            return draw(st.sampled_from(ODD))
        where, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(_MOVES)):
            case "drop":
                del where[key]
            case "repeat" if isinstance(where, list):
                where.insert(key, deepcopy(where[key]))
            case "deepen":
                where[key] = [where[key]]
            case "rename" if isinstance(where, dict):
                where[draw(st.sampled_from(["", "x", key.upper()]))] = where.pop(key)
            case _:
                where[key] = deepcopy(draw(st.sampled_from(ODD)))
    return value


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
