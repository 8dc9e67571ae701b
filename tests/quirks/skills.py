"""The Personal Connection API, from its contract."""

from __future__ import annotations

import copy
import re
from typing import Any

from tests.quirks.platform import (
    CLIENT,
    SECRET,
    SKILLS,
    Answer,
    Clock,
    Platform,
    Refused,
    Request,
    Write,
)

URL = "https://na1.nice-incontact.com"
API = "https://api-na1.nice-incontact.com"
ROOT = re.compile(r"/incontactapi/services/v(\d+)\.0(/.*)", re.IGNORECASE)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WINDOWS_ZONES = {
    "America/New_York": "Eastern Standard Time",
    "America/Chicago": "Central Standard Time",
    "America/Denver": "Mountain Standard Time",
}
BLOCKS = {
    "schedule-settings": "scheduleSettings",
    "time-zones": "timeZoneSettings",
    "general-settings": "generalSettings",
}


def week(start: str = "08:00", end: str = "21:00") -> dict[str, Any]:
    said: dict[str, Any] = {"isScheduled": True}
    for day in DAYS:
        said |= {f"{day}StartTime": start, f"{day}EndTime": end, f"{day}IsActive": True}
    return said


def zone(name: str, start: str = "09:00", end: str = "20:00") -> dict[str, Any]:
    return {
        "standardName": WINDOWS_ZONES[name],
        "startTime": start,
        "endTime": end,
        "timeZoneActiveToCall": True,
        "overrideTime": False,
    }


def general(**more: Any) -> dict[str, Any]:
    return {
        "maximumRatio": 1.5,
        "minimumRatio": 1,
        "aggressiveness": "5",
        "blockMultipleCalls": True,
        "percentageOfAgentsBeforeOverdial": 20,
        "abandonRateThreshold": 3,
        "abandonRateCutoff": 5,
        "overrideBusinessUnitAbandonRate": True,
        "maximumRingingDuration": 25,
        "callerIdOverride": "+12125550100",
        **more,
    }


class Skills(Platform):
    """Skills by id: `{name, running, stopping, blocks by their name on the wire}`; groups by id: the skills they scrub."""

    api = SKILLS[0]

    def __init__(self, clock: Clock, quirks: Any = ()) -> None:
        super().__init__(clock, quirks)
        self.objects: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, set[str]] = {"70": set(), "71": set(), "72": set()}
        self.shown: list[str] = []

    def add(self, key: str, *, running: bool = False, groups: Any = ("70",), **blocks: Any) -> None:
        self.objects[key] = {
            "name": f"Skill {key}",
            "running": running,
            "stopping": None,
            "scheduleSettings": blocks.get("schedule", week()),
            "timeZoneSettings": blocks.get("zones", [zone("America/New_York")]),
            "generalSettings": blocks.get("general", general()),
        }
        for group in groups:
            self.groups[group].add(key)
        self._note("hand", "ADD", key, 200, None)

    def stored(self, key: str) -> Any:
        """Return the three blocks and the groups of a skill: what it holds is what it dials by."""
        held = self.objects[key]
        said = {name: copy.deepcopy(held[name]) for name in BLOCKS.values()}
        return said | {"groups": sorted(g for g, keys in self.groups.items() if key in keys)}

    active = stored

    def hand(self, key: str, body: Any) -> None:
        """Set blocks and groups by hand, at once."""
        for name in BLOCKS.values():
            self.objects[key][name] = copy.deepcopy(body[name])
        for group, keys in self.groups.items():
            (keys.add if group in body["groups"] else keys.discard)(key)
        self._note("hand", "EDIT", key, 200, body)

    def silent(self) -> list[str]:
        """Return what runs."""
        self._tick()
        return [key for key, held in self.objects.items() if held["running"]]

    def _tick(self) -> None:
        for held in self.objects.values():
            if held["stopping"] is not None and self.clock.s >= held["stopping"]:
                held["running"], held["stopping"] = False, None

    def _note(self, who: str, what: str, key: str, status: int, body: Any, block: str = "") -> None:
        state = self.stored(key)
        copied = copy.deepcopy(body)
        dialing = {each: state if each == key else self.stored(each) for each in self.objects}
        line = Write(self.clock.s, who, what, key, status, copied, state, state)
        line.block, line.dialing = block, dialing
        self.journal.append(line)

    # --- routes -----------------------------------------------------------------------------------------------------------

    def unauthenticated(self, request: Request) -> Answer | None:
        path = request.path
        if path.endswith("/authentication/v1/token/access-key"):
            said = request.json or {}
            if (said.get("accessKeyId"), said.get("accessKeySecret")) != (CLIENT, SECRET):
                return 401, {"error": "invalid_client"}, {}
            return 200, self.issue(3600) | {"refresh_token": "r-1"}, {}
        if path == "/.well-known/cxone-configuration":
            return 200, {"api_endpoint": API, "area": "na1"}, {}
        return None

    def route(self, request: Request) -> Answer:
        self._tick()
        found = ROOT.fullmatch(request.path)
        if not found:
            raise Refused(404, {"error": "no such route"})
        path, method = found[2], request.method
        whole = {
            "/business-unit": self._unit,
            "/timezones": self._zones,
            "/skills": self._skills,
            "/skills/parameters": self._bulk,
            "/dnc-groups": self._groups,
        }
        if method == "GET" and path in whole:
            return whole[path](request)
        if one := re.fullmatch(r"/skills/(\w+)", path):
            return self._skill(self._known(one[1]))
        if one := re.fullmatch(r"/skills/(\w+)/parameters/([a-z-]+)", path):
            return self._block(request, self._known(one[1]), one[2])
        if one := re.fullmatch(r"/dnc-groups/(\w+)/scrubbed-skills(?:/(\w+))?", path):
            return self._scrubbed(request, one[1], one[2])
        if (one := re.fullmatch(r"/skills/(\w+)/stop", path)) and method == "POST":
            return self._stop(self._known(one[1]))
        raise Refused(404, {"error": "no such route"})

    def _known(self, key: str) -> str:
        if key not in self.objects:
            raise Refused(404, {"error_description": "no such skill"})
        return key

    def _listed(self, request: Request, name: str, rows: list[Any]) -> Answer:
        if not rows and "skip" not in request.query:
            return 204, None, {}
        skip = int(request.query.get("skip", 0))
        shown, beside = self.page(
            rows, skip, min(int(request.query.get("top", 50)), 100), "totalRecords"
        )
        if not shown:
            return 204, None, {}
        if beside.get("_links"):
            beside["_links"] = {"next": f"{API}{request.path}{beside['_links']['next']}"}
        said: dict[str, Any] = {name: shown, **beside}
        if self.has("wrapped"):
            said = {"resultSet": shown, **beside}
        elif self.has("wrapped-deeper"):
            said = {"resultSet": said}
        return 200, said, {}

    def _unit(self, _: Request) -> Answer:
        unit = {
            "businessUnitId": 1,
            "tenantId": "t-1",
            "outboundPortLimit": 400,
            "agentlessPortLimit": 50,
            "concurrentAgentLimit": 250,
            "allowPredictiveDialing": True,
            "enableSkillAbandonRate": True,
            "defaultTimeZone": "Eastern Standard Time",
            "timeZones": [
                {"displayName": name, "standardName": name} for name in WINDOWS_ZONES.values()
            ],
        }
        return 200, {"businessUnits": [unit]}, {}

    def _zones(self, _: Request) -> Answer:
        rows = [
            {"displayName": name, "standardName": name, "offset": offset}
            for name, offset in zip(
                WINDOWS_ZONES.values(), ("-05:00", "-06:00", "-07:00"), strict=True
            )
        ]
        return 200, rows, {}

    def _id(self, key: str) -> Any:
        return key if self.has("other-ids") else int(key)

    def _row(self, key: str) -> dict[str, Any]:
        held = self.objects[key]
        row = {
            "skillId": self._id(key),
            "skillName": held["name"],
            "isActive": True,
            "isOutbound": True,
            "outboundStrategy": "Personal Connection",
            "campaignId": 9000,
        }
        if held["running"]:  # appears only while the skill dials
            row["isRunning"] = True
        return row

    def _skills(self, request: Request) -> Answer:
        if int(request.query.get("skip", 0)) == 0:
            self.shown = self.seen(self.objects)
        return self._listed(request, "skills", [self._row(key) for key in self.shown])

    def _skill(self, key: str) -> Answer:
        row = self._row(key) | {"agentless": False, "agentlessPorts": 0}
        return 200, {"skills": [row]} if self.has("skill-in-list") else row, {}

    def _bulk(self, request: Request) -> Answer:
        if self.has("no-bulk"):
            raise Refused(404, {"error": "no such route"})
        rows = []
        for key in self.seen(self.objects):
            held = self.objects[key]
            days = held["scheduleSettings"]
            schedules = [
                {
                    "day": day.capitalize(),
                    "active": days[f"{day}IsActive"],
                    "startTime": days[f"{day}StartTime"],
                    "endTime": days[f"{day}EndTime"],
                }
                for day in DAYS
            ]
            zones = [
                {"name": each["standardName"], "description": each["standardName"], **each}
                for each in self._seen_zones(key)
            ]
            pacing = held["generalSettings"]
            level = pacing["aggressiveness"]
            rows.append(
                {
                    "skillId": self._id(key),
                    "skillName": held["name"],
                    "scheduleSettings": {
                        "isScheduled": days["isScheduled"],
                        "schedules": schedules,
                    },
                    "timeZoneSettings": [
                        {name: each[name] for name in each if name != "standardName"}
                        for each in zones
                    ],
                    "generalSettings": pacing
                    | {"aggressiveness": int(level) if level.isdigit() else level},
                }
            )
        return self._listed(request, "skills", rows)

    def _seen_zones(self, key: str) -> list[dict[str, Any]]:
        zones = [dict(each) for each in self.objects[key]["timeZoneSettings"]]
        return zones[::-1] if self.has("windows-reordered") else zones

    def _block(self, request: Request, key: str, path: str) -> Answer:
        if path not in BLOCKS:
            raise Refused(404, {"error": "no such route"})
        name = BLOCKS[path]
        if request.method == "PUT":
            return self._put(request, key, path, name)
        held = self._seen_zones(key) if path == "time-zones" else dict(self.objects[key][name])
        if self.has("clocks-with-seconds"):
            for each in held if isinstance(held, list) else [held]:
                for field, value in each.items():
                    if field.endswith(("StartTime", "EndTime", "startTime", "endTime")):
                        each[field] = f"{value}:00"
        if self.has("added-fields"):
            for each in held if isinstance(held, list) else [held]:
                each |= {"createdAt": "2027-01-01T00:00:00Z", "revision": 3}
        return 200, {name: held}, {}

    def _put(self, request: Request, key: str, path: str, name: str) -> Answer:
        sent = (request.json or {}).get(name)
        if wrong := refused(path, sent):
            self._note("product", f"PUT {path}", key, 400, sent, path)
            raise Refused(400, {"error": "InvalidParameter", "error_description": wrong})
        stored = copy.deepcopy(sent)
        for each in stored if isinstance(stored, list) else [stored]:
            each.pop("createdAt", None)
            each.pop("revision", None)
        self.objects[key][name] = _clocked(stored)
        self._note("product", f"PUT {path}", key, 204, sent, path)
        return 204, None, {}

    def _groups(self, request: Request) -> Answer:
        rows = [
            {
                "dncGroupId": int(group) if not self.has("other-ids") else group,
                "dncGroupName": f"Group {group}",
                "isActive": True,
                "isRemoved": False,
                "validRecords": 1000,
                "lastUpdateTime": "2027-02-15T09:30Z",
            }
            for group in sorted(self.groups)
        ]
        return self._listed(request, "dncGroups", rows)

    def _scrubbed(self, request: Request, group: str, key: str | None) -> Answer:
        if group not in self.groups:
            raise Refused(404, {"error": "no such group"})
        if key is None:
            rows = [{"skillId": self._id(each)} for each in sorted(self.groups[group])]
            return self._listed(request, "scrubbedSkills", rows)
        self._known(key)
        (self.groups[group].add if request.method == "POST" else self.groups[group].discard)(key)
        self._note("product", f"{request.method} group", key, 204, group, f"group-{group}")
        return 204, None, {}

    def _stop(self, key: str) -> Answer:
        held = self.objects[key]
        if not held["running"]:
            raise Refused(409, {"error_description": "not running"})
        held["stopping"] = self.clock.s + 0.5
        self._note("product", "STOP", key, 202, None, "stop")
        return 202, None, {}


def _clocked(block: Any) -> Any:
    """Return a block whose clocks are HH:MM, as the platform stores them."""
    if isinstance(block, list):
        return [_clocked(each) for each in block]
    return {
        name: value[:5] if name.lower().endswith(("starttime", "endtime")) and value else value
        for name, value in block.items()
    }


def refused(path: str, sent: Any) -> str | None:
    """Return why the platform does not take a block."""
    if path == "schedule-settings":
        if not isinstance(sent, dict) or not all(
            sent.get(f"{day}IsActive") in (True, "True", 1) for day in DAYS
        ):
            return "all days must be active"
        if any(sent[f"{day}StartTime"] >= sent[f"{day}EndTime"] for day in DAYS):
            return "start must be before end"
    elif path == "time-zones":
        names = [each["standardName"] for each in sent] if isinstance(sent, list) else [""]
        if len(set(names)) < len(names) or not set(names) <= set(WINDOWS_ZONES.values()):
            return "zones"
    elif not (isinstance(sent, dict) and 1 <= float(sent["maximumRatio"]) <= 3):
        return "maximumRatio"
    return None
