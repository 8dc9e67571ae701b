"""Pydantic's errors as plain sentences that say what to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from reconciler.models.base import TRUTHS, Expects, Strict

Loc: TypeAlias = tuple[str | int, ...]
"""Where in a document: keys and list positions."""

_KEY = "[key]"
"""Pydantic's last step to a mapping's key, where the key itself is wrong."""

_SHOWN = 60
"""Characters of a wrong value that a message repeats."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error of a document.

    Attributes:
        loc: where; for a missing key, the mapping that lacks it.
        message: what is wrong and what to write.
        of_key: it is about a key, not about the value beside it.
    """

    loc: Loc
    message: str
    of_key: bool = False


def sentences(error: ValidationError, model: type[BaseModel]) -> Iterator[Complaint]:
    """Yield every error of a document that was validated against `model`."""
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        match detail["type"]:
            case "missing":
                text = f"{_label(loc)} is missing: it must be {_expected(model, loc)}"
                yield Complaint(loc[:-1], text, of_key=True)
            case "extra_forbidden":
                yield Complaint(loc, _unknown(loc, _within(model, loc[:-1])), of_key=True)
            case "value_error":
                yield Complaint(loc, f"{_label(loc)} {detail['ctx']['error']}")
            case _ if loc[-1:] == (_KEY,):
                text = f"the name {_show(loc[-2])} must be {_expected(model, (*loc[:-2], _KEY))}"
                yield Complaint(loc[:-1], text, of_key=True)
            case _:
                yield Complaint(loc, _wrong(detail, _expected(model, loc)))


def _wrong(detail: ErrorDetails, expected: str) -> str:
    value = detail["input"]
    words = expected or detail["msg"]
    return f"{_label(detail['loc'])} must be {words}, not {_show(value)}{_hint(detail)}"


def _hint(detail: ErrorDetails) -> str:
    """Return what a wrong type most often needs: quotes, or none, or the one word for it."""
    value = detail["input"]
    if detail["type"] == "string_type" and type(value) in {int, float}:
        return f': put it in quotes, "{value}"'
    if detail["type"] in {"int_type", "float_type", "bool_type"} and isinstance(value, str):
        if _is_plain(value):
            return ": write it without quotes"
        if detail["type"] == "bool_type" and value.lower() in TRUTHS:
            return f": write {json.dumps(TRUTHS[value.lower()])}"
    return ""


def _is_plain(text: str) -> bool:
    try:
        return type(json.loads(text)) in {int, float, bool}
    except ValueError:
        return False


def _unknown(loc: Loc, within: type[BaseModel] | None) -> str:
    cannot = within.CANNOT if within is not None and issubclass(within, Strict) else {}
    if (why := cannot.get(str(loc[-1]))) is not None:
        return f"{_label(loc)} cannot be held: {why}"
    known = _by_key(within) if within else {}
    where = f" in {_label(loc[:-1])}" if len(loc) > 1 else ""
    near = get_close_matches(str(loc[-1]), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"unknown key {_show(loc[-1])}{where}: {hint}"


def _label(loc: Loc) -> str:
    """Return a location as people say it: ``compliance_windows[0].start_hour``; the section spec goes without saying."""
    parts = loc[1:] if len(loc) > 1 and loc[0] == "spec" else loc
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "the document"


def _show(value: object) -> str:
    """Return a value as YAML would show it, short."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _expected(model: type[BaseModel], loc: Loc) -> str:
    """Return the words that stand beside the type at a location; the nearest ones above when it has none."""
    words, here = "", _Spot(model)
    for part in loc:
        here = here.at(part)
        words = here.words or ("a mapping of keys" if here.model else words)
    return words


def _within(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """Return the model at a location; `None` where there is none."""
    here = _Spot(model)
    for part in loc:
        here = here.at(part)
    return here.model


class _Spot:
    """A type within a model: its words, the model that it is, the type of its items."""

    def __init__(self, annotation: Any, metadata: tuple[Any, ...] = ()) -> None:  # noqa: ANN401 - a type
        while get_origin(annotation) in {Annotated, Union, UnionType}:
            if get_origin(annotation) is Annotated:
                annotation, *more = get_args(annotation)
                metadata = (*metadata, *more)
            else:
                annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
        self._annotation = annotation
        self.words = next((item.words for item in metadata if isinstance(item, Expects)), "")
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        self.model: type[BaseModel] | None = annotation if is_model else None

    def at(self, part: str | int) -> _Spot:
        """Return the type one step further; an unknown step is anything at all."""
        if self.model is not None:
            field = _by_key(self.model).get(str(part))
            return _Spot(field.annotation, tuple(field.metadata)) if field else _Spot(object)
        items = [arg for arg in get_args(self._annotation) if arg is not Ellipsis]
        return _Spot(items[0 if part == _KEY else -1]) if items else _Spot(object)


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}
