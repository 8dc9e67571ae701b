"""A tenant of 60 campaigns, applied, and a commit that edits all of them harmlessly: the haystack of `test_dangers`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import sandbox
from reconciler.commands import apply, plan
from reconciler.report import Report
from reconciler.world import World, here
from tests.support.bodies import make_body, make_window
from tests.support.desk import commit, git

FOLDER = Path("schedules/acme")
CLOCK = "2027-03-01T12:00:00Z"
NUMBERS = range(1, 61)
NEW = (59, 60)
"""Campaigns whose manifests come with the harmless commit."""

SMALL = 5
"""A campaign with few concurrent calls."""

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec:
  api: campaigns
  url: "sandbox:"
  requests_per_second: 100
  limits: {changed_share: 1.0, loosened_share: 1.0, reason: season, until: 2027-12-31}
  policies: {dnc-flag: warning}
  audit: {mirror: true}
  profiles:
    us:
      spec: {max_concurrent_calls: 400, dnc_verification: true}
"""

NEW_YORK, CHICAGO = make_window("America/New_York"), make_window("America/Chicago")
DENVER = make_window("America/Denver")


def key_of(number: int) -> str:
    return f"{1000 + number}"


def base_of(number: int) -> dict[str, Any]:
    """Return the spec of a campaign at the base; the profile supplies what is missing."""
    spec: dict[str, Any] = {
        "campaign_id": key_of(number),
        "timezone": "America/New_York",
        "start_time": "2027-03-08 09:00",
        "end_time": "2027-03-26 18:00",
        "dial_rate": 2 + number / 10,
        "compliance_windows": [NEW_YORK, CHICAGO] if number % 3 else [NEW_YORK, CHICAGO, DENVER],
    }
    if number in range(21, 25):
        spec |= {"dial_rate": 40 + number / 10, "max_concurrent_calls": 1900 + number}
    if number == SMALL:
        spec["max_concurrent_calls"] = 15
    if number in range(13, 21):
        spec["max_concurrent_calls"] = 150
    if number in range(41, 53):
        spec["max_concurrent_calls"] = 4
    return spec


def harmless(number: int, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec after its harmless edit. Some look large: many digits, large factors down, many windows, many words."""
    rate, rows = spec["dial_rate"], spec["compliance_windows"]
    edits = {
        range(1, 13): {"dial_rate": round(rate - 0.1, 2)},
        range(13, 21): {"max_concurrent_calls": 120},  # identical, so one row
        range(21, 25): {"dial_rate": 1.5, "max_concurrent_calls": number},  # large, and all down
        range(25, 29): {"end_time": f"2027-03-{25 - number % 3} 17:{number}"},  # earlier
        range(29, 37): {
            "compliance_windows": [{**row, "end_hour": 19} for row in rows],
            "dial_rate": round(rate - 0.2, 2),
        },
        range(37, 41): {"dial_rate": round(rate * 1.05, 3)},  # a little faster
        range(41, 53): {
            "dial_rate": round(rate - number / 100, 2),
            "max_concurrent_calls": 9,
        },  # few calls
        range(53, 59): {
            "end_time": f"2027-03-26 18:{number % 10:02}",
            "dial_rate": round(rate * 1.02, 3),
        },
        range(59, 61): {"dial_rate": 0.5, "max_concurrent_calls": 5},
    }
    return spec | next(edit for numbers, edit in edits.items() if number in numbers)


@dataclass(frozen=True)
class Manifest:
    """A campaign's manifest, as tests edit it."""

    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    def text(self) -> str:
        head = {"apiVersion": "cxone.reconciler/v1", "kind": "CampaignSchedule"}
        return _yaml({**head, "metadata": {**self.metadata}, "spec": {**self.spec}})


def _yaml(value: Any, indent: str = "") -> str:
    lines = []
    for name, item in value.items():
        if isinstance(item, dict):
            lines.append(f"{indent}{name}:\n{_yaml(item, indent + '  ')}")
        elif isinstance(item, list):
            rows = "".join(f"\n{indent}  - {{{_flow(row)}}}" for row in item)
            lines.append(f"{indent}{name}:{rows or ' []'}\n")
        else:
            lines.append(f"{indent}{name}: {_scalar(item)}\n")
    return "".join(lines)


def _flow(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {_scalar(item)}" for name, item in row.items())


def _scalar(item: Any) -> str:
    if isinstance(item, bool):
        return str(item).lower()
    return str(item) if isinstance(item, int | float) else f'"{item}"'


def manifest(number: int, *, edited: bool) -> Manifest:
    metadata: dict[str, Any] = {"name": f"m{number:02}", "profile": "us"}
    if number % 2 == 0:
        metadata["campaign_name"] = f"Campaign {key_of(number)}"
    spec = base_of(number)
    return Manifest(metadata, harmless(number, spec) if edited else spec)


@dataclass(frozen=True)
class Ground:
    """The repository, at the commit with 60 harmless edits."""

    root: Path
    world: World
    haystack: str

    @property
    def folder(self) -> Path:
        return self.root / FOLDER

    def write(self, number: int, each: Manifest) -> None:
        (self.folder / f"m{number:02}.yaml").write_text(each.text(), encoding="utf-8")

    @contextmanager
    def edited(self, edit: Callable[[Ground], None]) -> Iterator[None]:
        """Commit an edit on top of the harmless ones, and take it back at the end."""
        edit(self)
        commit(self.root)
        try:
            yield
        finally:
            git(self.root, "reset", "-q", "--hard", self.haystack)

    def plan(self) -> Report:
        return asyncio.run(plan.show(self.world, plan.PlanRequest(self.folder)))


@contextmanager
def ground(root: Path) -> Iterator[Ground]:
    """Make the tenant in an empty folder: the base is applied, the harmless edits are committed."""
    state = sandbox.CampaignState.open(root / "world.db", clock=CLOCK)
    state.configure(activation_s=0, requests_per_second=0)
    bodies = {number: _body(number) for number in NUMBERS if number not in NEW}
    state.put_campaigns(
        (key_of(number), f"Campaign {key_of(number)}", body) for number, body in bodies.items()
    )
    for number in (*NEW, 99):
        state.put_campaign(key_of(number))
    state.put_list("dnc-us", campaign_ids=[key_of(number) for number in (*NUMBERS, 99)])
    repository = root / "repository"
    (repository / FOLDER).mkdir(parents=True)
    git(repository, "init", "-q")
    with sandbox.loopback(sandbox.create_app(state)) as url:
        login = sandbox.credentials(state)
        environ = {
            "CXONE_TENANT_URL": url,
            "CXONE_CLIENT_ID": login.client_id,
            "CXONE_CLIENT_SECRET": login.client_secret,
        }
        outside = here(lambda _: None)
        world = outside._replace(environ={**outside.environ, **environ}, directory=repository)
        made = Ground(repository, world, "")
        (made.folder / "tenant.yaml").write_text(TENANT, encoding="utf-8")
        for number in bodies:
            made.write(number, manifest(number, edited=False))
        commit(repository)
        asked = apply.ApplyRequest(made.folder)
        done = asyncio.run(apply.apply(world, asked, asyncio.Event()))
        assert done.exit_code == 0, done.verdict
        for number in NUMBERS:
            made.write(number, manifest(number, edited=True))
        commit(repository)
        yield Ground(repository, world, git(repository, "rev-parse", "HEAD").strip())
    state.close()


def _body(number: int) -> dict[str, Any]:
    """Return what the platform holds of a campaign at the base."""
    times = {"start_time": "2027-03-08T14:00:00Z", "end_time": "2027-03-26T22:00:00Z"}
    profile = {"max_concurrent_calls": 400, "dnc_verification": True}
    return make_body(**{**profile, **base_of(number), **times})
