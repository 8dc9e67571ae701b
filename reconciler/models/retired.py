"""The tombstone of a campaign's schedule: what a manifest with `metadata.retired: true` must still say."""

from reconciler.models.campaign import CampaignKey, OfCampaign


class RetiredSpec(CampaignKey):
    """What a tombstone must still say. What it keeps of the rest is not read, so that time cannot make it invalid."""

    timezone: object = None
    start_time: object = None
    end_time: object = None
    dial_rate: object = None
    max_concurrent_calls: object = None
    dnc_verification: object = None
    compliance_windows: object = None


class RetiredCampaign(OfCampaign):
    """The tombstone of a campaign's schedule."""

    spec: RetiredSpec
    """Which campaign must hold no schedule."""

    @property
    def key(self) -> str:
        """Return the campaign's id."""
        return self.spec.campaign_id

    def compile(self) -> None:
        """Return `None`: the campaign must hold no schedule."""
