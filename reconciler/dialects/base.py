"""The interface of a dialect: what every API of a platform is reduced to. `calls` has its requests and answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Protocol, TypeAlias

from reconciler import pacing
from reconciler.dialects.calls import JSON, Exchange, Reply
from reconciler.errors import ApiError, ExitCode, ReconcileError
from reconciler.kinds import Kind
from reconciler.kinds.live import Live, Snapshot, Stored
from reconciler.models import Body


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and how long it may be used, in seconds from its receipt.

    Attributes:
        base: scheme, host and prefix for the paths of calls with this token, under the same rule as `Call.origin`;
            `None` is the tenant's URL.
        bases: other values of `base` for some endpoint groups, by the first part of their path.
        assumed: properties that the platform did not state and the dialect assumed; sentences for `doctor`.
    """

    value: str = field(repr=False)
    expires_in_s: float
    scopes: frozenset[str] = frozenset()
    base: str | None = None
    bases: Mapping[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def base_for(self, path: str) -> str | None:
        """Return the base URL for `path`."""
        return self.bases.get(path.split("/", 2)[1], self.base) if self.bases else self.base


@dataclass(frozen=True, slots=True)
class Site:
    """The endpoint of a tenant.

    Attributes:
        url: scheme, host and port.
        version: version of the API, if `tenant.yaml` sets it.
        versions: versions of endpoint groups that differ from it, by the first part of their path.
    """

    url: str
    version: int | None = None
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials for a token request. The secrets are in no repr.

    Attributes:
        client_id, client_secret: of the client, or of the access key.
        scope: scope to request.
        app_id, app_secret: of the requesting application, if the API requires one.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    app_id: str | None = None
    app_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The dialer refuses a refresh for now. This is not a failure: retry later.

    Attributes:
        reason: e.g. "the dialer is locked", or the lists that are SYNCING by name.
    """

    reason: str


class Removal(Enum):
    """What an emergency stop found and removed."""

    AS_GIVEN = auto()
    """It removed the stored version that it was given."""
    UNSEEN = auto()
    """It removed whatever was stored."""
    NOTHING_STORED = auto()
    """Nothing was stored, or a stop removes nothing on this API."""
    CHANGED = auto()
    """It did nothing, because another version is stored than it was given."""
    UNCONDITIONAL = auto()
    """It did nothing, because the platform does not accept a condition."""


@dataclass(frozen=True, slots=True)
class Silenced:
    """The platform's answer to an emergency stop.

    Attributes:
        removal: what was removed.
        waiting: why the dialer refuses for now, so that the stop must be sent again; `None` when it accepts.
    """

    removal: Removal
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One object in a page of the platform's list.

    Attributes:
        name: the platform's own name for it.
        live: the object; `None` when the list does not show it in full, or is `quiet` about it.
        quiet: the list shows it as silent, and may lag, so that proves nothing.
        other: what it clearly is, if it runs and is nothing that a halt stops; else empty.
    """

    name: str
    live: Live | None = None
    quiet: bool = False
    other: str = ""


OnPage: TypeAlias = Callable[[Mapping[str, Listed]], None]
"""Takes the objects of one page, by key, as soon as it was received."""

Bucket: TypeAlias = pacing.Bucket
"""One hour of what was observed for an object."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The observations of an object.

    Attributes:
        hours: in the platform's order.
        left_out: rows that could not be read.
    """

    hours: tuple[Bucket, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check of `doctor`.

    Attributes:
        name: name of the check.
        holds: whether the check passed.
        said: the platform's answer, as a sentence.
        advice: what to do or know; empty if nothing.
        note: the check passed but is shown as a note: the platform differs in a way that reconcile can handle, or the check was skipped.
        exit_code: exit code of the failure.
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
    """Run one check and return its result. A failed check does not prevent the others.

    Args:
        name: name of the check.
        asking: the exchange that makes it.
        advice: what to do when it fails.
        optional: reconcile also works without the feature, so a failure is a note.
    """
    try:
        said = yield from asking
    except ReconcileError as error:
        note = optional and isinstance(error, ApiError)
        return Check(name, note, str(error), advice, note=note, exit_code=error.exit_code)
    return Check(name, holds=True, said=said)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capabilities of an API. The engine is safe without any of them.

    Attributes:
        activation: a stored schedule dials only after a refresh, which the dialer performs asynchronously.
        conditional_writes: a write may carry the ETag of the version that it replaces.
        idempotency_keys: a write carries a key, and the platform answers a repeated key with the first answer.
        atomic_writes: a write is stored completely or not at all. Otherwise it may be interrupted between its parts.
        rereads: the dialect reads the object again just before a write, and fails with 412 if the object changed.
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
        """Name of the API: the value of `api` in `tenant.yaml`."""

    @property
    def CAPABILITIES(self) -> Capabilities:  # noqa: N802 - a module's constant
        """Capabilities of the API."""

    @property
    def KINDS(self) -> Mapping[str, Kind]:  # noqa: N802 - a module's constant
        """The kinds of manifest that the API can hold, by name."""

    @property
    def HOSTS(self) -> tuple[str, ...]:  # noqa: N802 - a module's constant
        """The vendor's domains: answers may refer to hosts below them, besides the tenant's host."""

    def authenticate(self, credentials: Credentials, site: Site) -> Exchange[Token]:
        """Request a token, and find the base URL for calls with it."""

    def read(self, named: Collection[str] = ()) -> Exchange[Snapshot]:
        """Read the whole tenant: limits, lists, every object.

        Args:
            named: keys of wanted objects. An object that the list lacks is read by itself, and counts as absent only
                if the platform answers that read with 404.

        Raises:
            IncompleteList: a list contradicts itself.
        """

    def read_limits(self) -> Exchange[Snapshot]:
        """Read the facts for the rules that are not part of an object: limits, do-not-call lists, the clock.

        The snapshot contains only those objects that this read returns anyway.
        """

    def read_one(self, key: str) -> Exchange[Live]:
        """Read the current state of one object.

        Raises:
            UnknownObject: the platform has no such object.
        """

    def look(self, key: str) -> Exchange[Live]:
        """Read whether one object dials, with as few calls as possible. An emergency stop uses this to verify that dialing ended.

        Raises:
            UnknownObject: the platform has no such object.
        """

    def read_some(self, keys: Sequence[str]) -> Exchange[Mapping[str, Live]]:
        """Read some objects, in as few calls as the API allows. The result may hold other objects, too."""

    def read_pages(self, on_page: OnPage) -> Exchange[None]:
        """Read the list of all objects and nothing else, page by page, for an emergency stop.

        Raises:
            IncompleteList: the list contradicts itself, or a row cannot be read. `on_page` got all pages nevertheless.
        """

    def read_stored(self, key: str) -> Exchange[Live | None]:
        """Read what a stop would remove, in one call; `None` when a stop removes nothing."""

    def write(self, key: str, body: Body | None, *, token: str, live: Live) -> Exchange[Stored]:
        """Store `body` for the object; if `body` is `None`, remove what is stored.

        Args:
            key: the object.
            body: canonical body, whole.
            token: idempotency key.
            live: the object as read just before; if the API supports it, the write is refused when the object changed.

        Raises:
            PartlyWritten: the write needs several calls and failed between them.
        """

    def activate(self, key: str) -> Exchange[Waiting | None]:
        """Ask the dialer to activate the stored schedule. Return `Waiting` if it refuses for now, `None` if it accepts."""

    def silence(self, key: str, *, token: str, version: str | None = None) -> Exchange[Silenced]:
        """Emergency stop: end all dialing of the object, whoever stored its schedule. Idempotent.

        Args:
            key: the object.
            token: idempotency key.
            version: remove nothing but this version; `None`: whatever is stored.
        """

    def metrics(self, key: str, start: datetime, end: datetime) -> Exchange[Measured]:
        """Read the observations of [start, end) in whole hours."""

    def publish(self, events: Sequence[Mapping[str, JSON]]) -> Exchange[int]:
        """Send events to the platform's telemetry; return how many it accepted."""

    def examine(self) -> Exchange[tuple[Check, ...]]:
        """Check that the platform behaves as reconcile expects. Read-only; a bad answer is a failed check, not an error."""

    def roundtrip(self, key: str) -> Exchange[Check]:
        """Write an object's settings back unchanged and read them again, on APIs where that has no effect."""

    def explain(self, reply: Reply) -> tuple[str, ...]:
        """Return the reasons in a refusing answer, one line for each field."""

    def missing_scope(self, reply: Reply) -> str | None:
        """Return the scope that a 403 says is missing; `None` if it names none."""
