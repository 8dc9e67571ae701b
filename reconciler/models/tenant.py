"""`Tenant`: the platform of a folder's schedules, and the limits of a change there."""

import re
from base64 import b64decode
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from reconciler.defaults import REQUESTS_PER_SECOND
from reconciler.models.base import ApiVersion, Expects, Label, Name, Strict
from reconciler.models.instants import canonical_instant
from reconciler.models.urls import EMBEDDED, platform_of, tenant_url

TENANT_NAME = re.compile(r"[a-z0-9-]{1,40}")
"""Valid names of a tenant's folder (DESIGN §3)."""

_SIGNER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,99}")
_SIGNER_WORDS = 3
_KEY_TYPES = (
    "ssh-ed25519",
    *("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"),
    *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(value: object) -> object:
    """Convert a date written ``YYYY-MM-DD``; the model refuses other types."""
    if not isinstance(value, str):
        return value
    if _DAY.fullmatch(value) is None:
        raise ValueError(f"must be a date such as 2027-03-31, not {value!r}")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"is not a date: {value!r}") from None


def _clock(value: object) -> object:
    """Convert an instant with an offset to UTC; the model refuses other types."""
    instant = canonical_instant(value)
    if not isinstance(instant, str):
        return value
    try:
        clock = datetime.fromisoformat(instant)
    except ValueError:
        clock = None
    if clock is None or f"{clock:%Y-%m-%dT%H:%M:%SZ}" != instant:
        raise ValueError(
            f'must be an instant in whole seconds, such as "2027-01-11T08:00:00Z", not {value!r}'
        )
    return clock


Url = Annotated[str, AfterValidator(tenant_url), Expects('"https://" and a host, or "sandbox:"')]
Day = Annotated[date, BeforeValidator(_day), Expects("a date such as 2027-03-31")]
Instant = Annotated[
    datetime, BeforeValidator(_clock), Expects('an instant such as "2027-01-11T08:00:00Z"')
]
Share = Annotated[float, Field(ge=0, le=1), Expects("a share from 0 to 1")]
RuleId = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9-]{0,62}$"),
    Expects("the id of a rule, such as calling-windows"),
]
Level = Annotated[
    Literal["error", "warning", "info", "off"], Expects("error, warning, info or off")
]
Version = Annotated[int, Field(ge=20, le=99), Expects("a whole number from 20 to 99")]
EndpointGroup = Annotated[
    Literal["business-unit", "dnc-groups", "skills", "timezones", "wfm-data"],
    Expects("business-unit, dnc-groups, skills, timezones or wfm-data"),
]


def signer(line: str) -> str:
    """Return a line of an allowed signers file (ssh-keygen(1)) without its comment: name, key type, public key.

    Options such as `cert-authority` and patterns such as `*` are refused, so that each line means one key and one name.

    Raises:
        ValueError: anything else; the message says what to write.
    """
    words = line.split(" ", 3)
    if not (line.isascii() and line.isprintable()) or len(words) < _SIGNER_WORDS:
        raise ValueError(f"must be a name, a key's type and the public key, not {line!r}")
    name, kind, key, *_ = words
    if _SIGNER_NAME.fullmatch(name) is None:
        raise ValueError(f"is not a signer: {name!r}; write an address such as ci@example.com")
    if kind not in _KEY_TYPES:
        raise ValueError(f"has a key of type {kind!r}; types are {', '.join(_KEY_TYPES)}")
    try:
        data = b64decode(key, validate=True)
    except ValueError:
        data = b""
    if not data.startswith(len(kind).to_bytes(4, "big") + kind.encode() + b"\0"):
        raise ValueError(f"holds no public key of type {kind}: copy the line of the .pub file")
    return f"{name} {kind} {key}"


Signer = Annotated[
    str,
    AfterValidator(signer),
    Expects('a signer such as "ci@example.com ssh-ed25519 AAAA…"'),
]
Keys = Annotated[dict[str, Any], Expects("a mapping of keys")]
Platform = Annotated[
    str,
    Field(pattern=r"^[a-z-]{1,40}/[^/\s]{1,270}$"),
    Expects("a platform such as campaigns/acme.cxonecloud.com"),
]
RecordId = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$"), Expects("the id of a record: 64 hexadecimal digits")
]


class Profile(Strict):
    """Keys that several manifests share. Whole keys, one level: a manifest's own key wins."""

    spec: Keys = Field(default_factory=dict)
    """Keys of spec."""

    compliance: Keys = Field(default_factory=dict)
    """Keys of compliance."""

    pacing: Keys = Field(default_factory=dict)
    """Keys of pacing."""

    @field_validator("spec")
    @classmethod
    def _identifies_nothing(cls, spec: dict[str, Any]) -> dict[str, Any]:
        for key in ("campaign_id", "skill_id"):
            if key in spec:
                raise ValueError(f"may not hold {key}: it belongs to one manifest alone")
        return spec


class Waiver(Strict):
    """A rule whose findings do not block, for a reason and until a day."""

    rule: RuleId
    """Id of the rule."""

    name: Name | None = None
    """Name of the manifest that the waiver is for. Without it the waiver is for all manifests of the tenant."""

    reason: Label
    """Reason, for the audit."""

    until: Day
    """Last day on which the waiver holds (UTC)."""


class Limits(Strict):
    """How much of the tenant one apply may change. New schedules do not count. In a tenant with fewer than 10 objects, one object may be retired, one loosened and any number narrowed, whatever the shares are."""

    changed_share: Share = 0.3
    """Largest share of the tenant's objects that one apply may change, 0 to 1."""

    retired_share: Share = 0.3
    """Largest share of the tenant's objects that one apply may retire, 0 to 1."""

    loosened_share: Share = 0.3
    """Largest share of the tenant's objects that one apply may loosen (let dial more), 0 to 1."""

    reason: Label | None = None
    """Why a share is above its default. Required if any share is."""

    until: Day | None = Field(default=None, validate_default=True)
    """Last day on which shares above their defaults hold (UTC). Required if any share is above its default."""

    @field_validator("until")
    @classmethod
    def _stands_with_a_reason(cls, until: date | None, info: ValidationInfo) -> date | None:
        raised = [name for name in _SHARES if info.data.get(name, 0.0) > _default(name)]
        if raised and (until is None or info.data.get("reason") is None):
            raise ValueError(
                f"and reason are required when {', '.join(raised)} is above its default"
            )
        return until

    def on(self, day: date) -> Self:
        """Return the limits that hold on a day: after `until`, a raised share falls back to its default."""
        if self.until is None or day <= self.until:
            return self
        return self.model_copy(
            update={name: min(getattr(self, name), _default(name)) for name in _SHARES}
        )


_SHARES = ("changed_share", "retired_share", "loosened_share")


def _default(share: str) -> float:
    return float(Limits.model_fields[share].default)


class Capacity(Strict):
    """What the tenant's trunks and agents can carry. `timeline` and the page of a plan show dialing against it, and `optimize --strategy allocate` divides it; no rule reads it."""

    calls_per_second: Annotated[
        float | None,
        Field(gt=0, le=1_000_000),
        Expects("a number above 0 and at most 1000000 (calls per second)"),
    ] = None
    """Calls per second that all campaigns together may begin."""

    concurrent_calls: Annotated[
        int | None, Field(ge=1, le=10_000_000), Expects("a whole number from 1 up (calls)")
    ] = None
    """Calls that all campaigns together may have in progress."""


class Audit(Strict):
    """Which audit records in git are this tenant's, and how they are secured."""

    ledger: Platform | None = None
    """The platform whose ledger this is: `<api>/<host>`. Must be the platform that `api` and `url` name. Not for `sandbox:`."""

    began: Annotated[RecordId | None, Field(validate_default=True)] = None
    """Id of the ledger's first record. A ledger that is absent, or that begins with another record, is an error. Stands together with `ledger`."""

    sign: Annotated[bool, Expects("true or false")] = False
    """Sign every ledger commit with the SSH key whose file `RECONCILE_SIGNING_KEY` names, and accept only records that a signer signed."""

    mirror: Annotated[bool, Expects("true or false")] = True
    """Also push a mirror branch, `reconcile-audit/<api>/<host>`, which a forge can protect against a rollback."""

    signers: Annotated[tuple[Signer, ...], Field(strict=False), Expects("a list of signers")] = ()
    """Who may sign the records: lines of an SSH allowed signers file, such as `ci@example.com ssh-ed25519 AAAA…`. `RECONCILE_SIGNERS` replaces them."""

    @field_validator("began")
    @classmethod
    def _stands_with_its_ledger(cls, began: str | None, info: ValidationInfo) -> str | None:
        if "ledger" in info.data and (began is None) != (info.data["ledger"] is None):
            raise ValueError("and ledger stand together: write both, or neither")
        return began


class TenantMetadata(Strict):
    """Owner of a tenant. The tenant's name is the name of its folder."""

    owner: Label | None = None
    """Team that is responsible for the tenant."""


class TenantSpec(Strict):
    """Platform of the schedules, and what a change may do there."""

    api: Annotated[
        Literal["campaigns", "personal-connection"], Expects("campaigns or personal-connection")
    ]
    """The platform's API."""

    url: Url
    """The platform: `https://` and a host, or `sandbox:` for the embedded one. Must equal the URL beside the secret."""

    version: Annotated[Version | None, Field(validate_default=True)] = None
    """Version of the personal-connection API, such as 33 for `v33.0`. Required with that API, and not allowed with another."""

    versions: Annotated[
        dict[EndpointGroup, Version], Expects("a mapping of endpoint groups to versions")
    ] = Field(default_factory=dict)
    """Versions of endpoint groups that differ from `version`, such as `{dnc-groups: 30}`. For personal-connection only."""

    requests_per_second: Annotated[
        float, Field(gt=0, le=1000), Expects("above 0 and at most 1000 (requests per second)")
    ] = REQUESTS_PER_SECOND
    """Requests per second that the client may send, above 0 and at most 1000."""

    profiles: Annotated[dict[Name, Profile], Expects("a mapping of profiles")] = Field(
        default_factory=dict
    )
    """Keys that manifests share, by the name that `metadata.profile` uses."""

    policies: Annotated[dict[RuleId, Level], Expects("a mapping of rules to levels")] = Field(
        default_factory=dict
    )
    """Level of a rule instead of its default, by the rule's id."""

    waivers: Annotated[tuple[Waiver, ...], Field(strict=False), Expects("a list of waivers")] = ()
    """Findings that do not block, for a reason and until a day."""

    limits: Limits = Limits()
    """How much of the tenant one apply may change."""

    capacity: Capacity = Capacity()
    """What the tenant's trunks and agents can carry, for `timeline`, the page of a plan and `optimize --strategy allocate`. Not a limit: nothing is refused by it."""

    audit: Audit = Audit()
    """Which audit records in git are this tenant's, and how they are secured."""

    clock: Instant | None = None
    """Fixed clock of an embedded platform, so that samples stay valid. Only with the URL `sandbox:`."""

    @field_validator("version")
    @classmethod
    def _stands_with_its_api(cls, version: int | None, info: ValidationInfo) -> int | None:
        api = info.data.get("api")
        if api == "personal-connection" and version is None:
            raise ValueError("is required with api: personal-connection: such as 33 for v33.0")
        if api == "campaigns" and version is not None:
            raise ValueError("is only for api: personal-connection; remove it")
        return version

    @field_validator("versions")
    @classmethod
    def _belong_to_their_api(cls, versions: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        if versions and info.data.get("api") == "campaigns":
            raise ValueError("are only for api: personal-connection; remove them")
        return versions

    @field_validator("audit")
    @classmethod
    def _names_its_platform(cls, audit: Audit, info: ValidationInfo) -> Audit:
        api, url = info.data.get("api"), info.data.get("url")
        if audit.ledger is None or api is None or url is None:
            return audit
        if url == EMBEDDED:
            raise ValueError(
                f'may not hold ledger and began with url: "{EMBEDDED}": the ledger of an embedded platform stays in its clone; remove them'
            )
        if audit.ledger != (platform := platform_of(api, url, "")):
            raise ValueError(
                f"names the ledger of {audit.ledger}, but api and url name the platform {platform}: correct api or url if this folder"
                " still manages the former platform. If it manages another one now, remove ledger and began; the records and holds of"
                " the former platform do not count there"
            )
        return audit

    @field_validator("clock")
    @classmethod
    def _is_embedded(cls, clock: datetime | None, info: ValidationInfo) -> datetime | None:
        if clock is not None and info.data.get("url", EMBEDDED) != EMBEDDED:
            raise ValueError(f'may be fixed only with url: "{EMBEDDED}"; remove it')
        return clock


class Tenant(Strict):
    """One CXone tenant: the folder's `tenant.yaml`."""

    api_version: ApiVersion = Field(alias="apiVersion")
    """Version of the manifest format."""

    kind: Annotated[Literal["Tenant"], Expects("Tenant")]
    """Kind of the manifest."""

    metadata: TenantMetadata = TenantMetadata()
    """Owner of the tenant."""

    spec: TenantSpec
    """Platform of the schedules, and what a change may do there."""
