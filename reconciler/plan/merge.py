"""Merge what git wants with what somebody changed outside git, field by field."""

from __future__ import annotations

from typing import NamedTuple

from reconciler import diff, effect
from reconciler.kinds import Kind
from reconciler.models import Body


class Merged(NamedTuple):
    """What to store for one object.

    Attributes:
        meet: the live body with every field that only a hand widened taken back. Never wider than the live body.
        store: the meet with the fields that git changed, and those that nobody can judge, as desired. `None` in both: what
            a hand and the manifest allow together is nothing, so no schedule may be stored.
        held: fields that a hand narrowed: desired is wider than `store`.
        unknown: fields that a hand changed and nobody can judge: set back to desired.
    """

    meet: Body | None
    store: Body | None
    held: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


_NOTHING = object()
"""The value of a field that a body does not have."""


def merge(base: Body, live: Body, desired: Body, kind: Kind) -> Merged:
    """Merge three canonical bodies of one object: applied last, stored now, wanted now.

    | git changed the field | a hand changed it | stored |
    |---|---|---|
    | no | no | as it is |
    | yes | no | desired |
    | no | narrower than desired | live; held |
    | no | wider than desired | desired |
    | no | partly both | what both allow; held |
    | no | both allow nothing, and the field can say so (no windows of a skill) | nothing; held |
    | no | both allow nothing, and the field cannot say so | no schedule at all; held |
    | no | cannot be judged | desired; unknown |
    | no | to what base lacks (a field that base's version did not manage) | desired |
    | yes | in any way | desired: a commit to that very field decides |

    Fields that stand together (a span's start and end, a week's days) may allow nothing only as a whole; `Kind.storable`
    says what the platform can hold then.
    """
    meet, store = dict(live), dict(live)
    held, unknown = [], []
    disjoint = False
    for name in diff.moved(live, desired):
        wanted = desired.get(name, _NOTHING)
        applied = base.get(name, _NOTHING)
        by_hand = applied == wanted and name in base
        if not by_hand:
            _put(store, name, wanted)
            continue
        try:
            least = kind.rules[name](live, desired, name)
        except effect.Disjoint:
            disjoint = True
            held.append(name)
        except effect.UNREADABLE:
            unknown.append(name)
            _put(store, name, wanted)
        else:
            meet[name] = store[name] = least
            held += [name] if least != wanted else []
    if disjoint:
        return Merged(None, None, tuple(held), tuple(unknown))
    back = _storable(meet, live, kind)
    kept = store if store in (live, desired) else back and _storable(store, desired, kind)
    return Merged(back, kept, tuple(held), tuple(unknown))


def _put(body: dict[str, object], name: str, value: object) -> None:
    if value is _NOTHING:
        body.pop(name, None)
    else:
        body[name] = value


def _storable(body: Body, known: Body, kind: Kind) -> Body | None:
    """Return the body as the platform can hold it. One that it holds, or that a manifest names, needs no look."""
    if body == known:
        return body
    try:
        return kind.storable(body)
    except effect.UNREADABLE:  # a value that nobody can read is no reason to store less
        return body
