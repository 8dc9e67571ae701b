"""Turn pydantic's errors into plain sentences that say what to write."""

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
"""Path within a document: keys and list positions."""

_KEY = "[key]"
"""The last step of pydantic's error path if the key of a mapping is wrong, not its value."""

_SHOWN = 60
"""Most characters of a wrong value that a message shows."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error of a document.

    Attributes:
        loc: path of the error; for a missing key, the path of its mapping.
        message: what is wrong and what to write.
        of_key: the error is about a key, not about its value.
    """

    loc: Loc
    message: str
    of_key: bool = False


def sentences(
    error: ValidationError, model: type[BaseModel], plain: Callable[[Loc], str | None]
) -> Iterator[Complaint]:
    """Yield one complaint for each cause of a validation error.

    Args:
        error: raised by pydantic.
        model: the model that the document was validated against.
        plain: returns the text of an unquoted scalar as it stands in the file, such as `1e3`; `None` for anything else.
    """
    details = error.errors(include_url=False)
    unknown = {each["loc"]: _meant(each["loc"], model) for each in details if _is_unknown(each)}
    named = set(unknown.values())
    for detail in details:
        loc = detail["loc"]
        match detail["type"]:
            case "missing" if loc in named:  # an unknown key is this one, misspelled or misplaced
                continue
            case "missing":
                text = f"{_label(loc)} is missing: it must be {_spot(model, loc).expected}"
                yield Complaint(loc[:-1], text, of_key=True)
            case "too_short" if any(_is_inside(each["loc"], loc) for each in details):
                continue  # pydantic counts valid items only, and each invalid one has its own complaint
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


def _is_inside(loc: Loc, outer: Loc) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _is_unknown(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden"


def _wrong(detail: ErrorDetails, spot: FieldType, plain: str | None) -> str:
    value = detail["input"]
    words = spot.expected or detail["msg"]
    is_number = type(value) in {int, float}
    shown = plain if is_number and plain is not None else _show(value)
    return f"{_label(detail['loc'])} must be {words}, not {shown}{_hint(detail, spot, plain)}"


def _hint(detail: ErrorDetails, spot: FieldType, plain: str | None) -> str:
    """Suggest how to correct a wrong type: add quotes, remove them, or use another word. Suggests only values that the model accepts."""
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
    """Return the most likely intended key for an unknown key: one with similar spelling in the same mapping, or the same key in another section."""
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
        return f"{_label(loc)} is not supported: {why}"
    where = f" in {_label(loc[:-1])}" if len(loc) > 1 else ""
    if meant is None:
        hint = f"known are {', '.join(_by_key(within) if within else ())}"
    elif meant[:-1] == loc[:-1]:
        hint = f"did you mean {meant[-1]}?"
    else:
        hint = f"it belongs in {_label(meant[:-1])}"
    return f"unknown key {_show(loc[-1])}{where}: {hint}"


def _label(loc: Loc) -> str:
    """Return a path for messages: ``compliance_windows[0].start_hour``, without the section `spec`."""
    parts = loc[1:] if len(loc) > 1 and loc[0] == "spec" else loc
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "the document"


def _show(value: object) -> str:
    """Return a value in YAML notation, shortened."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _spot(model: type[BaseModel], loc: Loc) -> FieldType:
    """Return the type at a path."""
    here = FieldType(model)
    for part in loc:
        here = here.at(part)
    return here


class FieldType:
    """A type within a model.

    Attributes:
        model: the model, if the type is one.
        origin: generic type of a list or a mapping (`tuple`, `dict`).
        expected: words for what a value must be; if the type has none, those of the nearest type above.
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
        """Return whether the type alone would accept a value."""
        try:
            here: Any = Annotated[self._annotation, *self._metadata]
            TypeAdapter(here).validate_python(value, strict=True)
        except (ValidationError, PydanticUserError):
            return False
        return True

    def at(self, part: str | int) -> FieldType:
        """Return the type one step down; `object` for an unknown step."""
        if self.model is not None:
            field = _by_key(self.model).get(str(part))
            if field is None:
                return FieldType(object, above=self.expected)
            return FieldType(field.annotation, tuple(field.metadata), self.expected)
        items = [arg for arg in get_args(self._annotation) if arg is not Ellipsis]
        return FieldType(items[0 if part == _KEY else -1] if items else object, above=self.expected)


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}
