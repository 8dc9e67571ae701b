"""Parse answers of the Personal Connection API, in addition to what every dialect parses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from reconciler.dialects import answers
from reconciler.dialects.answers import Part
from reconciler.dialects.calls import JSON, Reply
from reconciler.dialects.personal_connection import assumed

TOP: Final = 100
"""Most rows per page."""


@dataclass(frozen=True, slots=True)
class SkillAnswer(answers.Answer):
    """A reply and its call, with the readers of this API."""

    WRAPPERS: ClassVar = assumed.WRAPPERS

    def text(self, part: Part, name: str) -> str:
        """Return a text; empty when it is null or missing."""
        return answers.Answer.text(self, part, name) or ""

    def number(self, part: Part, name: str) -> float:
        """Return a number from 0 up; 0 when it is null or missing."""
        return answers.Answer.number(self, part, name) or 0

    def require_taken(self) -> None:
        """Refuse the answer to a write of which some items were not done.

        Raises:
            ApiError: some items failed; the message names them.
        """
        if failed := [*failed_items(self.reply.json)]:
            raise self.wrong(f"not all of it was taken: {'; '.join(failed)}")

    def start(self, part: Part) -> datetime:
        """Return the start of an interval in UTC; one without an offset is in UTC, as all dates of this API are."""
        for name in assumed.INTERVAL_START:
            if name in part:
                return self.instant(part, name, naive_is_utc=True)
        raise self.wrong(f"an interval has no start: none of {', '.join(assumed.INTERVAL_START)}")


def failed_items(value: JSON) -> Iterator[str]:
    """Yield the messages of the items that a 200 or a 206 reports as failed. They are not shortened or escaped."""
    if isinstance(value, list):
        for item in value:
            yield from failed_items(item)
    if isinstance(value, dict):
        said = [value[name] for name in assumed.FAILED_ITEM if value.get(name)]
        if value.get("success") is False or said:
            yield (
                "; ".join(map(str, said)) or "an item was not done, and the answer does not say why"
            )
        for item in value.values():
            if isinstance(item, dict | list):
                yield from failed_items(item)


def explain(reply: Reply) -> tuple[str, ...]:
    """Return the reason for a refusal, from the body or else from the header."""
    body = reply.json if isinstance(reply.json, dict) else {}
    error, named = body.get("error"), ("error_description", "errorDescription", "message")
    description = next((body[name] for name in named if body.get(name)), None)
    said = [str(part) for part in (error, description) if part]
    header = reply.headers.get("icstatusdescription")
    return (": ".join(said),) if said else (header,) if header else ()
