"""Queueing formulas of a dialer: abandonment, waiting, utilisation, lines. Numbers in, numbers out.

Symbols: N agents; T mean handle time with wrap-up, in seconds; λ live answers per second; a = λT the offered load, in
erlangs; τ the patience, in seconds. Live answers are a Poisson stream. A dialer at a constant rate makes one: a random ring
time delays calls and keeps the stream Poisson.

Sources: Erlang B and C, and Erlang A (Palm) as in Mandelbaum and Zeltyn 2005; abandonment after a fixed patience (M/M/N+D)
as in Baccelli and Hebuterne 1981.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

PATIENCE_S: Final = 2.0
"""Seconds within which a live person must reach an agent; after that the call counts as abandoned."""

RING_LIVE_S: Final = 10.0
"""Mean seconds that a call rings until a live person answers."""

RING_NONE_S: Final = 18.0
"""Seconds that a call rings until the dialer gives up."""

MOST_SERVERS: Final = 100_000
"""Most servers of the formulas: each takes one step of a recursion."""

LARGEST: Final = 1e9
"""Largest rate, time and load of the formulas; the smallest handle time is its inverse."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue in steady state.

    Attributes:
        abandonment: share of the arrivals that hang up before they are served, 0 to 1.
        waiting: probability that an arrival finds every server busy, 0 to 1.
        wait_s: mean seconds in the queue, over all arrivals, served or not.
        queue_length: mean number of waiting arrivals.
        utilisation: share of the servers that is busy, 0 to 1.
    """

    abandonment: float
    waiting: float
    wait_s: float
    queue_length: float
    utilisation: float


def erlang_b(servers: int, load: float) -> float:
    """Return the probability that all servers are busy when nobody waits (M/G/N/N).

    The recursion B(0) = 1, B(k) = a B(k-1) / (k + a B(k-1)) is the stable form: no factorial, no overflow.

    Args:
        servers: N, 0 to `MOST_SERVERS`.
        load: a, in erlangs, 0 or more.

    Raises:
        ValueError: an argument is out of range.

    >>> round(erlang_b(15, 8.108), 7)
    0.0099996
    """
    _check_servers(servers, least=0)
    _check_from_zero("load", load, "erlangs")
    return _blocked(servers, load)


def _blocked(servers: int, load: float) -> float:
    """Return `erlang_b` of arguments that are in range."""
    blocked = 1.0
    for busy in range(1, int(servers) + 1):
        blocked = load * blocked / (busy + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Return the probability that an arrival waits when everybody waits until served (M/M/N).

    At a load of N or more the queue grows without end, and the result is 1. The mean wait is C T / (N - a).

    Args:
        servers: N, 1 to `MOST_SERVERS`.
        load: a, in erlangs, 0 or more.

    Raises:
        ValueError: an argument is out of range.

    >>> round(erlang_c(14, 10), 6)
    0.174132
    """
    _check_servers(servers)
    blocked = erlang_b(servers, load)
    if load >= servers:
        return 1.0
    return blocked / (1 - load / servers * (1 - blocked))


def erlang_a(servers: int, arrivals_per_s: float, handle_time_s: float, patience_s: float) -> Queue:
    """Return the queue whose waiting callers hang up after an exponential patience (M/M/N+M, Palm's Erlang A).

    The queue's states are a birth-death chain. Their weights relative to "all busy, nobody waits" are summed until they no
    longer count.

    Args:
        servers: N, 1 to `MOST_SERVERS`.
        arrivals_per_s: λ, 0 or more.
        handle_time_s: T, above 0.
        patience_s: mean patience, above 0.

    Raises:
        ValueError: an argument is out of range.

    >>> round(erlang_a(50, 48 / 60, 60, 120).abandonment, 6)
    0.030912
    """
    _check_servers(servers)
    _check_from_zero("arrivals_per_s", arrivals_per_s, "arrivals per second")
    _check_positive("handle_time_s", handle_time_s, "seconds")
    _check_positive("patience_s", patience_s, "seconds")
    load = arrivals_per_s * handle_time_s
    if not load:
        return Queue(0.0, 0.0, 0.0, 0.0, 0.0)
    relative = load / servers
    weight = _weight_of_waiting(relative, servers * patience_s / handle_time_s)
    blocked = _blocked(servers, load)
    waiting = blocked / ((1 - blocked) / weight + blocked)
    lost = max(0.0, waiting * (1 - 1 / relative + 1 / (relative * weight)))
    wait_s = lost * patience_s
    utilisation = min(1.0, relative * (1 - lost))
    return Queue(lost, waiting, wait_s, arrivals_per_s * wait_s, utilisation)


def _weight_of_waiting(relative: float, services: float) -> float:
    """Return the weight of all states with every server busy, relative to the first of them; infinite when beyond a float.

    Args:
        relative: a / N.
        services: calls that N servers finish in the mean patience.
    """
    term = total = 1.0
    waiting = 0
    while term > total * 1e-17:
        waiting += 1
        term *= relative / (1 + waiting / services)
        total += term
    return total


def abandonment_queue(
    agents: int, live_per_s: float, handle_time_s: float, *, patience_s: float = PATIENCE_S
) -> Queue:
    """Return the queue of live persons who hang up after a fixed patience (M/M/N+D).

    With B = B(N-1, a) by Erlang B, d = λ - N/T, J = (e^(dτ) - 1)/d + e^(dτ) T/N:
    P(abandoned) = (a/N) e^(dτ) B / (1 + λJB), and P(wait) = λJB / (1 + λJB). At τ = 0 the abandonment is Erlang B.

    Args:
        agents: N, 1 to `MOST_SERVERS`.
        live_per_s: λ, 0 or more.
        handle_time_s: T, above 0.
        patience_s: τ, 0 or more.

    Raises:
        ValueError: an argument is out of range.

    >>> round(abandonment_queue(50, 0.9 * 0.25, 180).abandonment, 6)
    0.019002
    """
    _check_servers(agents)
    _check_from_zero("live_per_s", live_per_s, "answers per second")
    _check_positive("handle_time_s", handle_time_s, "seconds")
    _check_from_zero("patience_s", patience_s, "seconds")
    return _queue(agents, live_per_s, handle_time_s, patience_s)


def _queue(agents: int, live_per_s: float, handle_time_s: float, patience_s: float) -> Queue:
    """Return `abandonment_queue` of arguments that are in range.

    Where d is positive, numerator and denominator are divided by e^(dτ), so that nothing overflows. The integrals of
    P(V > v) and v P(V > v) from 0 to τ are functions that SciPy keeps precise around d = 0.
    """
    from scipy.special import exprel, hyp1f1  # noqa: PLC0415 - SciPy takes half a second to import

    load = live_per_s * handle_time_s
    busy = _blocked(agents - 1, load)
    drift = (live_per_s - agents / handle_time_s) * patience_s
    grown, scale = math.exp(min(drift, 0.0)), math.exp(-max(drift, 0.0))
    last = grown * handle_time_s / agents
    spent = patience_s * float(exprel(-abs(drift)))
    held = patience_s**2 * float(hyp1f1(1 if drift > 0 else 2, 3, -abs(drift))) / 2
    whole = scale + live_per_s * (spent + last) * busy
    lost = load / agents * grown * busy / whole
    waiting = live_per_s * (spent + last) * busy / whole
    wait_s = live_per_s * (held + patience_s * last) * busy / whole
    utilisation = min(1.0, load * (1 - lost) / agents)
    return Queue(lost, waiting, wait_s, live_per_s * wait_s, utilisation)


def highest_live_rate(
    agents: int, handle_time_s: float, cap: float, *, patience_s: float = PATIENCE_S
) -> float:
    """Return the live answers per second at which the abandonment of `abandonment_queue` is `cap`.

    Abandonment rises with the rate, so any lower rate stays under the cap. Divide by the answer rate for a dial rate.

    Args:
        agents: N, 1 to `MOST_SERVERS`.
        handle_time_s: T, above 0.
        cap: share of the live answers, above 0 and below 1.
        patience_s: τ, 0 or more.

    Raises:
        ValueError: an argument is out of range.

    >>> round(highest_live_rate(50, 180, 0.03) * 180, 2)
    42.39
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - SciPy takes half a second to import

    abandonment_queue(agents, 0.0, handle_time_s, patience_s=patience_s)
    if not 0 < cap < 1:
        raise ValueError(f"cap must be a share of the live answers between 0 and 1, not {cap}")

    def beyond(load: float) -> float:
        rate = load / handle_time_s
        return _queue(agents, rate, handle_time_s, patience_s).abandonment - cap

    # N agents serve at most N erlangs, so a load of N / (1 - cap) loses at least the cap.
    return float(brentq(beyond, 0.0, 2 * agents / (1 - cap), xtol=1e-12)) / handle_time_s


def mean_lines(
    dial_rate: float,
    answer_rate: float,
    handle_time_s: float,
    *,
    abandonment: float,
    ring_live_s: float = RING_LIVE_S,
    ring_none_s: float = RING_NONE_S,
) -> float:
    """Return the mean number of lines in use, by Little's law: r (p (R_live + T (1 - P_ab)) + (1 - p) R_none).

    Args:
        dial_rate: r, calls per second.
        answer_rate: p, live answers per attempt, 0 to 1.
        handle_time_s: T, above 0.
        abandonment: P_ab, share of the live answers, 0 to 1.
        ring_live_s: mean seconds of ringing until a live answer.
        ring_none_s: seconds of ringing until the dialer gives up.

    Raises:
        ValueError: an argument is out of range.

    >>> round(mean_lines(0.3, 0.25, 180, abandonment=0.02189), 2)
    18.0
    """
    _check_from_zero("dial_rate", dial_rate, "calls per second")
    _check_share("answer_rate", answer_rate)
    _check_positive("handle_time_s", handle_time_s, "seconds")
    _check_share("abandonment", abandonment)
    _check_from_zero("ring_live_s", ring_live_s, "seconds")
    _check_from_zero("ring_none_s", ring_none_s, "seconds")
    live_s = ring_live_s + handle_time_s * (1 - abandonment)
    return dial_rate * (answer_rate * live_s + (1 - answer_rate) * ring_none_s)


def concurrent_calls(mean: float) -> int:
    """Return the lines to allow for a mean number in use: m + 3 √m, rounded up.

    The lines in use are close to Poisson, so three standard deviations are exceeded about once in a thousand moments.

    Raises:
        ValueError: the mean is negative or not finite.

    >>> concurrent_calls(56.19)
    79
    """
    _check_from_zero("mean", mean, "lines")
    return math.ceil(mean + 3 * math.sqrt(mean))


def progressive_utilisation(
    answer_rate: float,
    handle_time_s: float,
    *,
    ring_live_s: float = RING_LIVE_S,
    ring_none_s: float = RING_NONE_S,
    reaction_s: float = 0.5,
) -> float:
    """Return the utilisation of progressive dialing, where each free agent has one call at a time and nobody waits.

    Between two calls an agent is idle for (1/p - 1) R_none + R_live + reaction seconds: U = T / (T + idle).

    Args:
        answer_rate: p, live answers per attempt, above 0 and at most 1.
        handle_time_s: T, above 0.
        ring_live_s: mean seconds of ringing until a live answer.
        ring_none_s: seconds of ringing until the dialer gives up.
        reaction_s: seconds between the end of a call and the next attempt.

    Raises:
        ValueError: an argument is out of range.

    >>> round(progressive_utilisation(0.25, 180), 3)
    0.736
    """
    _check_share("answer_rate", answer_rate)
    _check_positive("answer_rate", answer_rate, "live answers per attempt")
    _check_positive("handle_time_s", handle_time_s, "seconds")
    _check_from_zero("ring_live_s", ring_live_s, "seconds")
    _check_from_zero("ring_none_s", ring_none_s, "seconds")
    _check_from_zero("reaction_s", reaction_s, "seconds")
    idle_s = (1 / answer_rate - 1) * ring_none_s + ring_live_s + reaction_s
    return handle_time_s / (handle_time_s + idle_s)


def _check_servers(servers: int, *, least: int = 1) -> None:
    if servers != servers // 1 or not least <= servers <= MOST_SERVERS:
        raise ValueError(
            f"servers (agents) must be a whole number from {least} to {MOST_SERVERS}, not {servers}"
        )


def _check_from_zero(name: str, value: float, unit: str) -> None:
    if not 0 <= value <= LARGEST:
        raise ValueError(f"{name} must be from 0 to {LARGEST:g} {unit}, not {value}")


def _check_positive(name: str, value: float, unit: str) -> None:
    if not 1 / LARGEST <= value <= LARGEST:
        raise ValueError(f"{name} must be above 0 and at most {LARGEST:g} {unit}, not {value}")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, not {value}")
