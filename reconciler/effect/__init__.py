"""Effect: what a change lets the dialer do, and in which direction that goes.

| module | question |
|---|---|
| `rules` | the most that two values of a field both allow |
| `directions` | does a change tighten or loosen? |
| `values` | how much: dialable minutes, calls per hour, safeguards |
| `change` | measures that for two bodies |
"""

from reconciler.effect.change import of_change
from reconciler.effect.directions import (
    Direction,
    Meaning,
    by_fields,
    combine,
    direction,
    of_field,
    of_hours,
    of_write,
)
from reconciler.effect.rules import (
    UNREADABLE,
    Disjoint,
    Rule,
    Slots,
    by_value,
    higher,
    lower,
    minutes,
    neutral,
    number,
    ordered,
    safeguard,
    shared,
    stretches,
    union,
    unknown,
)
from reconciler.effect.values import Effect, Limit, ZoneEffect

__all__ = [
    "UNREADABLE",
    "Direction",
    "Disjoint",
    "Effect",
    "Limit",
    "Meaning",
    "Rule",
    "Slots",
    "ZoneEffect",
    "by_fields",
    "by_value",
    "combine",
    "direction",
    "higher",
    "lower",
    "minutes",
    "neutral",
    "number",
    "of_change",
    "of_field",
    "of_hours",
    "of_write",
    "ordered",
    "safeguard",
    "shared",
    "stretches",
    "union",
    "unknown",
]
