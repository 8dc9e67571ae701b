"""What a lock's commit says: anybody who may push to its ref can write anything there."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from reconciler.git.values import Stat
from reconciler.ledger import locks
from tests.support.gitfakes import START

GOOD = {
    "holder": "ci",
    "since": "2027-01-11T14:00:00+00:00",
    "expires": "2027-01-11T14:15:00+00:00",
    "nonce": "n",
}


def raw(said: object) -> bytes:
    message = said if isinstance(said, str) else json.dumps(said)
    return b"tree 4b825dc\nauthor a\n\n" + message.encode()


@dataclass
class RefStore:
    """A repository of one object."""

    type: str
    data: bytes
    size: int | None = None
    read_it: bool = False

    def stat(self, *ids: str) -> dict[str, Stat]:
        size = len(self.data) if self.size is None else self.size
        return {each: Stat(self.type, size) for each in ids}

    def read(self, *ids: str) -> dict[str, bytes]:
        self.read_it = True
        return dict.fromkeys(ids, self.data)


def test_what_a_run_writes_is_what_is_read():
    lock = locks.extended(locks.fresh("ci", "https://ci.example/7", "n", START), START)
    assert locks.read(RefStore("commit", raw(lock.message())), "c" * 40) == lock
    assert locks.parse(raw(GOOD)).problem == ""


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("", "does not hold JSON"),
        ("nonsense", "does not hold JSON"),
        ("[" * 5000, "does not hold JSON"),
        ("9" * 5000, "does not hold JSON"),
        ([], "it is not a mapping"),
        ({}, "holder is missing"),
        (GOOD | {"holder": 7}, "holder is a int"),
        (GOOD | {"run_url": 7}, "run_url is a int"),
        (GOOD | {"since": None}, "since is a NoneType"),
        (GOOD | {"since": "now"}, "since or expires is not a timestamp"),
        (GOOD | {"expires": "soon"}, "since or expires is not a timestamp"),
        (GOOD | {"expires": "2027-01-11"}, "expires has no offset"),
        (GOOD | {"nonce": []}, "nonce is a list"),
        (GOOD | {"beat": "1"}, "beat is a str"),
        (GOOD | {"beat": True}, "beat is a bool"),
        (GOOD | {"problem": ""}, "problem is not a field of a lock"),
        (GOOD | {"\x1b[2J": ""}, "\\u001b[2J is not a field of a lock"),
    ],
)
def test_a_lock_that_cannot_be_read_is_held_and_says_where_why_and_the_way_out(
    said: Any, problem: str
) -> None:
    commit = "c" * 40
    lock = locks.read(RefStore("commit", raw(said)), commit)
    assert lock.problem == f"commit {commit}{'' if problem.startswith('does') else ':'} {problem}"
    assert not lock.expired(START)
    told = str(locks.refusal("acme", "refs/l", lock))
    assert f"the lock in refs/l cannot be read ({lock.problem})" in told
    assert told.endswith("reconcile lock release --tenant acme")
    assert locks.lost("acme", lock)


@pytest.mark.parametrize(
    ("kind", "size"), [("commit", locks.LOCK_LIMIT + 1), ("blob", 5), ("tag", 5)]
)
def test_what_is_no_commit_or_huge_is_not_even_read(kind: str, size: int) -> None:
    store = RefStore(kind, raw(GOOD), size)
    lock = locks.read(store, "c" * 40)
    assert f"is a {kind} of {size} bytes" in lock.problem
    assert not store.read_it


def test_a_commit_of_just_the_limit_is_read():
    assert locks.read(RefStore("commit", raw(GOOD), locks.LOCK_LIMIT), "c" * 40).problem == ""


def test_a_new_lock_is_whoevers_takes_it_for_as_long_as_a_beat_lasts():
    lock = locks.fresh("x" * 300, "https://ci.example/7", "n", START)
    assert len(lock.holder) == 200
    expires = "2027-01-11T14:15:00+00:00"
    assert lock == locks.Lock(lock.holder, START.isoformat(), expires, "n", "https://ci.example/7")
    end = START + timedelta(seconds=locks.TTL_S)
    assert not lock.expired(end)
    assert lock.expired(end + timedelta(microseconds=1))
    beaten = locks.extended(lock, end)
    assert beaten == dataclasses.replace(lock, expires="2027-01-11T14:30:00+00:00", beat=1)
    assert locks.extended(beaten, end).beat == 2


@pytest.mark.parametrize("expires", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_an_end_at_the_edge_of_time_is_compared(expires: str) -> None:
    lock = locks.parse(raw(GOOD | {"expires": expires}))
    assert lock.expired(START) is expires.startswith("0001")


def test_a_long_or_odd_holder_is_cut_and_escaped_where_it_is_told():
    lock = locks.parse(raw(GOOD | {"holder": "\x1b[2J" + "x" * 9000, "run_url": "y" * 9000}))
    for told in (str(locks.refusal("acme", "refs/l", lock)), str(locks.lost("acme", lock))):
        assert "\x1b" not in told
        assert len(told) < 1500


def test_a_problem_is_never_written():
    lock = dataclasses.replace(locks.parse(raw(GOOD)), problem="x")
    assert "problem" not in json.loads(lock.message())
