"""An embedded platform: the campaigns API of the contract, whole and strict, with no network and no account.

Any client written to the contract works against it, in process or over loopback:

```python
from reconciler import sandbox

world = sandbox.World.open()                      # in memory; World.open("state.db") survives and is shared
sandbox.seed_samples(world)                       # or world.put_campaign(...), sandbox.seed_many(world, 10_000)
app = sandbox.create_app(world)                   # ASGI, no lifespan: httpx.ASGITransport(app=app)
login = sandbox.credentials(world)                # .client_id .client_secret .scopes; every scope
login = sandbox.credentials(world, "read-only")   # every scope that reads
login = sandbox.credentials(world, without="dnc:read")

world.faults.add("reset-after:POST /api/campaigns/1001/schedule:times=1")   # grammar: `sandbox.faults`
world.journal("1001")                             # every executed write and activation, with its instant
world.executed("1001", "STORED")                  # how many POSTs were executed: must be 1 after any retry
world.active_history("1001")                      # what dialed, from when
```

Time is an argument. `Ticker` is a clock that tests move by hand: `World.open(clock="2027-03-01T12:00:00Z",
monotonic=ticker)` and `create_app(world, sleep=ticker.sleep)` make token expiry, activation, key expiry and the rate
limit happen without waiting.

`serve(...)` puts a world on 127.0.0.1 and prints the environment for a client; `with loopback(app) as url:` does so for
a test. They and `create_app` need the extra `cxone-reconcile[sandbox]`; the rest needs the standard library alone. This package imports nothing else of the product:
what checks must not share code with what is checked.

The Personal Connection API stands beside it, over the same ground: `SkillWorld.open`, `seed_skill_samples`,
`create_connection_app`; `platform(api)` gives either by the name that a tenant's `api` has.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.sandbox.campaigns import create_app
    from reconciler.sandbox.clock import Ticker
    from reconciler.sandbox.connection import create_connection_app
    from reconciler.sandbox.errors import FaultError, SandboxError, SandboxMissing
    from reconciler.sandbox.faults import Faults
    from reconciler.sandbox.platforms import PLATFORMS, platform, reset
    from reconciler.sandbox.seed import open_samples, seed_many, seed_samples
    from reconciler.sandbox.server import loopback, serve
    from reconciler.sandbox.skill_seed import (
        open_skill_samples,
        seed_many_skills,
        seed_skill_samples,
    )
    from reconciler.sandbox.skills import SkillWorld
    from reconciler.sandbox.world import Credentials, Settings, World, credentials

_HOMES = {
    "seed_skill_samples": "skill_seed",
    "seed_many_skills": "skill_seed",
    "platform": "platforms",
    "open_skill_samples": "skill_seed",
    "create_connection_app": "connection",
    "SkillWorld": "skills",
    "PLATFORMS": "platforms",
    "Credentials": "world",
    "FaultError": "errors",
    "Faults": "faults",
    "SandboxError": "errors",
    "SandboxMissing": "errors",
    "Settings": "world",
    "Ticker": "clock",
    "World": "world",
    "create_app": "campaigns",
    "credentials": "world",
    "loopback": "server",
    "open_samples": "seed",
    "reset": "platforms",
    "seed_many": "seed",
    "seed_samples": "seed",
    "serve": "server",
}

__all__ = [
    "PLATFORMS",
    "Credentials",
    "FaultError",
    "Faults",
    "SandboxError",
    "SandboxMissing",
    "Settings",
    "SkillWorld",
    "Ticker",
    "World",
    "create_app",
    "create_connection_app",
    "credentials",
    "loopback",
    "open_samples",
    "open_skill_samples",
    "platform",
    "reset",
    "seed_many",
    "seed_many_skills",
    "seed_samples",
    "seed_skill_samples",
    "serve",
]


def __getattr__(name: str) -> Any:
    """Import the home of a public name when it is first asked for, so that a look at the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
