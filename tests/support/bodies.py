"""One valid schedule of each kind, in the form of manifests and of platforms. Tests override the fields that matter to them.

Every test that needs a whole schedule takes it from here, so that a new managed field is added to the tests once. Nothing
of the product is imported: the tests of the sandbox use these values, too.
"""

from __future__ import annotations

import json
import re
from typing import Any

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec:
  api: {api}
  url: "{url}"
  requests_per_second: 1000
  limits: {{changed_share: 1.0, retired_share: 1.0, loosened_share: 1.0, reason: tests, until: 2099-01-01}}
"""
"""A `tenant.yaml` that no limit stops: `api` and `url` are to be filled in."""


def make_window(zone: str = "America/New_York", start: int = 9, end: int = 20) -> dict[str, Any]:
    return {"timezone": zone, "start_hour": start, "end_hour": end}


def make_spec(**fields: Any) -> dict[str, Any]:
    """Return the `spec` of a campaign's manifest; it compiles to `make_body()`."""
    return {
        "campaign_id": "1001",
        "timezone": "America/New_York",
        "start_time": "2027-01-11 09:00",
        "end_time": "2027-01-15 18:00",
        "dial_rate": 25.0,
        "max_concurrent_calls": 500,
        "dnc_verification": True,
        "compliance_windows": [make_window()],
        **fields,
    }


def make_body(**fields: Any) -> dict[str, Any]:
    """Return a canonical body of a campaign's schedule. Keyword arguments override its fields."""
    instants = {"start_time": "2027-01-11T14:00:00Z", "end_time": "2027-01-15T23:00:00Z"}
    return make_spec(**{**instants, **fields})


def make_manifest(name: str = "spring", **fields: Any) -> dict[str, Any]:
    """Return a campaign's manifest. Keyword arguments override fields of its `spec`."""
    return {
        "apiVersion": "cxone.reconciler/v1",
        "kind": "CampaignSchedule",
        "metadata": {"name": name},
        "spec": make_spec(**fields),
    }


def make_skill_body(**fields: Any) -> dict[str, Any]:
    """Return a canonical body of a skill's schedule; every field may be overridden."""
    return {
        "skill_id": "4001",
        "timezone": "America/New_York",
        "run_window": [{"day": day, "start": "08:00", "end": "21:00"} for day in DAYS],
        "calling_windows": [{"timezone": "America/New_York", "start": "09:00", "end": "20:00"}],
        "maximum_ratio": 1.5,
        "aggressiveness": "5",
        "block_multiple_calls": True,
        "percentage_of_agents_before_overdial": 20.0,
        "abandon_rate_threshold": 3.0,
        "override_business_unit_abandon_rate": False,
        "maximum_ringing_duration_s": 25,
        "dnc_groups": ["70"],
        **fields,
    }


def manifest_text(
    name: str = "spring", *, retired: bool = False, more: str = "", **fields: Any
) -> str:
    """Return the YAML text of a campaign's manifest. Keyword arguments override fields of its `spec`; `more` adds sections."""
    spec = make_spec(**fields)
    windows = spec.pop("compliance_windows")
    lines = [
        "apiVersion: cxone.reconciler/v1",
        "kind: CampaignSchedule",
        "metadata:",
        f"  name: {name}",
        f"  retired: {_yaml(retired)}",
        "spec:",
        *(f"  {field}: {_yaml(value)}" for field, value in spec.items()),
        "  compliance_windows:" if windows else "  compliance_windows: []",
        *(f"    - {_yaml(window)}" for window in windows),
    ]
    return "\n".join(lines) + "\n" + more


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_yaml(item)}' for name, item in value.items())}}}"
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_/]+", value)
    return value if plain else json.dumps(value)
