"""The ledger: audit records in git notes, appended by compare-and-swap under a lock. There is no state file: git is the state.

Records are JSON lines in the note of the commit that they are about, under `refs/notes/reconcile/<platform>`. For example,
`git log --notes=reconcile/campaigns/acme.cxonecloud.com` shows them. Ledger commits are linear and only add lines. They are
made by plumbing, never by `git notes append` or `merge`, which lose order, allow deletions and cannot sign.

With a remote, the remote's refs decide, and a push acknowledges an append. The same atomic push moves the mirror branch and
the lock's heartbeat: a run that lost the lock can append nothing. An emergency stop writes to a ref of its own instead. Every
reader counts its records, and the next append moves them into the ledger (`waiting`).

`Ledger` is the one class for callers; its lock is `Ledger.lock` (`tenant_lock`). `connection` is what a run has read and holds,
and `writer` appends through it. `view` and `signatures` decide which records count, `snapshot`, `storage` and `notes` read and write
git trees, `refs` and `remote_refs` move refs, and `history` verifies the ledger.
"""

from reconciler.ledger.ledger import CHECKPOINTS, Ledger
from reconciler.ledger.locks import TTL_S, Lock
from reconciler.ledger.signatures import IDENTITY
from reconciler.ledger.snapshot import EMPTY, LedgerSnapshot
from reconciler.ledger.tenant_lock import TenantLock
from reconciler.ledger.view import LedgerOptions

__all__ = [
    "CHECKPOINTS",
    "EMPTY",
    "IDENTITY",
    "TTL_S",
    "Ledger",
    "LedgerOptions",
    "LedgerSnapshot",
    "Lock",
    "TenantLock",
]
