"""Defaults of options that more than one module needs. Imports nothing, so that `--help` stays fast."""

from typing import Final

DEADLINE_S: Final = 3600.0
"""Seconds that a whole command may take (`--deadline`)."""

WAIT_S: Final = 900.0
"""Seconds to wait for a locked dialer and for activation (`--wait`; contract: 15 minutes)."""

CONCURRENCY: Final = 8
"""Operations to write at the same time (`--concurrency`)."""

URGENT_CONCURRENCY: Final = 32
"""Objects that an emergency stop stops at the same time."""

STRATEGIES: Final = {"campaigns": "erlang", "personal-connection": "ratio"}
"""How `optimize` proposes values (`--strategy`), by the tenant's API. With a target answer rate: `step`."""

REQUESTS_PER_SECOND: Final = 5.0
"""Requests that the client may send per second, unless `tenant.yaml` says otherwise (`requests_per_second`)."""
