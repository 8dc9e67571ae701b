"""A `Report`: the result of a command in the one form that every renderer can show.

The text, Markdown, HTML and GitHub renderers show the tables; JSON dumps `data`. `checks` builds the reports of rules and
manifests, `changes` those of plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.diff import is_name
from reconciler.errors import Place

if TYPE_CHECKING:
    from reconciler.report.figures import Chart, Figure
    from reconciler.report.plots import Plot

NAMES_SHOWN = 8
"""Maximum number of names listed under a row for several manifests; the rest are counted (JSON lists all)."""

SKEW_SHOWN_S = 60.0
"""Seconds between the platform's clock and this machine's from which a report mentions the difference."""


class Tone(StrEnum):
    """Emphasis of a line; the renderer decides how to show it."""

    PLAIN = "plain"
    GOOD = "good"
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    WARN = "warn"
    BAD = "bad"
    DIM = "dim"

    @property
    def symbol(self) -> str:
        """The character that replaces the colour in plain text; a space for a neutral tone."""
        return _SYMBOLS.get(self, " ")


_SYMBOLS = {
    Tone.GOOD: "=",
    Tone.ADD: "+",
    Tone.CHANGE: "~",
    Tone.REMOVE: "-",
    Tone.WARN: "!",
    Tone.BAD: "!",
}


class Risk(IntEnum):
    """Class of a row, in the order of the report."""

    REFUSED = 0
    """Why apply would refuse the plan as a whole."""
    BLOCKED = 1
    """Blocked by a finding of level error, or dialing although it was stopped."""
    WEAKENED = 2
    """A setting that this commit makes less strict."""
    LOOSENS = 3
    RETIRES = 4
    TIGHTENS = 5
    REST = 6


class Row(NamedTuple):
    """One line of a table: cells for people, and the same facts by name for formats that are no table.

    All text is raw. A renderer escapes it, and finds a fact by its attribute, never by its column.

    Attributes:
        cells: as many as the table has columns; missing ones are empty.
        details: lines that belong under the row.
        place: position in a file. A renderer shows it beside or under the row, so no cell repeats it.
        names: manifests that no renderer may leave out, because the row blocks, weakens a rule or may widen dialing.
        status: the row in one word: an action, a result, or the level of a finding.
        name: the manifest, or whatever else the row is about.
        key: the object's id on the platform.
        rule: the policy that a finding comes from.
        message: the row's text without its status, for formats with a separate place for it.
        seat: class of the row, and class within it: what it competes with for a place on the first screen (`screen`). `None`: it has no
            place there.
        head, brief: the row on the first screen: what it is about, and what changes.
        direction: of the change, if the row is about one; see `effect.Direction`.
        keys: ids of all objects whose change the row shows.
        figures: week strips to draw under the row.
        plots: plots of a proposal to draw under the row.
    """

    cells: tuple[str, ...]
    tone: Tone = Tone.PLAIN
    details: tuple[str, ...] = ()
    place: Place | None = None
    names: tuple[str, ...] = ()
    status: str = ""
    name: str = ""
    key: str = ""
    rule: str = ""
    message: str = ""
    seat: tuple[Risk, int] | None = None
    head: str = ""
    brief: str = ""
    direction: str = ""
    keys: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    plots: tuple[Plot, ...] = ()

    @property
    def must_show(self) -> bool:
        """Whether every renderer must show the row, because a reviewer must see it before approving."""
        return bool(self.names) or self.tone is Tone.BAD

    @property
    def heading(self) -> str:
        """Heading of the details, where a renderer shows them apart from the table."""
        key = f"({self.key})" if self.key else ""
        return " ".join(filter(None, (self.status, self.name, key))) or self.text

    @property
    def text(self) -> str:
        """The row on one line, without its status where `message` is set."""
        return (
            ": ".join(filter(None, (self.rule, self.name, self.message)))
            if self.message
            else ": ".join(filter(None, self.cells))
        )


def object_row(
    status: str,
    name: str,
    key: str,
    *more: str,
    tone: Tone,
    details: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
) -> Row:
    """Return the row of one object of the platform: its status, name and key, then any further cells."""
    cells = (status, name, key, *more)
    return Row(cells, tone, details, names=names, status=status, name=name, key=key)


class Table(NamedTuple):
    """A titled table. A self-explanatory column has an empty name. If all names are empty, no header is shown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class Report(NamedTuple):
    """The result of a command, ready for any renderer.

    Attributes:
        title: command and subject, e.g. "Plan for tenant acme".
        verdict: the answer in one sentence; always shown, whatever is cut.
        tone: of the verdict.
        exit_code: DESIGN §7.
        tables: in order of importance.
        notes: sentences after the tables.
        facts: short names and values that every format shows (digest, commit, clock).
        data: the result itself, JSON values only, for machines.
        charts: load over time, after the tables.
    """

    title: str
    verdict: str
    tone: Tone
    exit_code: int
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, str] | None = None
    data: Any = None
    charts: Sequence[Chart] = ()


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 change`` or ``2 changes``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def duration(seconds: float) -> str:
    """Format a duration in its two largest units: ``59 s``, ``1 min 30 s``, ``2 h 0 min``, ``1 d 0 h``."""
    left = round(abs(seconds))
    for large, small, per, size in (
        ("d", "h", 24, 3600),
        ("h", "min", 60, 60),
        ("min", "s", 60, 1),
    ):
        units = left // size  # of the smaller one; what is left of it is too small to be told
        if units >= per:
            return f"{units // per} {large} {units % per} {small}"
    return f"{left} s"


def value(thing: Any) -> str:
    """Format a JSON value for people: ``25``, ``true``, ``America/New_York 9-20``, ``none``."""
    match thing:
        case None:
            return "none"
        case bool():
            return str(thing).lower()
        case float():
            return repr(thing).removesuffix(".0")
        case list() | tuple():
            return ", ".join(value(item) for item in thing) or "none"
        case Mapping():
            items = [thing[name] for name in sorted(thing, key=_is_end)]  # a record sorts its keys
            texts = [item for item in items if is_name(item)]
            rest = "-".join(value(item) for item in items if not is_name(item))
            return " ".join(filter(None, [*texts, rest])) or "none"
        case _:
            return str(thing)


def _is_end(name: str) -> bool:
    """Return whether a key is the end of a range; an end is shown after its start."""
    return name.startswith("end")
