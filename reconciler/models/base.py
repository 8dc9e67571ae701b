"""Common parts of all manifests: strict models, metadata, and the compiled value.

The modules of models that every command imports do not use `from __future__ import annotations`: pydantic would have to
evaluate each annotation from its text, which slows every start down.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator

from reconciler.errors import Place

API_VERSION = "cxone.reconciler/v1"
"""Version of the manifest format."""

TRUTHS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("yes", "y", "on", "true"), True),
    **dict.fromkeys(("no", "n", "off", "false"), False),
}
"""Words that YAML 1.1 reads as true or false. In manifests they are text."""

Body: TypeAlias = Mapping[str, Any]
"""The settings of one object on the platform, as JSON values. Only they are compared, hashed, sent and recorded."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A manifest's claim to an object of the platform.

    Attributes:
        key: identity on the platform (a campaign's id).
        name: `metadata.name` of the manifest. Renaming it changes nothing on the platform.
        place: start of the manifest.
        platform_name: name that the object must have on the platform, if the manifest gives one.
    """

    key: str
    name: str
    place: Place
    platform_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired(Claim):
    """The desired state of one object, compiled from its manifest.

    Attributes:
        kind: kind of the manifest, e.g. `CampaignSchedule`.
        body: canonical compiled body; `None` if retired.
        compliance: input of the rules; never sent.
        pacing: input of the optimizer; never sent.
        places: file, line and column of each field of the body, by name, if they were kept.
    """

    kind: str
    body: Body | None
    compliance: Mapping[str, Any] = field(default_factory=dict)
    pacing: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def retired(self) -> bool:
        """Whether the manifest is a tombstone."""
        return self.body is None


@dataclass(frozen=True, slots=True)
class Expects:
    """A constraint in words, which complete the sentence "dial_rate must be …"."""

    words: str


class Strict(BaseModel):
    """An immutable model that converts no types and refuses unknown keys.

    The docstring below each field becomes its description in the JSON Schema. `schemas` reads these docstrings, because
    pydantic's `use_attribute_docstrings` would parse the source of every model at every start. `defer_build` builds a model's
    validator when it is first used: most models are only parts of others.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True
    )

    CANNOT: ClassVar[Mapping[str, str]] = {}
    """Keys that look plausible but that the platform does not support, each with the reason and what to write instead."""


Name = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$"),
    Expects("1 to 63 lower-case letters, digits and hyphens, not starting with a hyphen"),
]
Label = Annotated[
    str,
    Field(min_length=1, max_length=200),
    Expects("text of 1 to 200 characters, in quotes if it looks like a number, a date or true"),
]
Flag = Annotated[bool, Expects("true or false, without quotes")]
ApiVersion = Annotated[Literal["cxone.reconciler/v1"], Expects(API_VERSION)]
Jurisdiction = Annotated[
    str,
    Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$"),
    Expects("a country or country and region by ISO 3166, such as GB or US-NY"),
]
Purpose = Annotated[
    Literal["sales", "debt", "survey", "service"], Expects("sales, debt, survey or service")
]

Abandonment = Annotated[
    float, Field(gt=0, le=0.5), Expects("a share above 0 and at most 0.5, such as 0.03 for 3 %")
]


class Metadata(Strict):
    """Name, owner and profile of a manifest. Never sent to the platform."""

    name: Name
    """Name of the manifest in messages and on the command line. Renaming it changes nothing on the platform."""

    owner: Label | None = None
    """Team that is responsible for the object."""

    profile: Name | None = None
    """Profile of tenant.yaml that supplies keys of spec, compliance and pacing which the manifest omits."""

    retired: Flag = False
    """Marks a tombstone: apply removes the schedule from the platform. Keep the manifest until the removal is verified."""


class Compliance(Strict):
    """Input of the rules. Never sent to the platform."""

    jurisdictions: Annotated[
        tuple[Jurisdiction, ...], Field(strict=False), Expects("a list of ISO 3166 codes")
    ] = ()
    """Where the called people are, by ISO 3166: a country (`GB`) or a country and region (`US-NY`)."""

    purpose: Purpose | None = None
    """Purpose of the calls."""


class Pacing(Strict):
    """Input of the optimizer. Never sent to the platform."""

    agents: Annotated[int, Field(ge=1, le=100_000), Expects("a whole number from 1 up")] | None = (
        None
    )
    """Agents who take the calls of this campaign at the same time."""

    handle_time_s: (
        Annotated[
            float, Field(gt=0, le=86_400), Expects("a number above 0 and at most 86400 (seconds)")
        ]
        | None
    ) = None
    """Mean handle time of an answered call with its wrap-up, in seconds."""

    wrap_up_s: (
        Annotated[float, Field(ge=0, le=86_400), Expects("a number from 0 to 86400 (seconds)")]
        | None
    ) = None
    """Part of handle_time_s after the call, in which its line is free again, in seconds. With it, proposals may pace by concurrent calls."""

    target_abandonment: Abandonment = 0.02
    """Share of the live answers that may be abandoned in the busiest open hour, which proposals aim at."""

    abandonment_cap: Abandonment = Field(default=0.03, validate_default=True)
    """Highest share of the live answers that may be abandoned, at least target_abandonment. No proposal loosens while its 90 % interval reaches it."""

    list_size: (
        Annotated[
            int, Field(ge=0, le=1_000_000_000), Expects("a whole number from 0 up (contacts)")
        ]
        | None
    ) = None
    """Contacts that are left to call. Without it, the list is taken as endless."""

    value_per_contact: Annotated[
        float, Field(gt=0, le=1_000_000_000), Expects("a number above 0")
    ] = 1.0
    """Value of one contact beside those of other campaigns of the tenant, in any unit that all of them use."""

    @field_validator("wrap_up_s")
    @classmethod
    def _is_a_part_of_the_handle_time(
        cls, wrap_up_s: float | None, info: ValidationInfo
    ) -> float | None:
        handle_time_s = info.data.get("handle_time_s")
        if wrap_up_s is not None and handle_time_s is not None and wrap_up_s > handle_time_s:
            raise ValueError(f"must be at most handle_time_s {handle_time_s:g}, not {wrap_up_s:g}")
        return wrap_up_s

    @field_validator("abandonment_cap")
    @classmethod
    def _is_not_below_the_target(cls, cap: float, info: ValidationInfo) -> float:
        target = info.data.get("target_abandonment", 0.0)
        if cap < target:
            raise ValueError(f"must be at least target_abandonment {target:g}, not {cap:g}")
        return cap


class Manifest(Strict):
    """The manifest of one object. A kind defines how its objects are identified and what they compile to."""

    api: ClassVar[str]
    """API whose tenants can hold the kind."""

    identified_by: ClassVar[str]
    """The key of `spec` that identifies the object on the platform."""

    named_by: ClassVar[str]
    """The key of `metadata` with the name that the object must have on the platform."""

    api_version: ApiVersion = Field(alias="apiVersion")
    """Version of the manifest format."""

    metadata: Metadata
    """Name, owner and profile of the manifest."""

    compliance: Compliance = Compliance()
    """Input of the rules. Never sent to the platform."""

    pacing: Pacing = Pacing()
    """Input of the optimizer. Never sent to the platform."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Identity of the object on the platform."""

    @classmethod
    def spec_of(cls, body: Body) -> dict[str, Any]:
        """Return the spec that compiles to a canonical body; `import` writes it.

        Raises:
            ValueError: no manifest of this kind compiles to it. The message names the field and the reason.
        """
        raise NotImplementedError(f"{cls.__name__} describes nothing: {len(body)} fields")

    @classmethod
    @cache
    def tombstone(cls) -> "type[Manifest]":
        """Return the variant of this model for `metadata.retired: true`. It validates only the object's key in `spec`, because the rest may become outdated."""
        spec: Any = cls.model_fields["spec"].annotation
        key = spec.model_fields[cls.identified_by]
        fields: dict[str, Any] = dict.fromkeys(spec.model_fields, (object, None))
        fields[cls.identified_by] = (key.annotation, key)
        retired = create_model("RetiredSpec", __base__=Strict, **fields)
        return create_model(f"Retired{cls.__name__}", __base__=cls, spec=(retired, ...))

    @property
    @abstractmethod
    def platform_name(self) -> str | None:
        """Name that the object must have on the platform, if the manifest gives one."""

    @abstractmethod
    def compile(self) -> Body | None:
        """Return the canonical body that the platform holds once the manifest is applied; `None` if retired."""
