"""Makes what is measured: a tenant's folder of N manifests, and the state of a platform that differs in a share of them.

A process of its own, so that the memory of making it is counted to nobody:
`python ground.py FOLDER STATE --count N --changed SHARE --rate R`; with `-` for the folder only the state.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from reconciler import sandbox

CLOCK = "2027-01-04T12:00:00Z"
"""The platform's clock is pinned, so that no schedule ends and no figure rots."""

BURST = 10
"""Requests that the platform takes at once, where it limits them."""

ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec:
  api: campaigns
  url: "{url}"
  requests_per_second: {rate:g}
  limits: {{changed_share: 1, reason: a benchmark, until: "2099-12-31"}}
"""

MANIFEST = """\
apiVersion: cxone.reconciler/v1
kind: CampaignSchedule
metadata:
  name: campaign-{key}
  owner: benchmark
spec:
  campaign_id: "{key}"
  timezone: {zone}
  start_time: "{start:%Y-%m-%d %H:%M}"
  end_time: "{end:%Y-%m-%d %H:%M}"
  dial_rate: {rate}
  max_concurrent_calls: {calls}
  dnc_verification: true
  compliance_windows:
    - timezone: {zone}
      start_hour: 9
      end_hour: 20
    - timezone: America/Phoenix
      start_hour: 10
      end_hour: 19
compliance:
  jurisdictions: [US-NY, US-FL]
  purpose: sales
pacing:
  agents: 60
  handle_time_s: 180
"""


def campaign(i: int) -> dict[str, Any]:
    """Return what tells the `i`th campaign from the others."""
    zone = ZONES[i % len(ZONES)]
    where = ZoneInfo(zone)
    return {
        "key": str(1_000_000 + i),
        "zone": zone,
        "start": datetime(2027, 1 + i % 3, 11 + i % 15, 9, tzinfo=where),
        "end": datetime(2027, 6 + i % 3, 11 + i % 15, 18, tzinfo=where),
        "rate": 2.0 + i % 40,
        "calls": 100 + i % 900,
    }


def body(i: int, *, changed: bool) -> dict[str, Any]:
    """Return what the platform holds for the `i`th campaign: what its manifest says, or a rate that is one higher."""
    known = campaign(i)
    windows = [
        {"timezone": known["zone"], "start_hour": 9, "end_hour": 20},
        {"timezone": "America/Phoenix", "start_hour": 10, "end_hour": 19},
    ]
    return {
        "campaign_id": known["key"],
        "timezone": known["zone"],
        "start_time": f"{known['start'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{known['end'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "dial_rate": known["rate"] + changed,
        "max_concurrent_calls": known["calls"],
        "compliance_windows": sorted(windows, key=lambda window: str(window["timezone"])),
        "dnc_verification": True,
    }


def write_folder(
    folder: Path, count: int, rate: float, *, url: str = "sandbox:", declared: str = ""
) -> None:
    """Write a tenant's folder: a file for each manifest, a thousand to a subfolder.

    Args:
        folder: to write to.
        count: of the manifests.
        rate: requests per second of the client; 0: as many as are allowed.
        url: of the tenant.
        declared: further lines of `tenant.yaml`, such as its ledger.
    """
    folder.mkdir(parents=True)
    tenant = TENANT.format(rate=rate or 1000, url=url) + declared
    (folder / "tenant.yaml").write_text(tenant, encoding="ascii")
    for i in range(count):
        place = folder / f"{i // 1000:03}"
        place.mkdir(exist_ok=True)
        known = campaign(i)
        (place / f"{known['key']}.yaml").write_text(MANIFEST.format(**known), encoding="ascii")


def write_state(state: Path, count: int, changed: float, rate: float, burst: int = BURST) -> None:
    """Write a platform's state: every campaign stored and active, the first of each `1 / changed` with another rate."""
    every = round(1 / changed) if changed else count + 1
    settings = sandbox.Settings(requests_per_second=rate, burst=burst)
    world = sandbox.CampaignState.open(state, clock=CLOCK, settings=settings)
    sandbox.seed_many(world, count, body=lambda i: body(i, changed=changed > 0 and i % every == 0))
    world.close()


def main() -> None:
    """Make a folder and a state; or, with `-` for both, print what the manifests compile to, a line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--changed", type=float, default=0.01, help="share that differs")
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second; 0: no limit")
    parser.add_argument("--burst", type=int, default=BURST, help="requests at once")
    asked = parser.parse_args()
    if str(asked.state) == "-":
        for i in range(asked.count):
            print(json.dumps(body(i, changed=False)))
        return
    if str(asked.folder) != "-":
        write_folder(asked.folder, asked.count, asked.rate)
    write_state(asked.state, asked.count, asked.changed, asked.rate, asked.burst)


if __name__ == "__main__":
    main()
