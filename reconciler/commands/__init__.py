"""One function per command: read, decide, act, record. This package only wires: the decisions are made by pure functions in lower layers."""
