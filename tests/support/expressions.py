"""The part of GitHub's expression language that our workflows use.

An unknown name or function is an error, not an empty string."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|[!(),]|[A-Za-z_][\w-]*(?:\.[\w-]+)*)")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
OPEN = frozenset({"outputs", "secrets", "vars"})
"""Contexts in which GitHub gives an empty string for a name that is not set; elsewhere a wrong name is a mistake."""


class ExpressionError(Exception):
    """An expression that this evaluator does not know."""


def fill(value: Any, contexts: Mapping[str, Any], **functions: Callable[..., Any]) -> Any:
    """Return a YAML value with its expressions evaluated. An expression that is a whole string keeps its type."""
    if isinstance(value, dict):
        return {key: fill(item, contexts, **functions) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, contexts, **functions) for item in value]
    if not isinstance(value, str):
        return value
    whole = _EXPRESSION.fullmatch(value)
    if whole:
        return evaluate(whole[1], contexts, **functions)
    return _EXPRESSION.sub(lambda each: str(evaluate(each[1], contexts, **functions)), value)


def evaluate(text: str, contexts: Mapping[str, Any], **functions: Callable[..., Any]) -> Any:
    """Return the value of an expression, given without `${{ }}`."""
    return _Reader(text, contexts, {"fromJSON": json.loads} | functions).whole()


class _Reader:
    """Reads an expression by recursive descent: `||`, `&&`, `== !=`, `!`, then names, calls, strings."""

    def __init__(
        self, text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
    ):
        self._text, self._contexts, self._functions = text, contexts, functions
        self._tokens = _tokens(text)

    def whole(self) -> Any:
        value = self._or()
        if self._tokens:
            raise ExpressionError(f"{self._text}: {self._tokens[0]} is not understood")
        return value

    def _or(self) -> Any:
        value = self._and()
        while self._took("||"):
            other = self._and()
            value = value or other
        return value

    def _and(self) -> Any:
        value = self._equality()
        while self._took("&&"):
            other = self._equality()
            value = value and other
        return value

    def _equality(self) -> Any:
        value = self._unary()
        if self._took("=="):
            return value == self._unary()
        if self._took("!="):
            return value != self._unary()
        return value

    def _unary(self) -> Any:
        if self._took("!"):
            return not self._unary()
        if self._took("("):
            value = self._or()
            self._expect(")")
            return value
        return self._atom()

    def _atom(self) -> Any:
        if not self._tokens:
            raise ExpressionError(f"{self._text}: ends too early")
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self._took("("):
            return self._call(token)
        return self._look_up(token)

    def _call(self, name: str) -> Any:
        if name not in self._functions:
            raise ExpressionError(f"{self._text}: no function {name}")
        arguments = []
        while not self._took(")"):
            arguments.append(self._or())
            self._took(",")
        return self._functions[name](*arguments)

    def _look_up(self, path: str) -> Any:
        value: Any = self._contexts
        above = ""
        for name in path.split("."):
            if not isinstance(value, Mapping) or (name not in value and above not in OPEN):
                raise ExpressionError(f"{self._text}: there is no {path}")
            value, above = value.get(name, ""), name
        return value

    def _took(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._took(token):
            raise ExpressionError(f"{self._text}: {token} is missing")


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"{text}: {text[at:]} is not understood")
        found.append(match[1])
        at = match.end()
    return found
