"""The campaigns API, from its contract."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from tests.quirks.platform import (
    CAMPAIGNS,
    CLIENT,
    SECRET,
    Answer,
    Platform,
    Refused,
    Request,
    Write,
)

URL = "https://acme.cxonecloud.com"
ACTIVATION_S = 0.25
FIELDS = {
    "campaign_id",
    "timezone",
    "start_time",
    "end_time",
    "dial_rate",
    "max_concurrent_calls",
    "compliance_windows",
    "dnc_verification",
}
LINKS = {
    "America/New_York": "US/Eastern",
    "America/Chicago": "US/Central",
    "America/Denver": "US/Mountain",
}
CANONICAL = {link: zone for zone, link in LINKS.items()}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Campaigns(Platform):
    """Campaigns by id: `{name, stored, id, at, active, active_id, activated_at, due, lists, locked}`."""

    api = CAMPAIGNS[0]

    def __init__(self, clock: Any, quirks: Any = ()) -> None:
        super().__init__(clock, quirks)
        self.objects: dict[str, dict[str, Any]] = {}
        self.ids = 0
        self.shown: list[str] = []
        self.keys: dict[tuple[str, str, str], tuple[bytes, Answer]] = {}

    def add(self, key: str, body: dict[str, Any] | None) -> None:
        """Add a campaign that dials what it holds, with an ACTIVE list."""
        self.objects[key] = {
            "name": f"Campaign {key}",
            "stored": None,
            "id": None,
            "at": None,
            "active": None,
            "active_id": None,
            "activated_at": None,
            "due": None,
            "locked": 0,
        }
        self.hidden[key] = 0
        if body is not None:
            self.hand(key, body)

    def hand(self, key: str, body: dict[str, Any] | None) -> None:
        """Store by hand, and let the dialer take it."""
        held = self.objects[key]
        self._store(held, copy.deepcopy(body))
        held["active"], held["active_id"] = held["stored"], held["id"]
        held["activated_at"], held["due"] = self.now(), None
        self._note("hand", "EDIT", key, 200, body)

    def stored(self, key: str) -> Any:
        return copy.deepcopy(self.objects[key]["stored"])

    def active(self, key: str) -> Any:
        self._tick()
        return copy.deepcopy(self.objects[key]["active"])

    def silent(self) -> list[str]:
        """Return what still dials, or would after a refresh."""
        self._tick()
        return [key for key, held in self.objects.items() if held["active"] or held["stored"]]

    def _store(self, held: dict[str, Any], body: dict[str, Any] | None) -> None:
        self.ids += 1
        held["stored"] = body
        held["id"] = None if body is None else self.ids + 700
        held["at"] = self.now()

    def _tick(self) -> None:
        for held in self.objects.values():
            if held["due"] is not None and self.clock.s >= held["due"]:
                if held["active_id"] != held["id"]:
                    held["activated_at"] = self.now()
                held["active"], held["active_id"], held["due"] = held["stored"], held["id"], None

    def _note(self, who: str, what: str, key: str, status: int, body: Any, block: str = "") -> None:
        self._tick()
        held = self.objects[key]
        self.journal.append(
            Write(
                self.clock.s,
                who,
                what,
                key,
                status,
                copy.deepcopy(body),
                copy.deepcopy(held["stored"]),
                copy.deepcopy(held["active"]),
                block=block,
                dialing={each: found["active"] for each, found in self.objects.items()},
            )
        )

    # --- routes -----------------------------------------------------------------------------------------------------------

    def unauthenticated(self, request: Request) -> Answer | None:
        if request.path != "/api/oauth2/token":
            return None
        form = dict(parse_qsl(request.content.decode()))
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}, {}
        scope = "campaigns:read campaigns:write dialer:read dnc:read"
        return 200, self.issue(1800) | {"scope": scope}, {}

    def route(self, request: Request) -> Answer:
        self._tick()
        path, method = request.path, request.method
        if (method, path) == ("GET", "/api/dialer/settings"):
            return 200, {"max_dial_rate": 50.0, "max_concurrent_calls": 2000}, {}
        if (method, path) == ("GET", "/api/dnc/lists"):
            return self._lists(request)
        if (method, path) == ("GET", "/api/campaigns"):
            return self._campaigns(request)
        found = re.fullmatch(r"/api/campaigns/([^/]+)(/schedule|/actions/refresh|/metrics)?", path)
        if not found:
            raise Refused(404, {"error": "no such route"})
        key, part = found[1], found[2] or ""
        if key not in self.objects:
            raise Refused(404, {"error": "no such campaign"})
        verb = {
            ("GET", ""): self._one,
            ("GET", "/schedule"): self._schedule,
            ("POST", "/schedule"): self._post,
            ("DELETE", "/schedule"): self._delete,
            ("PUT", "/actions/refresh"): self._refresh,
        }.get((method, part))
        if verb is None:
            raise Refused(404, {"error": "no such route"})
        return verb(request, key)

    def _numbers(self, request: Request) -> tuple[int, int]:
        size = int(request.query.get("page_size", 100))
        return (int(request.query.get("page", 1)) - 1) * size, size

    def _paged(self, request: Request, name: str, rows: list[Any]) -> Answer:
        number, size = int(request.query.get("page", 1)), int(request.query.get("page_size", 100))
        short = any(quirk.startswith("short-pages") for quirk in self.quirks)
        width = (
            min(size, 2) if short else size
        )  # a server that gives fewer rows counts its pages by them
        shown, beside = self.page(rows, (number - 1) * width, size, "total")
        said = {name: shown, "page": number, "page_size": width, **beside}
        if beside.get("_links"):
            said["_links"] = {"next": f"{request.path}?page={number + 1}&page_size={size}"}
        return 200, said, {}

    def _lists(self, request: Request) -> Answer:
        ids: list[Any] = sorted(self.objects)
        ids = [int(each) for each in ids] if self.has("other-ids") else ids
        rows = [
            {"id": f"dnc-{n}", "name": f"List {n}", "status": "ACTIVE", "campaign_ids": ids}
            | self._instants({"updated_at": self.now() - timedelta(days=n)})
            for n in (1, 2, 3)
        ]
        return self._paged(request, "lists", rows)

    def _campaigns(self, request: Request) -> Answer:
        expand = request.query.get("expand")
        if expand and self.has("refuses-expand"):
            raise Refused(400, {"errors": [{"field": "expand", "message": "unknown parameter"}]})
        keys = self.seen(self.objects) if request.query.get("page", "1") == "1" else self.shown
        self.shown = keys
        rows = [
            self._row(key, expand=bool(expand) and not self.has("ignores-expand")) for key in keys
        ]
        return self._paged(request, "campaigns", rows)

    def _row(self, key: str, *, expand: bool) -> dict[str, Any]:
        held = self.objects[key]
        row = {
            "id": int(key) if self.has("other-ids") else key,
            "name": held["name"],
            "status": "RUNNING",
            "schedule_id": self._id(held["id"]),
        }
        if expand:
            row |= {
                "dialer": self._dialer(held),
                "schedule": self._shown(held),
                "etag": None if self.has("no-etags") else self._etag(held),
            }
        return row

    def _id(self, number: int | None) -> Any:
        return number if number is None or self.has("other-ids") else f"s-{number}"

    def _etag(self, held: dict[str, Any]) -> str | None:
        return None if held["id"] is None else f'"{self._id(held["id"])}"'

    def _dialer(self, held: dict[str, Any]) -> dict[str, Any]:
        said = {"active_schedule_id": self._id(held["active_id"])}
        return said | self._instants({"activated_at": held["activated_at"]})

    def _one(self, _: Request, key: str) -> Answer:
        return 200, self._row(key, expand=False) | {"dialer": self._dialer(self.objects[key])}, {}

    def _schedule(self, _: Request, key: str) -> Answer:
        held = self.objects[key]
        if held["stored"] is None:
            raise Refused(404, {"error": "no schedule"})
        return 200, self._shown(held), self._tagged(held)

    def _tagged(self, held: dict[str, Any]) -> dict[str, str]:
        return {} if self.has("no-etags") else {"ETag": self._etag(held) or ""}

    # --- writes -----------------------------------------------------------------------------------------------------------

    def _replayed(self, request: Request) -> Answer | None:
        key = request.headers.get("Idempotency-Key")
        if not key or len(key) > 64:
            raise Refused(400, {"errors": [{"field": "Idempotency-Key", "message": "required"}]})
        if self.has("no-keys"):
            return None
        known = self.keys.get((key, request.method, request.path))
        if known is not None and known[0] != request.content:
            raise Refused(422, {"error": "another body under this key"})
        return None if known is None else known[1]

    def _precondition(self, request: Request, held: dict[str, Any]) -> None:
        if self.has("no-etags"):
            return
        wanted, none = request.headers.get("If-Match"), request.headers.get("If-None-Match")
        if (wanted and wanted != self._etag(held)) or (none == "*" and held["stored"] is not None):
            raise Refused(412, {"error": "precondition failed"})

    def _finish(self, request: Request, answer: Answer) -> Answer:
        self.keys[(request.headers["Idempotency-Key"], request.method, request.path)] = (
            request.content,
            answer,
        )
        return answer

    def _post(self, request: Request, key: str) -> Answer:
        held, body = self.objects[key], request.json
        if (known := self._replayed(request)) is not None:
            return known
        if wrong := problems(key, body):
            self._note("product", "POST", key, 400, body)
            raise Refused(
                400, {"errors": [{"field": each, "message": "invalid"} for each in wrong]}
            )
        self._precondition(request, held)
        self._store(held, body)
        held["locked"] = 2 if self.has("locked-as-json") else 0
        self._note("product", "POST", key, 201, body, "schedule")
        return self._finish(request, (201, self._shown(held), self._tagged(held)))

    def _delete(self, request: Request, key: str) -> Answer:
        held = self.objects[key]
        if (known := self._replayed(request)) is not None:
            return known
        if held["stored"] is None:
            raise Refused(404, {"error": "no schedule"})
        self._precondition(request, held)
        self._store(held, None)
        held["locked"] = 1 if self.has("locked-as-json") else 0
        self._note("product", "DELETE", key, 204, None, "schedule")
        return self._finish(request, (204, None, {}))

    def _refresh(self, _: Request, key: str) -> Answer:
        held = self.objects[key]
        if held["locked"] > 0:
            held["locked"] -= 1
            self._note("product", "REFRESH", key, 500, None, "refresh")
            return 500, "dialer locked", {"Content-Type": "application/json"}
        held["due"] = self.clock.s + ACTIVATION_S
        self._note("product", "REFRESH", key, 202, None, "refresh")
        return 202, None, {}

    # --- what comes back --------------------------------------------------------------------------------------------------

    def _shown(self, held: dict[str, Any]) -> dict[str, Any] | None:
        if held["stored"] is None:
            return None
        body = copy.deepcopy(held["stored"])
        if self.has("zone-links"):
            for each in (body, *body["compliance_windows"]):
                each["timezone"] = LINKS.get(each["timezone"], each["timezone"])
        if self.has("windows-reordered"):
            body["compliance_windows"].reverse()
        if self.has("other-ids"):
            body["campaign_id"] = int(body["campaign_id"])
        if self.has("added-fields"):
            body |= {"created_at": "2027-01-01T00:00:00Z", "revision": 3, "links": {"self": "/x"}}
        for name in ("start_time", "end_time"):
            body[name] = self._instant(instant(body[name]), exact=True)
        own = {"id": self._id(held["id"]), "updated_by": "somebody"}
        return body | own | self._instants({"updated_at": held["at"]})

    def _instants(self, named: dict[str, datetime | None]) -> dict[str, Any]:
        """Return instants of events, which the quirks may move or drop."""
        if self.has("no-instants"):
            return {}
        if self.has("constant-updated-at"):
            named = {
                name: when and datetime(2027, 1, 1, tzinfo=UTC) for name, when in named.items()
            }
        for quirk, year in (("instants-in-the-past", 1970), ("instants-in-the-future", 9998)):
            if self.has(quirk):
                named = {name: when and when.replace(year=year) for name, when in named.items()}
        return {name: when and self._instant(when) for name, when in named.items()}

    def _instant(self, when: datetime, *, exact: bool = False) -> str:
        if self.has("instants-fractions"):
            return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond:06d}0Z"
        if self.has("instants-without-seconds"):
            return when.strftime("%Y-%m-%dT%H:%MZ")
        if self.has("instants-other-offset"):
            return when.astimezone(timezone(timedelta(hours=-7))).isoformat()
        return when.isoformat(timespec="seconds" if exact else "milliseconds").replace(
            "+00:00", "Z"
        )


def problems(key: str, body: Any) -> list[str]:
    """Return the fields of a schedule that the contract does not allow."""
    if not isinstance(body, dict) or set(body) != FIELDS:
        return ["body"]
    wrong = [] if body["campaign_id"] == key else ["campaign_id"]
    if instant(body["end_time"]) <= instant(body["start_time"]):
        wrong.append("end_time")
    if isinstance(body["dial_rate"], str) or not 0 < body["dial_rate"] <= 50:
        wrong.append("dial_rate")
    if (
        type(body["max_concurrent_calls"]) is not int
        or not 1 <= body["max_concurrent_calls"] <= 2000
    ):
        wrong.append("max_concurrent_calls")
    if type(body["dnc_verification"]) is not bool:
        wrong.append("dnc_verification")
    taken: set[tuple[str, int]] = set()
    for window in body["compliance_windows"]:
        ZoneInfo(window["timezone"])
        hours = {
            (window["timezone"], hour) for hour in range(window["start_hour"], window["end_hour"])
        }
        if not hours or taken & hours or window["end_hour"] > 23:
            wrong.append("compliance_windows")
        taken |= hours
    return wrong
