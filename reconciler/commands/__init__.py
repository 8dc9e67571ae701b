"""One function per command: read, decide, act, record. Wiring only; what decides is pure and stands below."""
