"""The client to beat: one request after the other, and 2^n + 0.5 seconds of waiting after the n-th refusal in a row.

`python backoff.py URL CLIENT_ID CLIENT_SECRET < BODIES` stores each schedule (one JSON line each), has it activated, and
prints how many requests were accepted and how many refused.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any

from floor import Platform


class Sequential(Platform):
    """The same connection as the floor's, and the brief's way to wait."""

    accepted = refused = 0

    def send(self, method: str, path: str, body: str | None, **headers: str) -> None:
        """Send one request until it is not refused."""
        tries = 0
        while (
            self.status(method, path, body, {**self.headers, **headers})
            == http.client.TOO_MANY_REQUESTS
        ):
            self.refused += 1
            time.sleep(2**tries + 0.5)
            tries += 1
        self.accepted += 1


def main() -> None:
    """Store and activate what stands on the standard input."""
    client = Sequential(*sys.argv[1:])
    for line in sys.stdin:
        body: dict[str, Any] = json.loads(line)
        path = f"/api/campaigns/{body['campaign_id']}"
        key = f"backoff-{body['campaign_id']}"
        kind = {"Content-Type": "application/json", "Idempotency-Key": key}
        client.send("POST", f"{path}/schedule", line.strip(), **kind)
        client.send("PUT", f"{path}/actions/refresh", None)
    print(json.dumps({"accepted": client.accepted, "refused": client.refused}))


if __name__ == "__main__":
    main()
