"""What a manifest may say, and what it compiles to."""

from __future__ import annotations

from reconciler.models.base import API_VERSION, Body, Desired, Manifest, Strict
from reconciler.models.campaign import (
    CampaignSchedule,
    CampaignSpec,
    canonical,
    compile_campaign,
)
from reconciler.models.kinds import MANIFESTS, model_for
from reconciler.models.moments import canonical_instant, to_instant, zone
from reconciler.models.skill import DAYS, SkillSchedule, SkillSpec, canonical_skill, compile_skill
from reconciler.models.tenant import (
    EMBEDDED,
    TENANT_NAME,
    Limits,
    Profile,
    Tenant,
    TenantSpec,
    Waiver,
    tenant_url,
)
from reconciler.models.zones import canonical_zone, iana_name, windows_name

__all__ = [
    "API_VERSION",
    "DAYS",
    "EMBEDDED",
    "MANIFESTS",
    "TENANT_NAME",
    "Body",
    "CampaignSchedule",
    "CampaignSpec",
    "Desired",
    "Limits",
    "Manifest",
    "Profile",
    "SkillSchedule",
    "SkillSpec",
    "Strict",
    "Tenant",
    "TenantSpec",
    "Waiver",
    "canonical",
    "canonical_instant",
    "canonical_skill",
    "canonical_zone",
    "compile_campaign",
    "compile_skill",
    "iana_name",
    "model_for",
    "tenant_url",
    "to_instant",
    "windows_name",
    "zone",
]
