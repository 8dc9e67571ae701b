"""Injected faults: every answer of the contract's error list, and servers that lack optional features.

A fault is one line of text, for `--fault` and for `state.faults.add(...)`:

    KIND[:TARGET][:OPTION=VALUE,...]

    429                                                     every request is over the limit
    429:GET /api/campaigns:after=date,times=2               the next two lists, with a date to wait for
    reset-after:POST /api/campaigns/1001/schedule:times=1   one POST is executed, then the connection drops
    late:POST *:ms=300,p=0.2                                a fifth of the POSTs commit 300 ms after their 500
    locked:1001:for=90                                      the dialer refuses campaign 1001 for 90 seconds
    syncing:dnc-1                                           this list is SYNCING
    no-keys                                                 a server that ignores Idempotency-Key

TARGET is `METHOD /path`, either part alone, or a pattern with `*`; the default is every request that the kind can hit.
For `locked` it is a campaign id (default: all), for `syncing` a list id.

KIND                         does
400 403 404 409 412 422      answers so, executes nothing; never the token request
503                          answers so, executes nothing
401                          answers so, and the token that came stays refused; the token request: `invalid_client`
429                          answers so; `after=` is the Retry-After: text as it is, `date` for a date two seconds
                             ahead, `none` for no header (default `1`)
500                          answers so, executes nothing
500-after                    executes, then answers 500; the key keeps the true answer
500-stored                   the key keeps the 500, for a day; executes nothing, or with `commit=1` does
late                         answers 500 now, executes `ms=` later (default 300); meanwhile the key is in flight (409)
reset-before, reset-after    drops the connection, before or after it executes
slow                         executes only `ms=` later (default 1000); meanwhile the key is in flight (409)
hang                         executes; the answer comes only `ms=` later (default 60000), when nobody waits for it any more
truncated                    executes; the body ends in the middle
garbage                      executes; the body is no JSON
locked                       refresh answers 500: the dialer is locked
syncing                      the list is SYNCING, in the lists and for a refresh
short-page                   a page of campaigns or lists lacks a row, and `total` still counts it
shifted-page                 a page repeats its first row in place of its last
wrong-total                  `total` says one more than there are
no-keys                      Idempotency-Key is ignored
no-etags                     no ETag, `etag` is null, If-Match and If-None-Match are ignored
no-expand                    `expand` is ignored: no `dialer`, `schedule`, `etag`
reject-expand                400 naming `expand`
partial                      a settings block of a skill is not taken, and 206 says so in its body
no-bulk                      `/skills/parameters` does not exist
odd-bulk                     `/skills/parameters` says another aggressiveness than the block
old-stats                    the contacts' list has its older name

OPTION      says
times=N     N times, then never again (default: always)
skip=N      not the first N requests that match
for=S       only within S seconds of the platform's clock from the first request that matches
p=0.2       with this probability, drawn from the generator of `fault_seed`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from random import Random

from reconciler.sandbox.errors import FaultError

_ANY = ("* *",)
_LOGGED_IN = (
    *("* /api/campaigns*", "* /api/dialer/*", "* /api/dnc/*", "* /api/telemetry/*"),
    "* /inContactAPI/*",
)
_WRITES = ("POST /api/campaigns/*/schedule", "DELETE /api/campaigns/*/schedule")
_REFRESH = ("PUT /api/campaigns/*/actions/refresh",)
_PAGES = ("GET /api/campaigns", "GET /api/dnc/lists")
_READS = ("GET /api/campaigns", "GET /api/campaigns/*/schedule")

KINDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("401", "429", "500", "503"), _ANY),
    **dict.fromkeys(("400", "403", "404", "409", "412", "422"), _LOGGED_IN),
    **dict.fromkeys(("reset-before", "reset-after", "500-after", "slow", "hang"), _ANY),
    **dict.fromkeys(("truncated", "garbage"), _ANY),
    **dict.fromkeys(("500-stored", "late", "no-keys"), _WRITES),
    **dict.fromkeys(("short-page", "shifted-page", "wrong-total"), _PAGES),
    **dict.fromkeys(("no-expand", "reject-expand"), _PAGES[:1]),
    "no-etags": _READS + _WRITES,
    "partial": ("PUT /inContactAPI/*/parameters/*",),
    **dict.fromkeys(("no-bulk", "odd-bulk"), ("GET /inContactAPI/*/skills/parameters",)),
    "old-stats": ("GET /inContactAPI/*/wfm-data/*",),
    "locked": _REFRESH,
    "syncing": (),
}
"""Each kind, and the requests that it can hit."""

_OPTIONS: Mapping[str, frozenset[str]] = {
    "429": frozenset({"after"}),
    "500-stored": frozenset({"commit"}),
    "late": frozenset({"ms"}),
    "slow": frozenset({"ms"}),
    "hang": frozenset({"ms"}),
}
_MS: Mapping[str, int] = {"late": 300, "slow": 1000, "hang": 60_000}
_COMMON = frozenset({"times", "skip", "for", "p"})
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "*"})


@dataclass(slots=True)
class Fault:
    """An active fault.

    Attributes:
        spec: as given.
        kind: what goes wrong.
        target: pattern of `METHOD /path`, or a list's id.
        ms: delay of `late`, `slow` and `hang`.
        after: Retry-After of `429`.
        commit: whether a `500-stored` executes.
        fired: how often the fault was injected.
    """

    spec: str
    kind: str
    target: str = "*"
    times: int | None = None
    skip: int = 0
    seconds: float | None = None
    p: float = 1.0
    ms: int = 0
    after: str = "1"
    commit: bool = False
    fired: int = 0
    _seen: int = field(default=0, repr=False)
    _first_ms: int | None = field(default=None, repr=False)

    def hits(self, method: str, path: str) -> bool:
        """Whether the fault's target matches this request."""
        where = f"{method} {path}"
        able = any(fnmatchcase(where, pattern) for pattern in KINDS[self.kind])
        return able and fnmatchcase(where, self.target)

    def strikes(self, now_ms: int, random: Random) -> bool:
        """Count a matching request, and return whether the fault is injected into it."""
        self._seen += 1
        if not self.running(now_ms) or self._seen <= self.skip:
            return False
        if self.p < 1 and random.random() >= self.p:
            return False
        self.fired += 1
        return True

    def running(self, now_ms: int) -> bool:
        """Whether the fault can still be injected: neither `times` nor `for` is used up."""
        self._first_ms = now_ms if self._first_ms is None else self._first_ms
        over = self.seconds is not None and now_ms >= self._first_ms + self.seconds * 1000
        return not over and (self.times is None or self.fired < self.times)


class Faults:
    """The faults that one process injects into a platform.

    Args:
        specs: specifications, as in the module's description.
        seed: of the generator that probabilities are drawn from.

    Raises:
        FaultError: a specification is wrong.
    """

    def __init__(self, specs: Iterable[str] = (), *, seed: int = 0) -> None:
        self._random = Random(seed)  # noqa: S311 - faults must repeat from their seed
        self._all = [parse(spec) for spec in specs]

    def add(self, spec: str) -> Fault:
        """Activate a fault, and return it. Its `fired` counts how often it was injected.

        Raises:
            FaultError: the specification is wrong.
        """
        fault = parse(spec)
        self._all.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        self._all.clear()

    def draw(self, method: str, path: str, now_ms: int) -> dict[str, Fault]:
        """Return the faults to inject into this request, by kind."""
        return {
            fault.kind: fault
            for fault in self._all
            if fault.hits(method, path) and fault.strikes(now_ms, self._random)
        }

    def syncing(self, list_id: str, now_ms: int) -> bool:
        """Whether a DNC list must be reported as SYNCING."""
        return any(
            fault.kind == "syncing" and fnmatchcase(list_id, fault.target) and fault.running(now_ms)
            for fault in self._all
        )


def parse(spec: str) -> Fault:
    """Return the fault that a specification describes.

    Raises:
        FaultError: the specification is not valid. The message lists the valid ones.
    """
    kind, *rest = spec.split(":")
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(KINDS))}"
        raise FaultError(f"fault {spec!r}: there is no kind {kind!r}; {hint}")
    options = rest.pop() if rest and "=" in rest[-1] else ""
    if len(rest) > 1:
        raise FaultError(f"fault {spec!r}: must be KIND[:TARGET][:OPTION=VALUE,...]")
    fault = Fault(spec, kind, ms=_MS.get(kind, 0))
    fault.target = _target(spec, kind, rest[0] if rest else "")
    for option in filter(None, options.split(",")):
        _set(fault, *option.partition("=")[::2])
    return fault


def _target(spec: str, kind: str, text: str) -> str:
    if kind == "syncing":
        return text or "*"
    if kind == "locked":
        return f"PUT /api/campaigns/{text or '*'}/actions/refresh"
    if not text:
        return "* *"
    method, space, path = text.partition(" ")
    if not space:
        method, path = ("*", text) if text.startswith("/") else (text, "*")
    if method not in _METHODS or not path.startswith(("/", "*")):
        raise FaultError(
            f"fault {spec!r}: a target is METHOD /path, or either part; * stands for any"
        )
    return f"{method} {path}"


def _set(fault: Fault, name: str, text: str) -> None:
    known = _COMMON | _OPTIONS.get(fault.kind, frozenset())
    if fault.kind == "syncing":
        known = frozenset({"for"})
    if name not in known:
        listed = ", ".join(sorted(known))
        raise FaultError(
            f"fault {fault.spec!r}: {fault.kind} has no option {name!r}; it has {listed}"
        )
    if name == "after":
        fault.after = text
        return
    try:
        _set_number(fault, name, text)
    except ValueError:
        raise FaultError(
            f"fault {fault.spec!r}: {name}={text} is not a number it can use"
        ) from None


def _set_number(fault: Fault, name: str, text: str) -> None:
    if name == "for":
        fault.seconds = _between(float(text), 0, 1e9)
    elif name == "p":
        fault.p = _between(float(text), 0, 1)
    elif name == "commit":
        fault.commit = bool(_between(int(text), 0, 1))
    else:
        setattr(fault, name, int(_between(int(text), 0, 10**9)))


def _between(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(value)
    return value
