"""`reconcile explain`: reference tables generated from the code. The pages in `.github/docs/` hold the same tables.

Each fact has one home: an exit code is a member of `ExitCode`, a rule a module in `policies`, a word an entry of
`report/words.py`, a field an attribute of a model, an environment variable a name in `environment`, an assumption a name
in `assumed`. Its meaning is the docstring below the name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, TypeAlias

from pydantic import BaseModel

from reconciler import environment as env
from reconciler.dialects.personal_connection import assumed
from reconciler.errors import ExitCode, UsageError, safe
from reconciler.models import MANIFESTS
from reconciler.models.fields import fields_of
from reconciler.models.schemas import docstrings
from reconciler.models.tenant import Tenant
from reconciler.optimize import STRATEGIES
from reconciler.policies import POLICIES
from reconciler.report import Report, Row, Table, Tone, words
from reconciler.simulate.scenarios import SCENARIOS

Topics: TypeAlias = Mapping[str, Callable[[], Sequence[Table]]]
"""The tables of each topic. The details of a row are shown when somebody asks for its name."""


def _row(name: str, *cells: str, details: tuple[str, ...] = ()) -> Row:
    return Row((name, *cells), details=details, name=name)


def exit_codes() -> Sequence[Table]:
    """Return every exit code, its meaning and what to do."""
    texts = docstrings(ExitCode)
    rows = [_row(str(code.value), *_sentences(texts[code.name])) for code in ExitCode]
    return [Table("Exit codes", ("code", "meaning", "what to do"), tuple(rows))]


def environment() -> Sequence[Table]:
    """Return every environment variable and its meaning."""
    rows = [_row(*cells) for cells in _variables()]
    return [Table("Environment variables", ("variable", "meaning"), tuple(rows))]


def rules() -> Sequence[Table]:
    """Return every rule, its level and when there is a finding; its manual page as details."""
    rows = [
        _row(
            policy.ID,
            policy.LEVEL.value,
            policy.WHEN,
            details=tuple((inspect.getdoc(policy) or "").splitlines()),
        )
        for policy in POLICIES.values()
    ]
    return [Table("Rules", ("rule", "level", "a finding when"), tuple(rows))]


def fields() -> Sequence[Table]:
    """Return every field of each kind of file: one table a kind."""
    models: Mapping[str, type[BaseModel]] = {**MANIFESTS, Tenant.__name__: Tenant}
    columns = ("field", "must be", "default", "meaning")
    return [
        Table(kind, columns, tuple(_row(*field) for field in fields_of(model)))
        for kind, model in models.items()
    ]


def glossary() -> Sequence[Table]:
    """Return the terms used in plans and reports, each with its meaning."""
    groups = {
        "State": words.STATES,
        "Action": words.ACTIONS,
        "Direction": words.DIRECTIONS,
        "Drift": words.DRIFTS,
        "Direction of drift": words.WAYS,
        "Result": words.RESULTS,
        "Approval": words.APPROVALS,
    }
    columns = ("word", "meaning")
    return [
        Table(title, columns, tuple(_row(word, meaning) for word, meaning in group.items()))
        for title, group in groups.items()
    ]


def assumptions() -> Sequence[Table]:
    """Return the unverified assumptions about the Personal Connection API, each with its evidence."""
    own = docstrings(assumed)
    constants = [name for name in own if name.isupper() and name != "BESIDE"]
    rows = [
        *(_row(name, *_evidence(own[name]), _shown(getattr(assumed, name))) for name in constants),
        *(_row(name, *_evidence(inspect.getdoc(it) or ""), "") for name, it in _functions()),
        *(_row(name, *_evidence(said), "") for name, said in assumed.BESIDE.items()),
    ]
    columns = ("name", "evidence", "assumption", "value")
    return [Table("Assumptions", columns, tuple(rows))]


def strategies() -> Sequence[Table]:
    """Return every strategy of `optimize`, with what it needs and what it proposes."""
    rows = [_row(name, each.NEEDS, each.PROMISES) for name, each in STRATEGIES.items()]
    return [Table("Strategies", ("strategy", "needs", "proposes"), tuple(rows))]


def scenarios() -> Sequence[Table]:
    """Return every scenario of `reconcile simulate`, and what is special about it."""
    rows = tuple(_row(each.name, each.about) for each in SCENARIOS.values())
    return [Table("Scenarios", ("scenario", "what is special"), rows)]


TOPICS: Final[Topics] = {
    "exit-codes": exit_codes,
    "environment": environment,
    "rules": rules,
    "words": glossary,
    "fields": fields,
    "assumptions": assumptions,
    "strategies": strategies,
    "scenarios": scenarios,
}
"""The topics that the code outside the command line knows."""


def explain(topic: str | None, topics: Topics) -> Report:
    """Return a topic's tables, or every row of that name with its details; the list of topics for `None`.

    Raises:
        UsageError: neither a topic nor a row has that name.
    """
    if topic is None:
        return _report("Explain", [_overview(topics)])
    if topic in topics:
        plain = [_plain(table) for table in topics[topic]()]
        return _report(f"Explain {topic}", plain)
    every = [table for tables in topics.values() for table in tables()]
    found = [_named(topic, table) for table in every]
    if not any(table.rows for table in found):
        raise UsageError(_unknown(topic, topics, every))
    return _report(f"Explain {topic}", [table for table in found if table.rows])


def _report(title: str, tables: Sequence[Table]) -> Report:
    data = [
        dict(zip((name.replace(" ", "_") for name in table.columns), row.cells, strict=True))
        for table in tables
        for row in table.rows
    ]
    verdict = "`reconcile explain NAME` explains a topic, or one row of it in full."
    return Report(title, verdict, Tone.PLAIN, ExitCode.DONE, tables, data=data)


def _overview(topics: Topics) -> Table:
    rows = [
        _row(name, ", ".join(f"{table.title} ({len(table.rows)})" for table in tables()))
        for name, tables in topics.items()
    ]
    return Table("Topics", ("topic", "holds"), tuple(rows))


def _plain(table: Table) -> Table:
    return table._replace(rows=tuple(row._replace(details=()) for row in table.rows))


def _named(name: str, table: Table) -> Table:
    return table._replace(rows=tuple(row for row in table.rows if name in _names(row)))


def _names(row: Row) -> set[str]:
    """Return the names of a row: its own, the last part of a path, a command or its group."""
    parts = [part for part in row.name.split() if part.isalpha() and part.islower()]
    return {row.name, row.name.rpartition(".")[2], " ".join(parts[1:]), *parts[1:2]} - {""}


_LIKE: Final = 0.75
"""How alike a name must be to be suggested: for a slip (`dail_rate`), and not for another word (`stale`, `start`)."""


def _unknown(topic: str, topics: Topics, every: Sequence[Table]) -> str:
    names = {*topics, *(name for table in every for row in table.rows for name in _names(row))}
    near = get_close_matches(topic, sorted(names), n=1, cutoff=_LIKE)
    meant = f"; did you mean {near[0]}?" if near else "."
    return f"no topic, rule, word, field, exit code, variable or command is named {safe(topic)!r}{meant} Topics: {', '.join(topics)}"


def _sentences(docstring: str) -> tuple[str, str]:
    """Return the first paragraph of a docstring and the rest, each on one line."""
    first, _, rest = docstring.partition("\n\n")
    return " ".join(first.split()), " ".join(rest.split())


def _variables() -> Iterator[tuple[str, str]]:
    """Yield every variable with the docstring below its name."""
    common = env.Variables()
    for home, values in ((env.Variables, common), (env, env)):
        for attribute, meaning in docstrings(home).items():
            names = getattr(values, attribute)
            for name in (names,) if isinstance(names, str) else names:
                yield name, " ".join(meaning.split())


def _functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the public functions of `assumed`."""
    for name, thing in inspect.getmembers(assumed, inspect.isfunction):
        if thing.__module__ == assumed.__name__ and not name.startswith("_"):
            yield name, thing


def _shown(value: object) -> str:
    """Return a constant as text; a set in order, so that the text is the same in every run."""
    if isinstance(value, frozenset):
        value = sorted(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _evidence(docstring: str) -> tuple[str, str]:
    """Return the evidence (`H`, `M`, `I`) and the sentence behind it: the paragraph that begins with one."""
    for paragraph in docstring.split("\n\n"):
        evidence, colon, said = " ".join(paragraph.split()).partition(": ")
        if colon and set(evidence) <= set("HMI/"):
            return evidence, said[0].upper() + said[1:]
    return "", " ".join(docstring.split())
