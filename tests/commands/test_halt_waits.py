"""Whatever hangs, a stop ends soon after `--wait`, and soon after a signal; and no git command delays its removal."""

from __future__ import annotations

import asyncio
import threading

import pytest

from reconciler.errors import ExitCode, NotFinished
from reconciler.git import Git
from reconciler.ledger.tenant_lock import TenantLock
from reconciler.renderers import renderer_for
from tests.commands.test_halt_refused_reads import is_stop, many, skills, watched
from tests.commands.test_halt_sends_first import DELETE, requests

__all__ = ["watched"]

GRACE_S = 80.0
"""Most seconds of the fast clock beyond the wait, on a busy machine; without the limits it is 100 s and more."""


def took(lived, stop=None):
    began = lived.desk.world.monotonic()
    return lived.halt("first", stop=stop), lived.desk.world.monotonic() - began


def hanging(lived, *what, times=1_000):
    left = [times]

    def answer(where, _):
        if left[0] and any(each in where for each in what):
            left[0] -= 1
            return "hang"
        return None

    lived.answer = answer


@pytest.mark.parametrize("make", [many, skills])
def test_a_first_sign_in_that_hangs_is_soon_tried_again(watched, make):
    lived, at = make(watched), []
    hanging(lived, "oken", times=1)
    inner = lived.answer
    lived.answer = lambda where, query: [
        at.append(lived.desk.world.monotonic()),
        inner(where, query),
    ][1]
    name = "first" if make is many else "renewals"
    assert lived.halt(name).exit_code == 0
    first_stop = next(i for i, each in enumerate(lived.seen) if is_stop(each))
    assert at[first_stop] - at[0] < 20, "of the fast clock; an attempt at another request has 30 s"


@pytest.mark.parametrize("status", ["hang", 503, 429])
def test_discovery_is_asked_once_and_delays_no_stop(watched, status):
    lived, at = skills(watched), []

    def answer(where, _):
        at.append(lived.desk.world.monotonic())
        return status if "cxone-configuration" in where else None

    lived.answer = answer
    assert lived.halt("renewals").exit_code == 0
    first_stop = next(i for i, each in enumerate(lived.seen) if is_stop(each))
    assert sum("cxone-configuration" in each for each in lived.seen[:first_stop]) == 1
    assert at[first_stop] - at[0] < 20, "of the fast clock; an attempt at another request has 30 s"


@pytest.mark.parametrize("what", ["oken", "GET", "DELETE", "PUT", "/api/"])
def test_requests_that_hang_end_with_the_wait(watched, what):
    lived = many(watched)
    lived.wait_s = 6.0
    hanging(lived, what)
    report, seconds = took(lived)
    assert report.exit_code == NotFinished.exit_code
    assert seconds < 6 + GRACE_S
    assert lived.held() == {"1000000"}


def test_a_platform_that_is_down_is_told_to_be_retried_no_longer_than_the_wait(watched):
    lived, told = many(watched), []
    lived.wait_s = 40.0
    lived.desk.world = lived.desk.world._replace(progress=told.append)
    lived.answer = lambda where, _: 503 if "oken" in where else None
    lived.halt("first")
    seconds = [
        int(each.partition("retrying, for ")[2].split()[0])
        for each in told
        if "retrying, for " in each
    ]
    assert seconds
    assert max(seconds) <= 40


@pytest.mark.parametrize("what", ["oken", "GET", "DELETE", "PUT", "/api/"])
def test_a_signal_ends_every_wait(watched, what):
    lived = many(watched)
    lived.wait_s = 100_000.0
    hanging(lived, what)
    told, inner = asyncio.Event(), lived.answer

    def answer(where, query):
        said = inner(where, query)
        if said == "hang":
            told.set()
        return said

    lived.answer = answer
    report, seconds = took(lived, stop=told)
    assert report.exit_code == NotFinished.exit_code
    assert seconds < GRACE_S


def test_a_look_for_what_dials_again_ends_with_the_wait(watched, monkeypatch):
    """Reads hang from the moment on when everything was found silent."""
    lived = many(watched)
    lived.wait_s = 6.0
    acquire = TenantLock.acquire

    def taken(*arguments, **named):
        hanging(lived, "GET")
        acquire(*arguments, **named)

    monkeypatch.setattr(TenantLock, "acquire", taken)
    _, seconds = took(lived)
    assert seconds < 6 + GRACE_S
    assert lived.stopped == {"1000000"}


def test_no_git_command_delays_the_removal(watched, monkeypatch):
    lived, sent = many(watched), threading.Event()
    find = Git.find.__func__

    def blocked(cls, *arguments, **named):
        assert sent.wait(20), "git was waited for"
        return find(cls, *arguments, **named)

    def answer(where, _):
        if where == DELETE:
            sent.set()

    lived.answer = answer
    monkeypatch.setattr(Git, "find", classmethod(blocked))
    assert lived.halt("first").exit_code == 0
    assert DELETE in requests(lived)
    assert lived.held() == {"1000000"}


@pytest.mark.parametrize("make", [many, skills])
def test_without_git_a_stop_is_sent_at_once_and_its_records_are_not_waited_for(
    watched, make, monkeypatch
):
    """The halt watches for what a running apply stores again, and then ends: nothing will ever be recorded."""
    monkeypatch.setattr("reconciler.commands.halt.TTL_S", 20.0)
    lived, told = make(watched), []
    lived.desk.world = lived.desk.world._replace(
        environ={"PATH": "/nonexistent"}, progress=told.append
    )
    lived.wait_s = 100_000.0
    name = "first" if make is many else "renewals"
    began = lived.desk.world.monotonic()
    report = lived.halt(name)
    assert lived.desk.world.monotonic() - began < GRACE_S
    first = next(i for i, each in enumerate(lived.seen) if is_stop(each))
    assert all("token" in each or each.startswith("GET") for each in lived.seen[:first])
    assert report.exit_code == ExitCode.PARTLY
    said = " ".join([*told, renderer_for("text").render(report)])
    assert "could not be recorded (git is not installed, or not on PATH: install git" in said
    assert "keep applies from running" in said
    assert f"reconcile halt {lived.desk.folder} {name} --reason" in said
