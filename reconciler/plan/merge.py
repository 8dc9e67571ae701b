"""Merge changes in git with changes outside git, field by field."""

from __future__ import annotations

from typing import NamedTuple

from reconciler import diff, effect
from reconciler.kinds import Kind
from reconciler.models import Body


class Merged(NamedTuple):
    """The result of a merge: the body to store for one object. *By hand* means outside git.

    Attributes:
        meet: the live body, with each field that was widened by hand set back. Never wider than the live body.
        store: the meet, plus the desired values of the fields that git changed and of those in `unknown`. Both are `None`
            when live and desired have nothing in common, so that no schedule may be stored.
        held: fields that were narrowed by hand: desired is wider than `store`.
        unknown: fields that were changed by hand in an unknown direction. They are set back to desired.
        paused: whether a person paused the object with a limit of 0. Nothing dials then, and no API accepts a schedule with a limit of 0,
            so nothing is written: `meet` and `store` are the live body.
    """

    meet: Body | None
    store: Body | None
    held: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    paused: bool = False


_NOTHING = object()
"""The value of a field that a body does not have."""


def merge(base: Body, live: Body, desired: Body, kind: Kind) -> Merged:
    """Merge three canonical bodies of one object: applied last (base), stored now (live), and desired.

    | git changed the field | changed by hand | stored |
    |---|---|---|
    | no | no | live |
    | yes | no | desired |
    | no | narrower than desired | live; held |
    | no | a limit is set to 0 | live, and so are all other fields; held |
    | no | wider than desired | desired |
    | no | partly both | what both allow; held |
    | no | both allow nothing, and the field can say so (no windows of a skill) | nothing; held |
    | no | both allow nothing, and the field cannot say so | no schedule at all; held |
    | no | in an unknown direction | desired; unknown |
    | no | a field that base does not have (its version did not manage the field) | desired |
    | yes | in any way | desired: the commit decides |

    Some fields belong together (a span's start and end, a week's days) and allow nothing only as a whole.
    `Kind.storable` returns what the platform can hold then.
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
    if any(name in kind.limits and live[name] == 0 for name in held):
        return Merged(live, live, tuple(held), paused=True)
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
    """Return the body in a form that the platform can store. A body that is known to be storable is not checked."""
    if body == known:
        return body
    try:
        return kind.storable(body)
    except effect.UNREADABLE:  # store an unreadable value as it is, and not less
        return body
