"""Audit records: make, encode, chain, verify and query them. Pure: values in, values out.

`Run` makes the `Event`s of one run of a command. `chain` turns an event into a `Record`. `encode` and `decode` convert a
record to and from its line. `verify` finds all defects of records. `queries` finds open, applied and held operations, and the
state at an instant. `unsigned` selects the records that count without a signature. `schema` lists the fields.

A record is one line of canonical ASCII JSON in the note of the commit that its run was about. The same event has the same id,
whoever records it, so a second writer can see that it is recorded already. The chain is per run, so two runs never fork a
chain: `h` is the record's hash, `n` its number, `prev` the `h` before it. `seq` counts the whole ledger, so its order needs
no clock. Numbers are those of the body in canonical form; rates and durations are always written as floats (25.0).
"""

from reconciler.audit.check import Checker, Ids, LineOrigin, Verdict, verify
from reconciler.audit.checkpoints import Latest, Selection, checkpoint, compact, state_of
from reconciler.audit.decoding import decode, decode_state, lines_of
from reconciler.audit.keys import key
from reconciler.audit.order import may_be_later, moment
from reconciler.audit.queries import (
    COLUMNS,
    Offsets,
    State,
    about,
    applied_commits,
    at,
    entries,
    holds,
    is_of,
    judging_commits,
    last_changes,
    latest,
    may_be_sent,
    next_seq,
    open_generations,
    open_intents,
    standing,
    until,
)
from reconciler.audit.records import (
    LINE_LIMIT,
    Defect,
    Event,
    Record,
    chain,
    differing,
    encode,
    stamp,
)
from reconciler.audit.runs import Attribution, Run
from reconciler.audit.schema import APPLY, EVERYTHING, HALT, RecordKind
from reconciler.audit.unsigned import holds_to_repeat, of_stops, unsigned_of_stop
from reconciler.audit.values import marks
from reconciler.audit.waiting import decode_events, encode_events
from reconciler.audit.writes import Applied, applied, write_of

__all__ = [
    "APPLY",
    "COLUMNS",
    "EVERYTHING",
    "HALT",
    "LINE_LIMIT",
    "Applied",
    "Attribution",
    "Checker",
    "Defect",
    "Event",
    "Ids",
    "Latest",
    "LineOrigin",
    "Offsets",
    "Record",
    "RecordKind",
    "Run",
    "Selection",
    "State",
    "Verdict",
    "about",
    "applied",
    "applied_commits",
    "at",
    "chain",
    "checkpoint",
    "compact",
    "decode",
    "decode_events",
    "decode_state",
    "differing",
    "encode",
    "encode_events",
    "entries",
    "holds",
    "holds_to_repeat",
    "is_of",
    "judging_commits",
    "key",
    "last_changes",
    "latest",
    "lines_of",
    "marks",
    "may_be_later",
    "may_be_sent",
    "moment",
    "next_seq",
    "of_stops",
    "open_generations",
    "open_intents",
    "stamp",
    "standing",
    "state_of",
    "unsigned_of_stop",
    "until",
    "verify",
    "write_of",
]
