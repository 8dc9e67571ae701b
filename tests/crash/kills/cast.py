"""The objects of a tenant, one class for each API: how git and hands change them, and what their manifests ask for."""

from __future__ import annotations

import copy
import io
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML

from tests.quirks import oracle
from tests.quirks.campaigns import Campaigns
from tests.quirks.platform import Platform
from tests.quirks.scenarios import window
from tests.quirks.skills import Skills, general, week, zone
from tests.support.bodies import make_body

SEPARATOR = "\n---\n"
Facts = oracle.Facts | None


class Cast(Protocol):
    """One API's objects.

    Attributes:
        keys: of the objects.
        id_field: names an object in a manifest.
        edits: fields that git and hands change, each with its values: a pattern of the manifest's text, and what stands there then.
    """

    keys: tuple[str, ...]
    id_field: str

    def seed(self) -> None: ...
    def hand(self, key: str, rng: random.Random) -> str: ...
    def edited(self, text: str, rng: random.Random) -> str: ...
    def wanted(self, key: str, spec: Mapping[str, Any]) -> Facts: ...
    def facts(self, body: Any) -> Facts: ...
    def rest(self) -> None: ...


class CampaignCast:
    """Four campaigns that dial, and one that has no schedule until git wants one or a hand makes one."""

    keys = ("1001", "1002", "1003", "1004", "1005")
    id_field = "campaign_id"
    facts = staticmethod(oracle.of_campaign)
    RATES = (1.5, 2.0, 3.0, 4.5, 6.0)
    CALLS = (50, 100, 150)
    ENDS = (17, 18, 19, 20)

    def __init__(self, platform: Campaigns) -> None:
        self.platform = platform

    def seed(self) -> None:
        for key in self.keys:
            self.platform.add(key, None if key == "1005" else self.body(key))

    def body(self, key: str, rate: float = 3.0, calls: int = 100, end: int = 18) -> dict[str, Any]:
        return make_body(
            campaign_id=key,
            start_time="2027-03-01T05:00:00Z",
            end_time="2027-05-01T03:59:00Z",
            dial_rate=rate,
            max_concurrent_calls=calls,
            compliance_windows=[
                window(each, 9, end) for each in ("America/Chicago", "America/New_York")
            ],
        )

    def rest(self) -> None:
        """Do nothing: a campaign takes any change at any time."""

    def hand(self, key: str, rng: random.Random) -> str:
        now = self.platform.stored(key)
        body = copy.deepcopy(now) or self.body(key, rate=1.5)
        choice = rng.choice(("dial_rate", "max_concurrent_calls", "end_hour", "remove"))
        if choice == "remove" and now is not None:
            body = None
        elif choice == "end_hour":
            end = rng.choice(self.ENDS)
            body["compliance_windows"] = [
                each | {"end_hour": end} for each in body["compliance_windows"]
            ]
        else:
            body["dial_rate"] = rng.choice(self.RATES)
            if choice == "max_concurrent_calls":
                body["max_concurrent_calls"] = rng.choice(self.CALLS)
        self.platform.hand(key, body)
        return f"{choice} of {key}"

    def edited(self, text: str, rng: random.Random) -> str:
        pattern, values = rng.choice(
            (
                (r"dial_rate: \S+", [f"dial_rate: {each}" for each in self.RATES]),
                (r"max_concurrent_calls: \S+", [f"max_concurrent_calls: {n}" for n in self.CALLS]),
                (r"end_hour: \d+", [f"end_hour: {each}" for each in self.ENDS]),
            )
        )
        return re.sub(pattern, rng.choice(values), text)

    def wanted(self, key: str, spec: Mapping[str, Any]) -> Facts:
        body = self.body(key, float(spec["dial_rate"]), int(spec["max_concurrent_calls"]))
        body["compliance_windows"] = [dict(each) for each in spec["compliance_windows"]]
        return self.facts(body | {"dnc_verification": spec["dnc_verification"]})


class SkillCast:
    """Four skills; two of them run."""

    keys = ("4001", "4002", "4003", "4004")
    id_field = "skill_id"
    facts = staticmethod(oracle.of_skill)
    RATIOS = (1.1, 1.25, 1.5, 1.75, 2.0)
    FREE = (10, 20, 30)
    ENDS = ("19:00", "20:00", "20:30")

    def __init__(self, platform: Skills) -> None:
        self.platform = platform

    def seed(self) -> None:
        for key in self.keys:
            zones = [zone(each) for each in ("America/New_York", "America/Chicago")]
            running = key in {"4001", "4002"}
            self.platform.add(key, running=running, zones=zones, groups=("70", "71"))

    def rest(self) -> None:
        """Let all skills stop: while one runs, a rule blocks what widens it."""
        for held in self.platform.objects.values():
            held["running"] = False

    def hand(self, key: str, rng: random.Random) -> str:
        body = self.platform.stored(key)
        choice = rng.choice(("ratio", "free", "end", "group"))
        if choice == "ratio":
            body["generalSettings"]["maximumRatio"] = rng.choice(self.RATIOS)
        elif choice == "free":
            body["generalSettings"]["percentageOfAgentsBeforeOverdial"] = rng.choice(self.FREE)
        elif choice == "end":
            end = rng.choice(self.ENDS)
            for each in body["timeZoneSettings"]:
                each["endTime"] = end
        else:
            body["groups"] = rng.choice((["70"], ["70", "71", "72"], ["71", "72"]))
        self.platform.hand(key, body)
        return f"{choice} of {key}"

    def edited(self, text: str, rng: random.Random) -> str:
        pattern, values = rng.choice(
            (
                (r"maximum_ratio: \S+", [f"maximum_ratio: {each}" for each in self.RATIOS]),
                (
                    r"percentage_of_agents_before_overdial: \S+",
                    [f"percentage_of_agents_before_overdial: {each}" for each in self.FREE],
                ),
                (r'end: "(19:00|20:00|20:30)"', [f'end: "{each}"' for each in self.ENDS]),
            )
        )
        return re.sub(pattern, rng.choice(values), text)

    def wanted(self, key: str, spec: Mapping[str, Any]) -> Facts:  # noqa: ARG002 - as for campaigns
        pacing = general(
            maximumRatio=spec["maximum_ratio"],
            aggressiveness=spec["aggressiveness"],
            blockMultipleCalls=spec["block_multiple_calls"],
            percentageOfAgentsBeforeOverdial=spec["percentage_of_agents_before_overdial"],
            abandonRateThreshold=spec["abandon_rate_threshold"],
        )
        zones = [
            zone(each["timezone"], each["start"], each["end"]) for each in spec["calling_windows"]
        ]
        groups = [str(each) for each in spec["dnc_groups"]]
        return self.facts(
            {
                "scheduleSettings": week(),
                "timeZoneSettings": zones,
                "generalSettings": pacing,
                "groups": groups,
            }
        )


def cast_of(platform: Platform) -> CampaignCast | SkillCast:
    if isinstance(platform, Campaigns):
        return CampaignCast(platform)
    assert isinstance(platform, Skills)
    return SkillCast(platform)


# --- manifests -------------------------------------------------------------------------------------------------------------


def documents(folder: Path) -> dict[Path, list[str]]:
    """Return the texts of the manifests in a folder, by their file."""
    return {
        path: path.read_text(encoding="utf-8").split(SEPARATOR)
        for path in sorted(folder.glob("*.yaml"))
        if path.name != "tenant.yaml"
    }


def manifests(folder: Path, id_field: str) -> dict[str, dict[str, Any]]:
    """Return what the manifests in a folder say, by the id of their object. Read without the product."""
    found = {}
    for texts in documents(folder).values():
        for text in texts:
            said = YAML(typ="safe", pure=True).load(io.StringIO(text))
            found[str(said["spec"][id_field])] = said
    return found


def rewrite(folder: Path, id_field: str, key: str, change: Any) -> bool:
    """Change the text of one object's manifest; return whether there is one and it is another now."""
    for path, texts in documents(folder).items():
        for number, text in enumerate(texts):
            if re.search(rf"{id_field}: ['\"]?{key}['\"]?$", text, re.MULTILINE):
                texts[number] = change(text)
                path.write_text(SEPARATOR.join(texts), encoding="utf-8")
                return bool(texts[number] != text)
    return False


def merge_files(folder: Path) -> None:
    """Put all manifests into one file."""
    found = documents(folder)
    texts = [text.rstrip("\n") for each in found.values() for text in each]
    for path in found:
        path.unlink()
    (folder / "all.yaml").write_text(SEPARATOR.join(texts) + "\n", encoding="utf-8")
