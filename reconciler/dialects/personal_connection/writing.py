"""Write a skill block by block: read everything first, narrow, then widen, and read each block back.

| step | what happens |
|---|---|
| 0 | read every block, and every group that will change; if the skill is not as planned against, stop without a write |
| 1 | write every field that narrows, in all blocks: from here on the skill dials less or the same |
| 2 | stop if a wider pace would meet a skill that was started meanwhile; write the rest, and remember every block that widens |
| a step fails | set the fields that step 2 widened back to their values after step 1; narrowed fields stay |

The API has no idempotency keys and no conditions, and a write replaces a whole block. So a block is read again before its write is repeated,
before a later block is written, and before it is set back. What somebody else changed meanwhile is left alone. A membership is read
again before its change is repeated, and whether the skill runs before every attempt to set a wider pace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from reconciler import diff, effect
from reconciler.dialects.answers import object_call
from reconciler.dialects.calls import JSON, Call, Exchange
from reconciler.dialects.personal_connection import assumed
from reconciler.dialects.personal_connection.answers import SkillAnswer
from reconciler.dialects.personal_connection.blocks import BLOCKS, PACE, Block, Part, is_odd_pace
from reconciler.dialects.personal_connection.reading import (
    group_path,
    is_running,
    read_members,
    skill_of,
    skill_path,
)
from reconciler.errors import (
    AccessError,
    ApiError,
    PartlyWritten,
    ReconcileError,
    UncertainWrite,
)
from reconciler.kinds.live import Live, Stored
from reconciler.kinds.skill import KIND
from reconciler.models import Body

T = TypeVar("T")

GROUPS: Final = "dnc_groups"
MOVED: Final = 412
"""Precondition failed: the object differs from the state that was planned against."""

REFUSED: Final = range(400, 500)
"""Statuses after which nothing was done."""

_TAKEN: Final = frozenset({200, 202, 204, 206})

_UNKNOWN: Final = "whether it was executed is unknown"
_LOST: Final = "there was no usable answer, and somebody else changed the settings since"


def write(key: str, body: Body | None, *, token: str, live: Live) -> Exchange[Stored]:
    """Store `body` as the schedule of a skill.

    Args:
        key: the skill.
        body: canonical body, whole.
        token: sent as `CorrelationId`, to match the platform's records with the audit records.
        live: what was read just before, and whether the skill was running when the write was judged.

    Raises:
        ApiError: refused, and nothing was written; 412 when somebody else wrote, or started the skill, meanwhile.
        PartlyWritten: the write failed between the blocks; widened fields were set back.
        UncertainWrite: widened fields could not be set back, or were left because somebody else changed them, or it is unknown what was
            executed.
    """
    if body is None or live.stored is None:
        raise ApiError(
            400,
            skill_path(key),
            ["a skill always holds a schedule: none can be removed, or created"],
        )
    before = KIND.canonical(live.stored)
    writing = _Writing(key, token, {**before}, stood=not live.running)
    narrow = _narrowed(before, body)
    try:
        yield from writing.look(body)
        yield from writing.to(narrow)
        writing.widening = True
        yield from writing.stands_still(body)
        yield from writing.to(body)
    except ReconcileError as error:
        if not writing.began and (not writing.open or _is_refusal(error)):
            raise
        if writing.open and _is_refusal(error):
            writing.forget_last()
        yield from _put_back(writing, narrow, error)
    return Stored(None)


def _narrowed(before: Body, desired: Body) -> dict[str, Any]:
    """Return `before` with those fields of `desired` that do not widen dialing. Pacing with an odd value is written whole, later."""
    found = {**before}
    later = PACE.fields if is_odd_pace(before) else ()
    for name in diff.moved(before, desired):
        if name not in later and not effect.of_field(name, before, desired, KIND.rules).widens:
            found[name] = desired[name]
    return found


def _is_refusal(error: ReconcileError) -> bool:
    """Whether an error means that its call had no effect."""
    return isinstance(error, AccessError) or (
        isinstance(error, ApiError) and error.status in REFUSED
    )


def _put_back(writing: _Writing, narrow: Body, error: ReconcileError) -> Exchange[None]:
    """Set widened fields back, and raise the error that describes the remaining state."""
    where = error.where if isinstance(error, ApiError) else skill_path(writing.key)
    status = error.status if isinstance(error, ApiError) else 0
    said = list(error.reasons) if isinstance(error, ApiError) else [str(error)]
    try:
        yield from writing.back(narrow)
    except ReconcileError as trouble:
        said.append(
            f"and the widened settings could not be restored ({trouble}): check the skill on the platform"
        )
        raise UncertainWrite(status, where, said) from error
    if writing.left:
        said.append(
            f"somebody else changed {', '.join(writing.left)} meanwhile, which was left as it is"
        )
    restored = [name for name in writing.widened if name not in writing.left]
    if restored:
        said.append(f"the widened settings were restored ({', '.join(restored)})")
    elif writing.open and not _is_refusal(error):
        raise UncertainWrite(status, where, [*said, _UNKNOWN]) from error
    # What was left may be a narrowing of what was written, so the write counts as executed.
    raise (UncertainWrite if writing.left else PartlyWritten)(status, where, said) from error


@dataclass(slots=True)
class _Writing:
    """A write in progress.

    Attributes:
        key: the skill.
        token: its `CorrelationId`.
        now: the body that the skill holds, as far as known.
        stood: whether the write was judged for a skill that does not run.
        began: whether anything was written.
        open: whether a sent write is not answered yet.
        widening: whether writes from now on may widen.
        widened: fields that were widened, or may have been.
        last: the widened fields of the last write.
        left: widened fields that were not set back, because somebody else changed their block.
        sent: the fields of each block as last sent, by path.
        raws: blocks as last read, by path.
        images: blocks as read before the first write, by path.
        unlinked: groups that were removed, or may have been.
    """

    key: str
    token: str
    now: dict[str, Any]
    stood: bool
    began: bool = False
    open: bool = False
    widening: bool = False
    widened: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    sent: dict[str, Part] = field(default_factory=dict)
    raws: dict[str, JSON] = field(default_factory=dict)
    images: dict[str, JSON] = field(default_factory=dict)
    unlinked: list[str] = field(default_factory=list)

    def look(self, target: Body) -> Exchange[None]:
        """Read the blocks and groups that will be replaced.

        Raises:
            ApiError: 412 when the skill is not as planned against.
        """
        answers = yield from SkillAnswer.ask_all([self._call("GET", block) for block in BLOCKS])
        for block, answer in zip(BLOCKS, answers, strict=True):
            if self._take(block, answer) != _part(block, self.now):
                raise _moved(answer.call, block.name)
        self.images = {**self.raws}
        had = set(self.now[GROUPS])
        members = yield from read_members(sorted(had ^ set(target[GROUPS])))
        if any((self.key in keys) != (group in had) for group, keys in members.items()):
            raise _moved(answers[0].call, "the DNC groups")

    def stands_still(self, target: Body) -> Exchange[None]:
        """Before a wider pace, check that the skill was not started since it was planned: it would take effect at once, which the rules did not judge.

        Raises:
            ApiError: 412 when it runs.
        """
        same = all(self.now.get(name) == target.get(name) for name in KIND.immediate)
        if same or not (self.stood and self.widening):
            return
        answer = yield from SkillAnswer.ask(object_call(skill_path(self.key)))
        if is_running(answer, skill_of(answer, self.key)):
            said = "the skill was started since it was planned: plan again"
            raise ApiError(MOVED, answer.call.where, [said])

    def to(self, target: Body) -> Exchange[None]:
        """Write every block in which a field differs from `target`."""
        for block in BLOCKS:
            if any(self.now.get(name) != target.get(name) for name in block.fields):
                yield from self._write(block, target)
        if self.now.get(GROUPS) != target[GROUPS]:
            yield from self._link(target)

    def _read(self, block: Block) -> Exchange[Part]:
        """Read a block and return its fields."""
        answer = yield from SkillAnswer.ask(self._call("GET", block))
        return self._take(block, answer)

    def _take(self, block: Block, answer: SkillAnswer) -> Part:
        raw = self.raws[block.path] = block.inner(answer.reply.json)
        try:
            return block.read(raw)
        except (AttributeError, KeyError, TypeError, ValueError):
            said = f"the settings block {block.name} violates the contract"
            raise answer.wrong(said) from None

    def _write(self, block: Block, target: Body) -> Exchange[None]:
        if self.began and (yield from self._read(block)) != _part(block, self.now):
            raise _moved(self._call("GET", block), block.name)
        if block is PACE and self.began:
            yield from self.stands_still(target)
        self._mark(block.fields, target)
        yield from self._put(block, self.raws[block.path], target)
        self.now |= _part(block, target)

    def _put(self, block: Block, raw: JSON, target: Body) -> Exchange[None]:
        """Replace a block, read it back and compare. Odd values that were in the block can only be put back with the block as received."""
        part = self.sent[block.path] = _part(block, target)
        body = raw if block.read(raw) == part else block.pack(raw, part)
        call = self._call("PUT", block, json={block.name: body})
        call = replace(call, again=self._again(call, block, target))
        sent = yield from self._send(call)
        sent.require_taken()
        answer = yield from SkillAnswer.ask(self._call("GET", block))
        held = self._take(block, answer)
        wrong = sorted(name for name in part if held.get(name) != part[name])
        if wrong:
            said = [
                f"{each} was sent as {part[each]} and is stored as {held.get(each)}"
                for each in wrong
            ]
            raise answer.wrong("; ".join(said))

    def _again(self, call: Call, block: Block, target: Body) -> Callable[[bool], Exchange[bool]]:
        """Return what precedes another attempt to write a block: it is sent only while the block is as last read."""
        before = self.raws[block.path]

        def again(is_unsure: bool) -> Exchange[bool]:  # noqa: FBT001 - see `Call.again`
            part = yield from _reread(self._read(block), call, is_unsure=is_unsure)
            if part == self.sent[block.path]:
                return True
            if self.raws[block.path] != before:
                self.raws[block.path] = before
                raise (
                    UncertainWrite(0, call.where, [_LOST])
                    if is_unsure
                    else _moved(call, block.name)
                )
            if block is PACE:
                yield from self.stands_still(target)
            return False

        return again

    def _link(self, target: Body) -> Exchange[None]:
        """Change memberships so that exactly the groups of `target` scrub the skill; read back and compare."""
        had, wanted = set(self.now.get(GROUPS, ())), set(target[GROUPS])
        self._mark((GROUPS,), target)
        self.unlinked = sorted(had - wanted)
        calls = [self._membership("POST", group) for group in sorted(wanted - had)]
        calls += [self._membership("DELETE", group) for group in self.unlinked]
        for call in calls:
            yield from self._send(call)
        touched = sorted(had ^ wanted)
        members = yield from read_members(touched)
        wrong = [group for group in touched if (self.key in members[group]) != (group in wanted)]
        if wrong:
            raise ApiError(
                200, calls[0].where, [f"group {', '.join(wrong)} is read back as before"]
            )
        self.now[GROUPS] = list(target[GROUPS])

    def _send(self, call: Call) -> Exchange[SkillAnswer]:
        """Send a write. `open` is set until the answer arrives."""
        self.open = True
        answer = yield from SkillAnswer.ask(call)
        self.began, self.open = True, False
        return answer

    def _mark(self, names: tuple[str, ...], target: Body) -> None:
        if self.widening:
            self.last = [name for name in names if self.now.get(name) != target.get(name)]
            self.widened += self.last

    def forget_last(self) -> None:
        """Forget the widened fields of the last write, because it was refused.

        Widened memberships are kept, because several writes change them.
        """
        if GROUPS not in self.last:
            self.widened = [name for name in self.widened if name not in self.last]

    def back(self, narrow: Body) -> Exchange[None]:
        """Set widened fields back, unless somebody else changed their block meanwhile. Fields that nobody manages stay as they are now."""
        self.widening = False
        for block in BLOCKS:
            if names := [name for name in block.fields if name in self.widened]:
                shown = block.read(self.raws[block.path])
                held = yield from self._read(block)
                if self._is_ours(block, held, shown, narrow):
                    image, now = self.images[block.path], self.raws[block.path]
                    yield from self._put(block, block.restored(image, now), narrow)
                else:
                    self.left += names
        if GROUPS in self.widened:
            yield from self._link_again()

    def _is_ours(self, block: Block, held: Part, shown: Part, narrow: Body) -> bool:
        """Return whether a block holds what was sent, or what it held before. If it was read back as something else, it must not become wider."""
        before = _part(block, narrow)
        if held in (self.sent[block.path], before):
            return True
        return held == shown and not any(
            effect.of_field(name, {**narrow, **held}, narrow, KIND.rules).widens
            for name in diff.moved(held, before)
        )

    def _link_again(self) -> Exchange[None]:
        """Restore the memberships that were removed. Adding an existing membership has no effect."""
        for group in self.unlinked:
            yield from self._send(self._membership("POST", group))
        members = yield from read_members(self.unlinked)
        lost = [group for group, keys in members.items() if self.key not in keys]
        if lost:
            raise ApiError(200, group_path(lost[0]), ["the group does not scrub the skill again"])

    def _call(self, method: str, block: Block, json: JSON = None) -> Call:
        path = skill_path(self.key, "parameters", block.path)
        expects = frozenset({200}) if method == "GET" else _TAKEN
        return Call(method, path, headers=self._headers, json=json, expects=expects)

    def _membership(self, method: str, group: str) -> Call:
        expects = assumed.MEMBERSHIP_DONE if method == "POST" else assumed.MEMBERSHIP_GONE
        path = group_path(group, self.key)

        call = Call(method, path, headers=self._headers, expects=expects)

        def again(is_unsure: bool) -> Exchange[bool]:  # noqa: FBT001 - see `Call.again`
            members = yield from _reread(read_members([group]), call, is_unsure=is_unsure)
            return (self.key in members[group]) == (method == "POST")

        return replace(call, again=again)

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"CorrelationId": self.token}


def _reread(reads: Exchange[T], call: Call, *, is_unsure: bool) -> Exchange[T]:
    """Read what decides whether a write is sent again. A refusal of the reads is no refusal of an attempt that may have been executed.

    Raises:
        UncertainWrite: the reads were refused, and an earlier attempt may have been executed.
        AccessError, ApiError: the reads were refused, and no attempt was executed.
    """
    try:
        return (yield from reads)
    except (AccessError, ApiError) as error:
        if is_unsure:
            raise UncertainWrite(0, call.where, [f"{_UNKNOWN}: {error}"]) from error
        raise


def _moved(call: Call, what: str) -> ApiError:
    said = f"{what} of the skill changed since it was planned: plan again"
    return ApiError(MOVED, call.where, [said])


def _part(block: Block, body: Body) -> Part:
    return {name: body.get(name) for name in block.fields}
