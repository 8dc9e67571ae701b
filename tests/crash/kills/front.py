"""A platform behind a real socket. It goes wrong when told, says when something is asked of it, and remembers who asked.

The platforms are those of `tests/quirks`, written from the contract alone. They keep their own truth: a journal of every
write with what each object stores and dials right after.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.quirks import skills
from tests.quirks.campaigns import Campaigns
from tests.quirks.platform import CLIENT, Answer, Platform, Request, Write

SHARE = 0.12
"""Share of the requests that go wrong while faults are on."""

WRITE_FAULTS = ("500-before", "500-after", "drop-before", "drop-after", "429")
READ_FAULTS = ("503", "drop-before", "429")

Reply = tuple[int, Mapping[str, str], bytes]
"""Status, headers, content."""


class Clock:
    """The platform's clock: it runs `speed` times as fast as real time, and may be put ahead."""

    def __init__(self, start: datetime, epoch: float, speed: float) -> None:
        self._start, self._epoch, self._speed = start, epoch, speed
        self.ahead_s = 0.0

    @property
    def s(self) -> float:
        return (time.monotonic() - self._epoch) * self._speed + self.ahead_s

    @s.setter
    def s(self, value: float) -> None:
        """Ignore a platform that moves its clock: this one moves by itself."""

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.s)


class Skills(skills.Skills):
    """Its API has the address of the sign-in. A skill runs as long as nobody stops it."""

    url = ""

    def unauthenticated(self, request: Request) -> Answer | None:
        answer = super().unauthenticated(request)
        if answer is not None and isinstance(answer[1], dict) and "api_endpoint" in answer[1]:
            return answer[0], answer[1] | {"api_endpoint": self.url}, answer[2]
        return answer


PLATFORMS: Mapping[str, type[Platform]] = {"campaigns": Campaigns, "personal-connection": Skills}


@dataclass
class Front:
    """Answers the requests of one platform, one at a time.

    Attributes:
        platform: what answers.
        seed: draws what goes wrong.
        faults: whether anything goes wrong.
        watch: called before (`asked`) and after (`did`) a request is carried out, with the name of the process that asks and
            the request's method. Returns whether the request is lost.
        gate: called with that name before an answer is sent; it may keep the answer back while others are served.
        who: name of the process that sent a line of the journal, by the line's number.
        asked: requests by the name of the process.
        said: what went wrong, for people.
    """

    platform: Platform
    seed: int
    faults: bool = False
    watch: Callable[[str, str, str], bool] = lambda _name, _stage, _method: False
    gate: Callable[[str], None] = lambda _name: None
    who: dict[int, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> Reply | None:
        """Return the answer to a request; `None` when the connection is to be dropped without one."""
        name, content = self._named(headers, content)
        reply = self._answer(name, method, target, headers, content)
        self.gate(name)
        return reply

    def _answer(
        self, name: str, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> Reply | None:
        with self._lock:
            self.asked[name] += 1
            if self.watch(name, "asked", method):
                return None
            fault = self._fault(name, method, target)
            if fault in {"503", "500-before"}:
                return int(fault[:3]), {"Content-Type": "text/plain"}, b"not now"
            if fault == "429":
                return 429, {"Retry-After": "1"}, b""
            if fault == "drop-before":
                return None
            reply = self._carried_out(name, method, target, headers, content)
            self.watch(name, "did", method)
            if fault == "500-after":
                return 500, {"Content-Type": "text/plain"}, b"it broke"
            return None if fault == "drop-after" else reply

    def _carried_out(
        self, name: str, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> Reply:
        begun = len(self.platform.journal)
        known = {each for each in headers if each.lower() not in {"host", "content-length"}}
        request = httpx.Request(
            method,
            f"http://127.0.0.1{target}",
            headers={each: headers[each] for each in known},
            content=content,
        )
        response = self.platform.answer(request)
        for number in range(begun, len(self.platform.journal)):
            self.who[number] = name
        if b"access_token" in response.content:
            self._names[response.json()["access_token"]] = name
        return response.status_code, dict(response.headers), response.content

    def _named(self, headers: Mapping[str, str], content: bytes) -> tuple[str, bytes]:
        """Return who asks, told by the client's id when it signs in and by its token afterwards, and the content with the platform's id."""
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        found = re.search(rb"quirk-client\.(\w+)", content)
        if found is None:
            return self._names.get(token, "?"), content
        return found[1].decode(), content.replace(found[0], CLIENT.encode())

    def _fault(self, name: str, method: str, target: str) -> str:
        """Return what goes wrong with a request. It does not depend on the order in which requests arrive side by side."""
        if not self.faults:
            return ""
        asked = (name, method, target)
        self._seen[asked] += 1
        rng = random.Random(f"{self.seed} {asked} {self._seen[asked]}")
        if "token" in target or rng.random() > SHARE:
            return ""
        fault = rng.choice(READ_FAULTS if method == "GET" else WRITE_FAULTS)
        self.said.append(f"{name}: {fault}: {method} {target}")
        return fault

    def lines(self) -> Iterator[tuple[str, Write]]:
        """Return every line of the journal with the name of the process that wrote it (`hand`: somebody else)."""
        for number, line in enumerate(list(self.platform.journal)):
            yield self.who.get(number, "hand"), line


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front

    def _any(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.front.answer(self.command, self.path, dict(self.headers.items()), content)
        if reply is None:
            self.close_connection = True
            return
        status, headers, said = reply
        self.send_response_only(status)
        kept = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        for name, value in kept.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the library's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a client that was killed has gone."""


@contextmanager
def served(front: Front) -> Iterator[str]:
    """Serve a platform on a free port of this machine; gives its URL."""
    handler = type("Handler", (_Handler,), {"front": front, "disable_nagle_algorithm": True})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def opened(api: str, clock: Clock, quirks: tuple[str, ...]) -> Platform:
    """Return a platform without objects."""
    return PLATFORMS[api](clock, quirks)  # type: ignore[arg-type]


START = datetime(2027, 1, 11, 12, 0, tzinfo=UTC)
