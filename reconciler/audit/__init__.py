"""The record of the ledger: build, encode, chain, verify, ask. Values in, values out.

```
Provenance(actor, approver, pull_request, reviewed_head, run_url)
Run(tenant, commit, id, clock, provenance)              makes the events of one run
  .open(digest=…, operations=…, tool=…, ledger=…, applied=…)   .close(counts)
  .intent(operation, digest=…, generation=…, attempt=0)        .outcome(intent, result, audit=…, **Observed)
  .hold(target, …) .release(target, …) .note(text) .superseded(commit) .judged(settings) .creating()
Event                                                   something that happened; `.id` names it
chain(event, last, seq) -> Record                       an event in its place
encode(record) -> bytes; decode(commit, blob) -> (records, defects)
verify(notes, tenant=…) -> (Defect, …)                  all that is wrong, the first bad record first
key(tenant, commit, op, generation, attempt) -> str     the idempotency key of a write
generations(records) open_intents(records) may_be_sent(records, create) applied(records) judged(records) holds(records, now=…)      what the ledger says
about(records, COMMIT|NAME) at(records, instant, target) -> State until(records, instant) entries(records, since=…, until=…)   `audit show|at|export`
```

A record is one line of canonical ASCII JSON in the note of the commit that its run was about. Ids name events: the same
event has the same id whoever writes it, so a second writer can see that it is there. The chain is per run (`h` hashes the
record, `n` counts it, `prev` is the `h` before it), so two runs never fork one chain; `seq` counts the whole ledger, so
its order trusts no clock.
Numbers are those of the body in its canonical form; rates and durations are always written as floats (25.0).
"""

from reconciler.audit.check import Source, Verdict, verify
from reconciler.audit.queries import (
    COLUMNS,
    Applied,
    State,
    about,
    applied,
    applied_commits,
    at,
    entries,
    generations,
    holds,
    judging_commits,
    may_be_sent,
    open_intents,
    standing,
    until,
)
from reconciler.audit.records import (
    FIRST,
    LINE_LIMIT,
    VERSION,
    Defect,
    Event,
    Record,
    chain,
    decode,
    differing,
    encode,
    key,
    stamp,
)
from reconciler.audit.runs import Attribution, Observed, Run, marks
from reconciler.audit.schema import APPLY, HALT, RecordKind
from reconciler.audit.unsigned import holds_to_repeat, of_stops

__all__ = [
    "APPLY",
    "COLUMNS",
    "FIRST",
    "HALT",
    "LINE_LIMIT",
    "VERSION",
    "Applied",
    "Attribution",
    "Defect",
    "Event",
    "Observed",
    "Record",
    "RecordKind",
    "Run",
    "Source",
    "State",
    "Verdict",
    "about",
    "applied",
    "applied_commits",
    "at",
    "chain",
    "decode",
    "differing",
    "encode",
    "entries",
    "generations",
    "holds",
    "holds_to_repeat",
    "judging_commits",
    "key",
    "marks",
    "may_be_sent",
    "of_stops",
    "open_intents",
    "stamp",
    "standing",
    "until",
    "verify",
]
