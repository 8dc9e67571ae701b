"""`kill -9` around a create: what was stored is confirmed; what may have been sent and is absent is held, and `--revert` finishes it."""

from __future__ import annotations

import pytest

from tests.crash.bench import Bench
from tests.crash.ground import Campaigns
from tests.crash.test_matrix import Case, play

FAULT = "429 with seconds"


@pytest.mark.parametrize(
    "server",
    [
        each if n == 0 else pytest.param(each, marks=pytest.mark.long)
        for n, each in enumerate(Campaigns.SERVERS)
    ],
)
def test_a_create_that_was_not_sent_before_the_crash_is_held_and_one_that_was_is_confirmed(
    bench: Bench, server: str
) -> None:
    """The last two of four writes are the create and the other widening (`Case.nth`): nobody knows which of them comes first."""
    before = [Case(number, server, FAULT, "write:before") for number in (2, 3)]
    assert play(bench, before, Campaigns).held > 0
    after = [Case(number, server, FAULT, "verify:before") for number in (3,)]
    assert play(bench, after, Campaigns).held == 0
