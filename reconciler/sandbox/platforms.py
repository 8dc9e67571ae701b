"""The available platforms by a tenant's `api`: how to open each one with its samples, and its ASGI app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reconciler.sandbox.campaign_seed import open_samples, seed_many
from reconciler.sandbox.campaign_state import CampaignState
from reconciler.sandbox.campaigns import create_app
from reconciler.sandbox.connection import create_connection_app
from reconciler.sandbox.skill_seed import open_skill_samples, seed_many_skills
from reconciler.sandbox.skill_state import SkillState


@dataclass(frozen=True, slots=True)
class Platform:
    """One API's platform.

    Attributes:
        bare: opens a platform as it is; takes the options of `State.open`.
        opened: opens a platform, and gives an empty one the samples.
        app: returns the ASGI app over a platform.
        fill: adds a number of objects to a platform.
        example: environment variable and id of a sample object, for trying the server by hand.
    """

    bare: Callable[..., Any]
    opened: Callable[..., Any]
    app: Callable[..., Any]
    fill: Callable[[Any, int], None]
    example: Callable[[Any], tuple[str, str]]


def platform(api: str) -> Platform:
    """Return the platform of an API."""
    return PLATFORMS[api]


def _campaign(state: CampaignState) -> tuple[str, str]:
    rows, _ = state.campaign_page(1, 1)
    return "CAMPAIGN_ID", rows[0]["id"] if rows else ""


def _skill(state: SkillState) -> tuple[str, str]:
    return "SKILL_ID", "".join(str(row["id"]) for row in state.skills(top=1))


PLATFORMS: Final[Mapping[str, Platform]] = {
    "campaigns": Platform(CampaignState.open, open_samples, create_app, seed_many, _campaign),
    "personal-connection": Platform(
        SkillState.open, open_skill_samples, create_connection_app, seed_many_skills, _skill
    ),
}


def reset(path: str | Path, api: str = "campaigns") -> None:
    """Empty a state file, and forget its pinned clock.

    Raises:
        SandboxError: the file is not a sandbox state; it is not changed.
    """
    state = PLATFORMS[api].bare(path)
    state.reset()
    state.pin("system")
    state.close()
