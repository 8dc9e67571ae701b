"""The ledger: audit records in git notes, appended by compare-and-swap under a lock. No state file exists: git is the state.

```
Ledger.open(git, tenant, clock=…, remote=None, offline=False, options=Options(…)) -> Ledger
  .head                      the ledger commit that is acknowledged; what `Run.open(ledger=…)` records
  .records(commit=None)      in the ledger's order; raises LedgerError when a line is no record
  .append(events)            returns their records once they are acknowledged; what is there already is not added
  .open_intents() .last_applied() .generations()
  .verify(expect_head=None) -> Verdict       everything, with the full history, and which witness there was
  .refresh()                 read (and fetch) again
  .locked(holder=…, run_url=None, force=False)     context manager: the tenant is ours, and the ledger verified
  .acquire(…) .check() .release()            what it is made of
  .heartbeat() .may_write() .still_ours()    while it is ours
  .lock() -> Lock | None, .release_lock()    `reconcile lock status | release`
```

Records stand as JSON lines in the note of the commit that they are about, under `refs/notes/reconcile/<platform>`, such as
`refs/notes/reconcile/campaigns/acme.cxonecloud.com`: `git log --notes=reconcile/campaigns/acme.cxonecloud.com` shows them. Ledger commits are linear and only ever add lines. They are made by plumbing, never
by `git notes append` or `merge`, which lose order, let deletions through and cannot sign.
With a remote, its refs decide, and a push acknowledges; a mirror branch goes along in the same atomic push, and so does a
heartbeat of the lock: who lost the lock can append nothing. `offline` appends here; the next command that can push does.
"""

from reconciler.ledger.ledger import Ledger
from reconciler.ledger.locks import TTL_S, Lock
from reconciler.ledger.reading import CHECKPOINTS, IDENTITY, Options

__all__ = ["CHECKPOINTS", "IDENTITY", "TTL_S", "Ledger", "Lock", "Options"]
