"""Models of the manifests, and the functions that compile them."""

from __future__ import annotations

from reconciler.models.base import API_VERSION, Body, Claim, Desired, Manifest, Pacing
from reconciler.models.instants import canonical_instant, wall_time
from reconciler.models.kinds import MANIFESTS, is_meant_retired, model_for, schema_file
from reconciler.models.tenant import TENANT_NAME, Capacity, Limits, Tenant, TenantSpec, Waiver
from reconciler.models.urls import EMBEDDED, is_loopback, platform_of, tenant_url
from reconciler.models.zones import zone

__all__ = [
    "API_VERSION",
    "EMBEDDED",
    "MANIFESTS",
    "TENANT_NAME",
    "Body",
    "Capacity",
    "Claim",
    "Desired",
    "Limits",
    "Manifest",
    "Pacing",
    "Tenant",
    "TenantSpec",
    "Waiver",
    "canonical_instant",
    "is_loopback",
    "is_meant_retired",
    "model_for",
    "platform_of",
    "schema_file",
    "tenant_url",
    "wall_time",
    "zone",
]
