"""The floor of a plan: what no reconciler can leave away, and nothing else.

Read and hash every file, drain the events of the same C parser, get the same pages by `http.client`, decode them.
`python floor.py FOLDER URL CLIENT_ID CLIENT_SECRET` prints how many files, events and campaigns it saw.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from ruamel.yaml.cyaml import CBaseLoader
from ruamel.yaml.events import StreamEndEvent

PAGE = 1000


def files(folder: str) -> Iterator[str]:
    """Yield every manifest's path."""
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from files(entry.path)
        elif entry.name.endswith(".yaml"):
            yield entry.path


def read(path: str) -> bytes:
    """Return a file's bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 18)
    finally:
        os.close(descriptor)


def drain(data: bytes) -> int:
    """Return how many events a file has."""
    step, count = CBaseLoader(data).get_event, 1
    while type(step()) is not StreamEndEvent:
        count += 1
    return count


class Platform:
    """The platform, over one connection."""

    def __init__(self, url: str, client_id: str, secret: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        _, data = self._ask("POST", "/api/oauth2/token", urlencode(form), kind)
        token = json.loads(data)["access_token"]
        self.headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON answer of a path."""
        status, data = self._ask("GET", path, None, self.headers)
        if status != http.client.OK:
            raise SystemExit(f"GET {path}: {status} {data[:200]!r}")
        return json.loads(data)

    def status(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> int:
        """Send one request and return the status of its answer."""
        return self._ask(method, path, body, headers)[0]

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()


def main() -> None:
    """Do the floor's work once."""
    folder, *login = sys.argv[1:]
    seen = events = 0
    for path in files(folder):
        data = read(path)
        hashlib.sha256(data).hexdigest()
        events += drain(data)
        seen += 1
    platform = Platform(*login)
    kept = [
        platform.get("/api/dialer/settings"),
        platform.get("/api/dnc/lists?page=1&page_size=100"),
    ]
    campaigns, total, page = 0, 1, 0
    while campaigns < total:
        page += 1
        answer = platform.get(f"/api/campaigns?page={page}&page_size={PAGE}&expand=schedule")
        campaigns, total = campaigns + len(answer["campaigns"]), answer["total"]
        kept.append(answer)
    print(json.dumps({"files": seen, "events": events, "campaigns": campaigns}))


if __name__ == "__main__":
    main()
