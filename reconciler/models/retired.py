"""The tombstone of a campaign's schedule: what a manifest with `metadata.retired: true` must still say."""

from typing import Annotated, ClassVar, Literal

from reconciler.models.base import Expects, Manifest, Strict
from reconciler.models.campaign import CampaignId, CampaignMetadata


class RetiredSpec(Strict):
    """What a tombstone must still say. What it keeps of the rest is not read, so that time cannot make it invalid."""

    campaign_id: CampaignId
    """The platform's id of the campaign, in quotes."""

    timezone: object = None
    start_time: object = None
    end_time: object = None
    dial_rate: object = None
    max_concurrent_calls: object = None
    dnc_verification: object = None
    compliance_windows: object = None


class RetiredCampaign(Manifest):
    """The tombstone of a campaign's schedule."""

    api: ClassVar[str] = "campaigns"
    named_by: ClassVar[str] = "campaign_name"

    kind: Annotated[Literal["CampaignSchedule"], Expects("CampaignSchedule")]
    """What the manifest describes."""

    metadata: CampaignMetadata
    """Who and what the manifest is."""

    spec: RetiredSpec
    """Which campaign must hold no schedule."""

    @property
    def platform_name(self) -> str | None:
        """Return what the platform must call the campaign."""
        return self.metadata.campaign_name

    @property
    def key(self) -> str:
        """Return the campaign's id."""
        return self.spec.campaign_id

    def compile(self) -> None:
        """Return `None`: the campaign must hold no schedule."""
