"""A platform of its own, written from the contract alone: what the product may meet, not what its own sandbox does.

`Platform` holds what both APIs share: a clock that is moved by hand, tokens, the rate limit, a journal of every write, and the quirks
that touch any answer. `campaigns.Campaigns` and `skills.Skills` add an API each. A request is answered in the process, without a socket.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx

START = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
CLIENT, SECRET = "quirk-client", "quirk-secret"
BOTH, CAMPAIGNS, SKILLS = (
    ("campaigns", "personal-connection"),
    ("campaigns",),
    ("personal-connection",),
)

# Beside these, which change what an answer looks like and not what is true, `test_contradictions` knows of lists that lie:
# `total-too-high` and `next-without-more`.
QUIRKS: Mapping[str, tuple[str, ...]] = {
    "short-pages": BOTH,  # two rows a page, whatever was asked for; the total is told
    "short-pages-total-as-text": BOTH,
    "short-pages-next-link": BOTH,  # no total; `_links.next` as long as there is more
    "short-pages-untold": BOTH,  # neither; only an empty page ends the list
    "no-total": BOTH,  # full pages
    "booleans-as-text": BOTH,
    "booleans-as-numbers": BOTH,
    "numbers-as-text": BOTH,
    "other-ids": BOTH,  # numbers for text in campaigns, text for numbers in skills
    "wrapped": SKILLS,  # lists as `{resultSet: [...]}`
    "wrapped-deeper": SKILLS,  # lists as `{resultSet: {skills: [...]}}`
    "skill-in-list": SKILLS,  # GET /skills/{id} as {skills: [...]}
    "empty-200": BOTH,  # where the contract says 204, or an empty list
    "bom": BOTH,
    "added-fields": BOTH,
    "whole-numbers": CAMPAIGNS,  # 25.0 comes back as 25
    "zone-links": CAMPAIGNS,  # America/Chicago comes back as US/Central
    "instants-fractions": CAMPAIGNS,  # seven digits
    "instants-without-seconds": CAMPAIGNS,
    "instants-other-offset": CAMPAIGNS,
    "clocks-with-seconds": SKILLS,
    "windows-reordered": BOTH,
    "constant-updated-at": CAMPAIGNS,
    "no-instants": CAMPAIGNS,
    "instants-in-the-past": CAMPAIGNS,
    "instants-in-the-future": CAMPAIGNS,
    "skewed-clock": BOTH,
    "locked-as-json": CAMPAIGNS,  # 500 on refresh: a plain text, labelled JSON
    "html-as-json": BOTH,  # a gateway's 503 now and then, labelled JSON
    "lost-answers": BOTH,  # every third write is executed and answered 502
    "no-etags": CAMPAIGNS,
    "no-keys": CAMPAIGNS,
    "ignores-expand": CAMPAIGNS,
    "refuses-expand": CAMPAIGNS,
    "no-bulk": SKILLS,  # GET /skills/parameters is 404
    "hidden-when-new": BOTH,  # a new object is missing from the next lists
    "expires-as-text": BOTH,
    "no-expires": BOTH,
    "revoked-tokens": BOTH,  # somebody else signs in now and then: all older tokens end
    "header-case": BOTH,
    "unscheduled": SKILLS,  # the hand that widens sets `isScheduled: false`
    "retry-after-date": BOTH,
    "rate-bursts": BOTH,
}


@dataclass
class Clock:
    """Seconds since `START`; shared by the platform, the event loop and the commands."""

    s: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.s)


@dataclass
class Write:
    """A line of the journal.

    Attributes:
        at: seconds on the clock.
        who: "product", or "hand".
        what: method and path.
        key: the object.
        status: what was answered (before a lost answer became 502).
        body: what was sent.
        stored, active: what the object held and dialed right after.
        refs: the audit refs, where they are kept, at the moment of the request.
        block: the part of the object that was written.
        dialing: what every object dialed right after.
        lost: whether the answer got lost.
    """

    at: float
    who: str
    what: str
    key: str
    status: int
    body: Any
    stored: Any
    active: Any
    refs: Mapping[str, str] = field(default_factory=dict)
    block: str = ""
    dialing: Mapping[str, Any] = field(default_factory=dict)
    lost: bool = False

    def line(self) -> str:
        return f"{self.at:9.2f} {self.who:7} {self.status} {self.what} {json.dumps(self.body)}"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: httpx.Headers
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content) if self.content else None


class Refused(Exception):
    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, dict(headers or {})


Answer = tuple[int, Any, dict[str, str]]
"""Status, body (`None`: empty; text: as it is; else JSON), headers."""


class Platform:
    """Answers requests; the subclasses route them."""

    api = ""

    def __init__(self, clock: Clock, quirks: Iterable[str] = ()) -> None:
        self.clock = clock
        self.quirks = frozenset(quirks)
        self.skew_s = -90.0 if "skewed-clock" in self.quirks else 0.4
        self.journal: list[Write] = []
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self.issued = self.asked = self.written = self.gets = 0
        self.burst = 0
        self.hidden: dict[str, int] = {}
        self.refs: Callable[[], Mapping[str, str]] = dict

    def has(self, quirk: str) -> bool:
        return quirk in self.quirks

    def now(self) -> datetime:
        """Return the platform's own clock."""
        return self.clock.now() + timedelta(seconds=self.skew_s)

    # --- a request --------------------------------------------------------------------------------------------------------

    def answer(self, got: httpx.Request) -> httpx.Response:
        self.clock.s += 0.01
        raw, _, query = got.url.raw_path.decode().partition("?")
        path = unquote(raw).replace("//", "/")
        request = Request(got.method, path, dict(parse_qsl(query)), got.headers, got.content)
        self.requests.append(f"{got.method} {got.url.raw_path.decode()}")
        try:
            status, body, headers = self.guarded(request)
        except Refused as no:
            status, body, headers = no.status, no.body, no.headers
        return self.response(status, body, headers)

    def guarded(self, request: Request) -> Answer:
        if (open_ := self.unauthenticated(request)) is not None:
            return open_
        self.authorise(request)
        self.limit()
        reading = request.method == "GET"
        self.gets += reading
        if self.has("html-as-json") and reading and self.gets % 8 == 0:
            return (
                503,
                "<html><body>Bad gateway</body></html>",
                {"Content-Type": "application/json"},
            )
        if not reading:
            refs, before = self.refs(), len(self.journal)
        answer = self.route(request)
        if not reading:
            for line in self.journal[before:]:
                line.refs = refs
            self.written += 1
            if self.has("lost-answers") and self.written % 3 == 0 and answer[0] < 300:
                for line in self.journal[before:]:
                    line.lost = True
                return 502, "<html>Bad gateway</html>", {"Content-Type": "application/json"}
        return answer

    def limit(self) -> None:
        self.asked += 1
        if self.has("retry-after-date") and self.asked % 7 == 0:
            when = format_datetime(self.now() + timedelta(seconds=2), usegmt=True)
            raise Refused(429, None, {"Retry-After": when})
        if self.has("rate-bursts"):
            if self.asked % 19 == 0:
                self.burst = 3
            if self.burst:
                self.burst -= 1
                raise Refused(429)

    def unauthenticated(self, request: Request) -> Answer | None:
        raise NotImplementedError

    def route(self, request: Request) -> Answer:
        raise NotImplementedError

    # --- tokens -----------------------------------------------------------------------------------------------------------

    def issue(self, lifetime_s: int) -> dict[str, Any]:
        self.issued += 1
        claims = json.dumps({"tenantId": "t-1", "n": self.issued}).encode()
        token = ".".join(
            base64.urlsafe_b64encode(part).rstrip(b"=").decode()
            for part in (b'{"alg":"none"}', claims, b"signature")
        )
        self.tokens.add(token)
        said: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if self.has("expires-as-text"):
            said["expires_in"] = str(lifetime_s)
        elif not self.has("no-expires"):
            said["expires_in"] = lifetime_s
        return said

    def authorise(self, request: Request) -> None:
        if self.has("revoked-tokens") and self.asked % 11 == 10:
            self.asked += 1
            self.tokens.clear()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise Refused(401, {"error": "invalid_token"})

    # --- what any answer may look like ------------------------------------------------------------------------------------

    def response(self, status: int, body: Any, headers: dict[str, str]) -> httpx.Response:
        plain = {"Date": format_datetime(self.now(), usegmt=True), **headers}
        content = b""
        if status == 204 and self.has("empty-200"):
            status = 200
        if isinstance(body, str):
            content = body.encode()
        elif body is not None:
            plain.setdefault("Content-Type", "application/json")
            content = json.dumps(self.disguised(body)).encode()
            if self.has("bom"):
                content = b"\xef\xbb\xbf" + content
        if self.has("header-case"):
            plain = {
                (name.lower() if n % 2 else name.upper()): value
                for n, (name, value) in enumerate(plain.items())
            }
        return httpx.Response(status, headers=plain, content=content)

    def disguised(self, value: Any) -> Any:
        """Return the value in the scalars that the quirks prefer."""
        if isinstance(value, Mapping):
            return {
                name: each if name in {"expires_in", "errors"} else self.disguised(each)
                for name, each in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.disguised(each) for each in value]
        return self.scalar(value)

    def scalar(self, value: Any) -> Any:
        if isinstance(value, bool):
            text = str(value) if self.has("booleans-as-text") else value
            return int(value) if self.has("booleans-as-numbers") else text
        if isinstance(value, (int, float)):
            if self.has("numbers-as-text"):
                return str(value)
            if self.has("whole-numbers") and value == int(value):
                return int(value)
        return value

    # --- lists ------------------------------------------------------------------------------------------------------------

    def seen(self, rows: dict[str, Any]) -> list[str]:
        """Return the keys that lists show now, sorted."""
        shown = []
        for key in sorted(rows):
            if self.has("hidden-when-new") and self.hidden.get(key, 0) > 0:
                self.hidden[key] -= 1
            else:
                shown.append(key)
        return shown

    def page(
        self, rows: list[Any], skip: int, top: int, total: str
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the rows of a page, and what the answer says beside them."""
        short = any(quirk.startswith("short-pages") for quirk in self.quirks)
        size = min(top, 2) if short else top
        shown = rows[skip : skip + size]
        if self.has("short-pages-total-as-text"):
            return shown, {total: str(len(rows))}
        if self.has("short-pages-next-link"):
            more = skip + size < len(rows)
            return shown, {"_links": {"next": f"?skip={skip + size}&top={top}"} if more else {}}
        if self.has("short-pages-untold") or self.has("no-total"):
            return shown, {}
        if self.has("next-without-more"):
            return shown, {"_links": {"next": f"?skip={skip + size}&top={top}"}}
        return shown, {total: len(rows) + self.has("total-too-high")}


class Wire(httpx.AsyncBaseTransport):
    """What the product's client gets instead of a socket."""

    platform: Platform

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take whatever a real transport takes."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self.platform.answer(request)
