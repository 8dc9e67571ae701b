"""What a dialect is: one API's words, sans IO.

Every conversation is a generator that yields the calls it wants made, receives one reply for each, and returns a value:

    def read_one(key: str) -> Exchange[Live]:
        (reply,) = yield (Call("GET", f"/api/campaigns/{key}"),)
        return …

Calls of one batch may be sent side by side; the next batch waits for all of them. A batch that fails is thrown into the
generator, which may ask for more (to put back what it did) before it raises. Nobody here sees a socket, so a
dialect is tested from stored samples, and a second one touches no other room.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from reconciler import pacing
from reconciler.errors import ApiError, ExitCode, ReconcileError
from reconciler.kinds import Kind
from reconciler.kinds.live import Live, Snapshot, Stored
from reconciler.models import Body

JSON: TypeAlias = Any
"""A decoded JSON value. The only `Any` at this border."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a dialect wants sent.

    Attributes:
        method: HTTP method.
        path: path below the tenant URL, already percent-encoded.
        params: query, in order.
        headers: beyond `Authorization` and `Accept`, which the client adds.
        json: body to send as JSON; `None` sends no body.
        form: body to send as a form (the token request alone).
        expects: the statuses that are an answer to read. Every other one is the client's to handle: renew, wait, send
            again, or raise.
        repeatable: sending it twice does no more than sending it once, so the client may send it again after a reset
            or a server error. A write with a key is *not*: servers that ignore keys exist, so whoever writes reads first.
        anonymous: sent without a token.
        timeout_s: seconds one attempt may take.
        origin: scheme and host to send it to in place of the tenant's; the client refuses one that is neither the
            tenant's, nor of the dialect's `HOSTS`, nor named in the environment.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: JSON = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    expects: frozenset[int] = frozenset({200})
    repeatable: bool = True
    anonymous: bool = False
    timeout_s: float = 30.0
    origin: str | None = None

    @property
    def where(self) -> str:
        """Method and path, for messages: never the query, never the host."""
        return f"{self.method} {self.path}"


class NotJSON:
    """The value of a body that is not JSON: neither a mapping nor a list nor `None`, so no reader takes it for an answer."""

    MESSAGE = "the answer is not valid JSON"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: status, headers with lower-case names, the decoded JSON body and the platform's clock.

    Attributes:
        json: `None` when the body is empty; a `NotJSON` when it cannot be decoded, which is an error only for a caller that reads the body.
        at: the `Date` header; `None` when the platform sent none.
        empty: there is no body: unlike a body that is not JSON, that says something.
    """

    status: int
    headers: Mapping[str, str]
    json: JSON = None
    at: datetime | None = None
    empty: bool = False


T = TypeVar("T")
Exchange: TypeAlias = Generator[tuple[Call, ...], tuple[Reply, ...], T]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and how long it may be used, in seconds from its receipt.

    Attributes:
        base: what stands before the path of each call that carries it: scheme, host and prefix, under the same rule as
            `Call.origin`; `None` is the tenant's URL.
        bases: the same for the calls of one endpoint group, by the first part of their path, where it is another one.
        assumed: what the platform did not say of it and the dialect assumed, in words, for `doctor`.
    """

    value: str = field(repr=False)
    expires_in_s: float
    scopes: frozenset[str] = frozenset()
    base: str | None = None
    bases: Mapping[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def base_for(self, path: str) -> str | None:
        """Return what stands before `path`."""
        return self.bases.get(path.split("/", 2)[1], self.base) if self.bases else self.base


@dataclass(frozen=True, slots=True)
class Site:
    """Where a tenant is.

    Attributes:
        url: scheme, host and port.
        version: of the API, where the tenant says it.
        versions: of the endpoint groups that speak another one, by the first part of their path.
    """

    url: str
    version: int | None = None
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves who we are. The secrets are in no repr.

    Attributes:
        client_id, client_secret: of the client, or of the access key.
        scope: what to ask for.
        app_id, app_secret: of the application that asks, where the API wants both.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    app_id: str | None = None
    app_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The dialer would not take a refresh now. Not a failure: try again later.

    Attributes:
        reason: e.g. "the dialer is locked", or the lists that are SYNCING by name.
    """

    reason: str


Bucket: TypeAlias = pacing.Bucket
"""One hour of what was observed for an object."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was observed for an object.

    Attributes:
        hours: in the platform's order.
        left_out: rows that could not be read.
    """

    hours: tuple[Bucket, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the platform was asked about itself, for `doctor`.

    Attributes:
        name: what was asked.
        holds: nothing that reconcile needs is missing.
        said: what the platform answered, in words.
        advice: what to do, where something is to be done or known.
        note: worth a line although it holds: the platform differs in a way that reconcile makes up for, or the check was not made.
        exit_code: of the failure.
    """

    name: str
    holds: bool
    said: str
    advice: str = ""
    note: bool = False
    exit_code: int = ExitCode.ERROR


def probe(
    name: str, asking: Exchange[str], advice: str, *, optional: bool = False
) -> Exchange[Check]:
    """Return what came of asking: its answer in words, or why there is none. One that fails keeps no other from being asked.

    Args:
        name: what is asked.
        asking: asks it.
        advice: what to do when it fails.
        optional: reconcile does as well without it, so that an answer that says no is a note.
    """
    try:
        said = yield from asking
    except ReconcileError as error:
        note = optional and isinstance(error, ApiError)
        return Check(name, note, str(error), advice, note=note, exit_code=error.exit_code)
    return Check(name, holds=True, said=said)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an API can do. The engine stays safe without any of it.

    Attributes:
        activation: what is stored dials only after a refresh that the dialer takes later.
        conditional_writes: a write may quote the version that it replaces.
        idempotency_keys: a write carries a key under which the platform answers a repeat with the first answer.
        atomic_writes: a write is stored as one or not at all; else it may be cut off between its parts.
        rereads: a write reads what it replaces itself, just before, and is refused with 412 when it moved.
    """

    activation: bool
    conditional_writes: bool
    idempotency_keys: bool
    atomic_writes: bool
    rereads: bool = False


class Dialect(Protocol):
    """One API. A module satisfies it."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """What a tenant's `api` says."""

    @property
    def CAPABILITIES(self) -> Capabilities:  # noqa: N802 - a module's constant
        """What the API can do."""

    @property
    def KINDS(self) -> Mapping[str, Kind]:  # noqa: N802 - a module's constant
        """The kinds of manifest that it can hold, by name."""

    @property
    def HOSTS(self) -> tuple[str, ...]:  # noqa: N802 - a module's constant
        """The vendor's own domains: hosts that an answer may lead to, besides the tenant's."""

    def authenticate(self, credentials: Credentials, site: Site) -> Exchange[Token]:
        """Ask for a token, and find where its calls go."""

    def read(self, named: Collection[str] = ()) -> Exchange[Snapshot]:
        """Read the whole tenant: limits, lists, every object.

        Args:
            named: objects that somebody names: each one that the list does not show is read by itself, and is absent only
                when the platform answers 404 to that.

        Raises:
            IncompleteList: a list contradicts itself.
        """

    def read_limits(self) -> Exchange[Snapshot]:
        """Read what a change is judged by besides its own object: limits, do-not-call lists, the clock.

        The snapshot holds only the objects that such a read shows anyway.
        """

    def read_one(self, key: str) -> Exchange[Live]:
        """Read one object, as fresh as the platform has it.

        Raises:
            UnknownObject: the platform has no such object.
        """

    def read_some(self, keys: Sequence[str] | None) -> Exchange[Mapping[str, Live]]:
        """Read some objects (`None`: all) and nothing else, in as few calls as the API allows; the answer may hold others, too.

        Raises:
            IncompleteList: the list contradicts itself; carries the objects that it shows.
        """

    def write(self, key: str, body: Body | None, *, token: str, live: Live) -> Exchange[Stored]:
        """Store `body` for the object, or remove what is stored when it is `None`.

        Args:
            key: the object.
            body: canonical body, whole.
            token: idempotency key.
            live: what was read just before; the write is refused when the platform can tell that it moved.

        Raises:
            PartlyWritten: it took several calls and ended between them.
        """

    def activate(self, key: str) -> Exchange[Waiting | None]:
        """Ask the dialer to take what is stored; `Waiting` when it would not, `None` when it will."""

    def silence(self, key: str, *, token: str) -> Exchange[Waiting | None]:
        """Stop whatever the object dials, whoever stored it: an emergency. Doing it twice does no more than doing it once.

        Args:
            key: the object.
            token: idempotency key.

        Returns:
            `None` when the platform takes it, `Waiting` when the dialer would not let go now: ask again.
        """

    def metrics(self, key: str, start: datetime, end: datetime) -> Exchange[Measured]:
        """Read what was observed in [start, end), whole hours."""

    def publish(self, events: Sequence[Mapping[str, JSON]]) -> Exchange[int]:
        """Hand events to the platform's telemetry; return how many it accepted."""

    def examine(self) -> Exchange[tuple[Check, ...]]:
        """Ask the platform whether what we rely on holds there. Reads only, and never raises for what it answers."""

    def roundtrip(self, key: str) -> Exchange[Check]:
        """Write what an object holds back unchanged and read it again, where that changes nothing."""

    def explain(self, reply: Reply) -> tuple[str, ...]:
        """Return what a refusing answer says, one line a field; never more than it said."""

    def missing_scope(self, reply: Reply) -> str | None:
        """Return the scope that a 403 asks for, when it names one."""
