"""An embedded platform: the campaigns API of the contract, whole and strict, with no network and no account.

Any client written to the contract works against it, in process or over loopback:

```python
from reconciler import sandbox

state = sandbox.CampaignState.open()                      # in memory; CampaignState.open("state.db") survives and is shared
sandbox.seed_samples(state)                       # or state.put_campaign(...), sandbox.seed_many(state, 10_000)
app = sandbox.create_app(state)                   # ASGI, no lifespan: httpx.ASGITransport(app=app)
login = sandbox.credentials(state)                # .client_id .client_secret .scopes; every scope
login = sandbox.credentials(state, "read-only")   # every scope that reads
login = sandbox.credentials(state, without="dnc:read")

state.faults.add("reset-after:POST /api/campaigns/1001/schedule:times=1")   # grammar: `sandbox.faults`
state.journal("1001")                             # every executed write and activation, with its instant
state.executed("1001", "STORED")                  # how many POSTs were executed: must be 1 after any retry
state.active_history("1001")                      # what dialed, from when
```

Time is an argument. `Ticker` is a clock that tests move by hand: `CampaignState.open(clock="2027-03-01T12:00:00Z",
monotonic=ticker)` and `create_app(state, sleep=ticker.sleep)` make token expiry, activation, key expiry and the rate
limit happen without waiting.

`serve(...)` puts a platform on 127.0.0.1 and prints the environment for a client; `with loopback(app) as url:` does so for
a test. They and `create_app` need the extra `cxone-reconcile[sandbox]`; the rest needs the standard library alone. This package imports nothing else of the product:
what checks must not share code with what is checked.

The Personal Connection API stands beside it, over the same ground: `SkillState.open`, `seed_skill_samples`,
`create_connection_app`; `platform(api)` gives either by the name that a tenant's `api` has.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.sandbox.campaign_seed import open_samples, seed_many, seed_samples
    from reconciler.sandbox.campaign_state import CampaignState
    from reconciler.sandbox.campaigns import create_app
    from reconciler.sandbox.clock import Ticker
    from reconciler.sandbox.connection import create_connection_app
    from reconciler.sandbox.db import Credentials, Settings, credentials
    from reconciler.sandbox.errors import FaultError, SandboxError, SandboxMissing
    from reconciler.sandbox.faults import Faults
    from reconciler.sandbox.platforms import PLATFORMS, platform, reset
    from reconciler.sandbox.server import loopback, serve
    from reconciler.sandbox.skill_seed import (
        open_skill_samples,
        seed_many_skills,
        seed_skill_samples,
    )
    from reconciler.sandbox.skill_state import SkillState

_HOMES = {
    "seed_skill_samples": "skill_seed",
    "seed_many_skills": "skill_seed",
    "platform": "platforms",
    "open_skill_samples": "skill_seed",
    "create_connection_app": "connection",
    "SkillState": "skill_state",
    "PLATFORMS": "platforms",
    "Credentials": "db",
    "FaultError": "errors",
    "Faults": "faults",
    "SandboxError": "errors",
    "SandboxMissing": "errors",
    "Settings": "db",
    "Ticker": "clock",
    "CampaignState": "campaign_state",
    "create_app": "campaigns",
    "credentials": "db",
    "loopback": "server",
    "open_samples": "campaign_seed",
    "reset": "platforms",
    "seed_many": "campaign_seed",
    "seed_samples": "campaign_seed",
    "serve": "server",
}

__all__ = [
    "PLATFORMS",
    "CampaignState",
    "Credentials",
    "FaultError",
    "Faults",
    "SandboxError",
    "SandboxMissing",
    "Settings",
    "SkillState",
    "Ticker",
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
    """Import the module of a public name on first access, so that importing the package is cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
