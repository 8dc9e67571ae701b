"""The ledger: audit records in git notes, appended by compare-and-swap under a lock. There is no state file: git is the state.

Records are JSON lines in the note of the commit that they are about, under `refs/notes/reconcile/<platform>`. For example,
`git log --notes=reconcile/campaigns/acme.cxonecloud.com` shows them. Ledger commits are linear and only add lines. They are
made by plumbing, never by `git notes append` or `merge`, which lose order, allow deletions and cannot sign.

With a remote, the remote's refs decide, and a push acknowledges an append. The same atomic push moves the mirror branch and
the lock's heartbeat: a run that lost the lock can append nothing. An emergency stop
writes to a ref of its own instead, which every reader counts, and which the next append moves into the ledger (`waiting`).

`Ledger` is the one class for callers. `reading` decides which records count, `snapshot` and `notes` read and write git
trees, `refs` moves refs here or in a remote, and `locks` is the tenant lock. `signatures` decides which records count where
commits must be signed, and `history` verifies the ledger.
"""

from reconciler.ledger.ledger import CHECKPOINTS, Ledger
from reconciler.ledger.locks import TTL_S, Lock
from reconciler.ledger.reading import LedgerOptions
from reconciler.ledger.signatures import IDENTITY

__all__ = ["CHECKPOINTS", "IDENTITY", "TTL_S", "Ledger", "LedgerOptions", "Lock"]
