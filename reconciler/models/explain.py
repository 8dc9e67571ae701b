"""Pydantic's errors as plain sentences that say what to write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
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


def sentences(
    error: ValidationError, model: type[BaseModel], plain: Callable[[Loc], str | None]
) -> Iterator[Complaint]:
    """Yield every error of a document that was validated against `model`: one for each cause.

    Args:
        error: pydantic's.
        model: what the document should be.
        plain: returns what a scalar without quotes says in the file, which its value may not show (`1e3`); `None` where it cannot tell.
    """
    details = error.errors(include_url=False)
    unknown = {each["loc"]: _meant(each["loc"], model) for each in details if _is_unknown(each)}
    named = set(unknown.values())
    for detail in details:
        loc = detail["loc"]
        match detail["type"]:
            case "missing" if loc in named:  # the unknown key is this one, misspelt or misplaced
                continue
            case "missing":
                text = f"{_label(loc)} is missing: it must be {_spot(model, loc).expected}"
                yield Complaint(loc[:-1], text, of_key=True)
            case "extra_forbidden":
                yield Complaint(loc, _unknown(loc, unknown[loc], model), of_key=True)
            case "value_error":
                yield Complaint(loc, f"{_label(loc)} {detail['ctx']['error']}")
            case _ if loc[-1:] == (_KEY,):
                expected = _spot(model, (*loc[:-2], _KEY)).expected
                text = f"the name {_show(loc[-2])} must be {expected}"
                yield Complaint(loc[:-1], text, of_key=True)
            case _:
                yield Complaint(loc, _wrong(detail, _spot(model, loc), plain(loc)))


def _is_unknown(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden"


def _wrong(detail: ErrorDetails, spot: Spot, plain: str | None) -> str:
    value = detail["input"]
    words = spot.expected or detail["msg"]
    is_number = type(value) in {int, float}
    shown = plain if is_number and plain is not None else _show(value)
    return f"{_label(detail['loc'])} must be {words}, not {shown}{_hint(detail, spot, plain)}"


def _hint(detail: ErrorDetails, spot: Spot, plain: str | None) -> str:
    """Return what a wrong type most often needs: quotes, or none, or the one word for it. Only what would then be right."""
    value = detail["input"]
    if detail["type"] == "string_type" and type(value) in {bool, int, float}:
        text = json.dumps(value) if plain is None else plain
        return f": put it in quotes, {json.dumps(text)}" if spot.takes(text) else ""
    if detail["type"] in {"int_type", "float_type", "bool_type"} and isinstance(value, str):
        if _is_plain(value) and spot.takes(json.loads(value)):
            return ": write it without quotes"
        if detail["type"] == "bool_type" and value.lower() in TRUTHS:
            return f": write {json.dumps(TRUTHS[value.lower()])}"
    return ""


def _is_plain(text: str) -> bool:
    try:
        return type(json.loads(text)) in {int, float, bool}
    except ValueError:
        return False


def _meant(loc: Loc, model: type[BaseModel]) -> Loc | None:
    """Return the key that an unknown one most likely is: one of the same mapping, misspelt, or one of another section."""
    *above, key = loc
    within = _spot(model, tuple(above)).model
    near = get_close_matches(str(key), _by_key(within) if within else (), n=1)
    if near:
        return (*above, near[0])
    for section in _by_key(model):
        other = _spot(model, (section,)).model
        if other is not None and str(key) in _by_key(other):
            return (section, key)
    return None


def _unknown(loc: Loc, meant: Loc | None, model: type[BaseModel]) -> str:
    within = _spot(model, loc[:-1]).model
    cannot = within.CANNOT if within is not None and issubclass(within, Strict) else {}
    if (why := cannot.get(str(loc[-1]))) is not None:
        return f"{_label(loc)} cannot be held: {why}"
    where = f" in {_label(loc[:-1])}" if len(loc) > 1 else ""
    if meant is None:
        hint = f"known are {', '.join(_by_key(within) if within else ())}"
    elif meant[:-1] == loc[:-1]:
        hint = f"did you mean {meant[-1]}?"
    else:
        hint = f"it belongs in {_label(meant[:-1])}"
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


def _spot(model: type[BaseModel], loc: Loc) -> Spot:
    """Return what stands at a location."""
    here = Spot(model)
    for part in loc:
        here = here.at(part)
    return here


class Spot:
    """A type within a model: the model that it is, the type of its items, and what it must be.

    `expected` are the words that stand beside the type; the nearest ones above when it has none. `origin` is the generic type
    of a list or a mapping (`tuple`, `dict`).
    """

    def __init__(
        self,
        annotation: Any,
        metadata: tuple[Any, ...] = (),
        above: str = "",
    ) -> None:
        while get_origin(annotation) in {Annotated, Union, UnionType}:
            if get_origin(annotation) is Annotated:
                annotation, *more = get_args(annotation)
                metadata = (*metadata, *more)
            else:
                annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
        self._annotation, self._metadata = annotation, metadata
        self.origin: type | None = get_origin(annotation)
        words = next((item.words for item in metadata if isinstance(item, Expects)), "")
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        self.model: type[BaseModel] | None = annotation if is_model else None
        self.expected = words or ("a mapping of keys" if is_model else above)

    def takes(self, value: object) -> bool:
        """Return whether a value would be right here, as far as the type alone can tell."""
        try:
            here: Any = Annotated[self._annotation, *self._metadata]
            TypeAdapter(here).validate_python(value, strict=True)
        except (ValidationError, PydanticUserError):
            return False
        return True

    def at(self, part: str | int) -> Spot:
        """Return the type one step further; an unknown step is anything at all."""
        if self.model is not None:
            field = _by_key(self.model).get(str(part))
            if field is None:
                return Spot(object, above=self.expected)
            return Spot(field.annotation, tuple(field.metadata), self.expected)
        items = [arg for arg in get_args(self._annotation) if arg is not Ellipsis]
        return Spot(items[0 if part == _KEY else -1] if items else object, above=self.expected)


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}
