"""No error of a read ends a stop: only the refusal of the stop itself counts."""

from __future__ import annotations

import asyncio
import itertools
import threading
from dataclasses import replace

import pytest

from reconciler import sandbox
from reconciler.audit import EVERYTHING, RecordKind
from reconciler.commands import halt as halt_command
from reconciler.commands import stop_writer, takeover
from reconciler.commands.stop_journal import StopJournal
from reconciler.errors import AccessError, Unavailable, UsageError
from reconciler.execute import WriteOptions
from reconciler.execute.halt import Silencer
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.sandbox import platforms
from reconciler.world import here
from tests.commands.test_import import Desk
from tests.support import fasttime
from tests.support.bodies import manifest_text
from tests.support.gitfakes import git, repository
from tests.support.samples import platform

CAMPAIGNS, SKILLS = "campaigns", "personal-connection"


class Watched:
    """A tenant whose platform notes every request, and answers some of them as told."""

    def __init__(self, tmp_path, monkeypatch, api):
        repository(tmp_path)
        (tmp_path / ".gitignore").write_text(".reconcile/\n")
        self.desk = Desk(tmp_path, api)
        self.api = api
        self.platform = self.desk.platform
        self.platform.configure(
            requests_per_second=0, **({"activation_s": 0} if api == CAMPAIGNS else {})
        )
        self.seen: list[str] = []
        self.keys: list[str] = []
        """Idempotency keys of the removals that were sent."""
        self.answer = lambda *_: None
        self.says: dict[str, int] = {}
        """Status that replaces the one of an executed request, by method."""
        self.expands = True
        self.wait_s = 60.0
        ids = (f"run-{number}" for number in itertools.count(1))
        self.desk.world = self.desk.world._replace(
            sleep=asyncio.sleep, new_id=lambda: next(ids), monotonic=fasttime.monotonic
        )
        # Of the fast clock, on a busy machine.
        monkeypatch.setattr("reconciler.commands.stop_journal.LEAST_S", 200.0)
        kind = platforms.PLATFORMS[api]
        self.faults: list[str] = []

        def app(world):
            for fault in self.faults:
                world.faults.add(fault)
            return self._app(kind.app(world))

        monkeypatch.setitem(platforms.PLATFORMS, api, replace(kind, app=app))

    def _app(self, app):
        async def watched(scope, receive, send):
            where = f"{scope['method']} {scope['path']}"
            self.seen.append(where)
            if where.startswith("DELETE"):
                self.keys.append(dict(scope["headers"])[b"idempotency-key"].decode())
            status = self.answer(where, scope["query_string"].decode())
            if not self.expands:
                query = scope["query_string"].replace(b"&expand=schedule", b"")
                scope = {**scope, "query_string": query}
            if status is None:
                await app(scope, receive, self._rewriting(scope["method"], send))
                return
            if status == "hang":
                await asyncio.sleep(3600)
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return watched

    def _rewriting(self, method, send):
        async def rewritten(message):
            if message.get("status") in range(200, 300) and method in self.says:
                message = {**message, "status": self.says[method]}
            await send(message)

        return rewritten

    def name(self, key, name):
        """Commit a manifest."""
        if self.api == SKILLS:
            self.desk.run(key)
        else:
            text = manifest_text(name, campaign_id=key)
            (self.desk.folder / f"{name}.yaml").write_text(text)
        top = self.desk.folder.parent
        git(top, "add", "-A")
        git(top, "commit", "-q", "-m", name)
        self.seen.clear()

    def halt(self, *names, stop=None):
        asked = halt_command.HaltRequest(
            self.desk.folder,
            names,
            everything=not names,
            reason="calls at night",
            writing=WriteOptions(wait_s=self.wait_s),
        )
        with asyncio.Runner(loop_factory=fasttime.FastLoop) as runner:
            return runner.run(halt_command.halt(self.desk.world, asked, stop or asyncio.Event()))

    @property
    def stopped(self):
        return {each.rsplit("/", 2)[-2] for each in self.seen if is_stop(each)}

    def held(self):
        there = Git(self.desk.folder.parent, environ={})
        ledger = Ledger.open(there, platform(self.desk.folder), here(print))
        held = {each.data["target"] for each in ledger.records() if each.kind is RecordKind.HOLD}
        return held - {EVERYTHING}


def is_stop(where):
    return where.startswith("DELETE") or (where.startswith("POST") and where.endswith("/stop"))


@pytest.fixture
def watched(tmp_path, monkeypatch):
    made = []

    def start(api):
        made.append(Watched(tmp_path, monkeypatch, api))
        return made[0]

    yield start
    made[0].platform.close()


def many(watched, count=12):
    """Serve campaigns to a server without `expand`; the first one has a manifest."""
    lived = watched(CAMPAIGNS)
    sandbox.seed_many(lived.platform, count)
    lived.expands = False
    lived.name("1000000", "first")
    return lived


def skills(watched):
    """Serve five skills, three of which dial; 4001 has a manifest."""
    lived = watched(SKILLS)
    sandbox.seed_skill_samples(lived.platform)
    for row in lived.platform.skills():
        lived.platform.put_skill(row["id"], row["name"], running=row["id"] in {4001, 4003, 4005})
    lived.name("4001", "renewals")
    return lived


# --- no error of a read ends a stop ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("names", [("first",), ()], ids=["named", "all"])
def test_a_list_that_is_refused_stops_nothing_from_being_stopped(watched, status, names):
    lived = many(watched)
    lived.answer = lambda where, _: status if where == "GET /api/campaigns" else None
    report = lived.halt(*names)
    assert lived.stopped == lived.held() == {"1000000"}
    assert report.exit_code == (0 if names else 3), "a named stop needs no list"
    assert any("list could not be read to its end" in note for note in report.notes) is not bool(
        names
    )


def test_of_three_pages_whose_second_is_refused_what_is_shown_or_known_is_stopped(
    watched, monkeypatch
):
    monkeypatch.setattr("reconciler.dialects.campaigns.reading.CAMPAIGNS_PAGE", 4)
    lived = many(watched)
    lived.name("1000006", "of-the-second-page")
    lived.name("1000011", "of-the-third-page")
    lived.answer = lambda where, query: (
        403 if where == "GET /api/campaigns" and "page=2" in query.split("&") else None
    )
    report = lived.halt()
    known = {"1000006", "1000011"}
    first = {str(1_000_000 + n) for n in range(4)}
    third = {str(1_000_000 + n) for n in range(8, 12)}
    assert first | known <= lived.stopped <= first | known | third
    assert lived.held() == lived.stopped
    assert report.exit_code == 3
    assert any("list could not be read to its end" in note for note in report.notes)


def test_of_three_pages_whose_first_is_wrong_everything_that_is_shown_is_stopped(
    watched, monkeypatch
):
    monkeypatch.setattr("reconciler.dialects.campaigns.reading.CAMPAIGNS_PAGE", 4)
    lived = many(watched)
    lived.faults = ["shifted-page:GET /api/campaigns"]
    report = lived.halt()
    hidden = {"1000003", "1000007", "1000011"}
    assert lived.stopped == {str(1_000_000 + n) for n in range(12)} - hidden
    assert lived.held() == lived.stopped
    assert report.exit_code == 3
    assert any("list is incomplete" in note for note in report.notes)


def test_a_page_is_stopped_although_the_next_one_is_never_answered(watched, monkeypatch):
    monkeypatch.setattr("reconciler.dialects.campaigns.reading.CAMPAIGNS_PAGE", 4)
    lived = many(watched)
    lived.answer = lambda where, query: (
        "hang" if where == "GET /api/campaigns" and "page=2" in query.split("&") else None
    )
    report = lived.halt()
    assert lived.stopped == lived.held() == {str(1_000_000 + n) for n in range(4)}
    assert report.verdict == "4 of 4 objects silent and held"
    assert report.exit_code == 3


@pytest.mark.parametrize("status", [403])
def test_another_campaign_that_is_refused_keeps_nothing_from_being_stopped(watched, status):
    lived = many(watched)
    lived.answer = lambda where, _: (
        status if where.startswith("GET /api/campaigns/1000004") else None
    )
    report = lived.halt()
    assert lived.stopped == lived.held() == {str(1_000_000 + n) for n in range(12)}
    assert report.exit_code == 75, "one of them is not verified"
    loud = {each["key"] for each in report.data["objects"] if not each["silent"]}
    assert loud == {"1000004"}


@pytest.mark.parametrize("expands", [True, False])
@pytest.mark.parametrize("names", [("first",), ()], ids=["named", "all"])
def test_a_campaign_that_is_listed_but_not_found_is_not_silent(watched, names, expands):
    """Some servers answer 404 instead of 403, and every answer about the campaign's own path is a 404 then."""
    lived = many(watched)
    lived.expands = expands
    lived.answer = lambda where, _: 404 if "/api/campaigns/1000000" in where else None
    report = lived.halt(*names)
    assert report.exit_code == 75
    assert {each["key"] for each in report.data["objects"] if not each["silent"]} == {"1000000"}
    assert "1000000" in lived.held()


def test_a_campaign_that_is_neither_listed_nor_found_is_silent(watched):
    lived = many(watched, 0)
    assert lived.halt("first").exit_code == 0


@pytest.mark.parametrize("api", [CAMPAIGNS, SKILLS])
def test_where_nothing_of_the_api_is_found_nothing_is_silent(watched, api):
    """A gateway that lost its route answers every path with a 404."""
    lived = many(watched) if api == CAMPAIGNS else skills(watched)
    key = "1000000" if api == CAMPAIGNS else "4001"
    listed = {"GET /api/campaigns", "GET /inContactAPI/services/v33.0/skills"}
    lived.answer = lambda where, _: 404 if where in listed or key in where else None
    report = lived.halt("first" if api == CAMPAIGNS else "renewals")
    (row,) = report.data["objects"]
    assert (row["silent"], report.exit_code) == (False, 75)
    assert "there is no list either" in row["message"]
    assert lived.held() == {key}


@pytest.mark.parametrize("status", [401, 403, 500, "hang"])
def test_a_campaign_that_is_not_found_needs_no_list_that_answers(watched, status):
    lived = many(watched, 0)
    lived.answer = lambda where, _: status if where == "GET /api/campaigns" else None
    assert lived.halt("first").exit_code == 0


@pytest.mark.parametrize("expands", [True, False])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_campaign_that_was_seen_and_is_not_found_any_more_is_not_silent_without_a_list(
    watched, status, expands
):
    lived = many(watched)
    lived.expands = expands

    def answer(where, _):
        if where == "GET /api/campaigns" and lived.seen.count(where) > 1:
            return status
        return 404 if "/api/campaigns/1000000" in where else None

    lived.answer = answer
    report = lived.halt()
    assert report.exit_code == 75
    assert {each["key"] for each in report.data["objects"] if not each["silent"]} == {"1000000"}


@pytest.mark.parametrize("status", [401, 403])
def test_lists_and_settings_that_are_refused_concern_no_stop(watched, status):
    lived = many(watched)
    answers = {"GET /api/dnc/lists": status, "GET /api/dialer/settings": status}
    locked = {"PUT /api/campaigns/1000000/actions/refresh": 500}
    lived.answer = lambda where, _: (answers | locked).get(where)
    report = lived.halt("first")
    assert report.exit_code == 75
    (row,) = report.data["objects"]
    assert "the dialer is locked, or a DNC list is SYNCING" in row["message"]
    locked.clear()
    assert lived.halt("first").exit_code == 0


@pytest.mark.parametrize("status", [403])
@pytest.mark.parametrize("lost", ["/dnc-groups", "/skills/parameters", "/business-unit", "/skills"])
@pytest.mark.parametrize("names", [("renewals",), ()], ids=["named", "all"])
def test_what_a_stop_of_skills_does_not_need_may_be_refused(watched, status, lost, names):
    lived = skills(watched)
    lived.answer = lambda where, _: (
        status if where.startswith("GET") and where.endswith(lost) else None
    )
    report = lived.halt(*names)
    listed = not names and lost != "/skills"
    every = {"4001", "4002", "4003", "4004", "4005", "4008", "4009"}
    assert lived.stopped == (every if listed else {"4001"})
    assert lived.held() >= lived.stopped
    assert report.exit_code == (3 if lost == "/skills" and not names else 0), report.notes


@pytest.mark.parametrize("status", [403])
def test_only_the_refusal_of_the_stop_itself_counts_and_is_told_of_its_object(watched, status):
    lived = many(watched, 3)
    lived.answer = lambda where, _: (
        status if where.startswith("DELETE /api/campaigns/1000001") else None
    )
    report = lived.halt()
    told = {each["key"]: each["silent"] for each in report.data["objects"]}
    assert told == {"1000000": True, "1000001": False, "1000002": True}
    assert report.exit_code == 3


@pytest.mark.parametrize(
    ("refused", "read", "silent", "code"),
    [
        (["4002"], 200, True, 3),
        (["4003"], 200, False, 3),
        (["4002"], 403, False, 3),
        (["4001", "4002", "4003", "4004", "4005", "4008", "4009"], 200, True, 77),
    ],
    ids=["idle", "running", "idle, and cannot be read", "all of them"],
)
def test_a_refused_stop_of_a_skill_that_does_not_run_is_told_as_needless(
    watched, refused, read, silent, code
):
    """The client lacks the right to stop it all the same, so the exit code says so."""
    lived = skills(watched)
    stops = {f"/skills/{key}/stop" for key in refused}
    reads = {f"/skills/{key}" for key in refused}

    def answer(where, _):
        path = where.partition(".0")[2]
        return 403 if path in stops else read if path in reads and read != 200 else None

    lived.answer = answer
    if code == 77:
        for row in lived.platform.skills():
            lived.platform.put_skill(row["id"], row["name"], running=False)
    report = lived.halt()
    told = {each["key"]: each["silent"] for each in report.data["objects"]}
    assert told == {key: silent or key not in refused for key in told}
    assert report.exit_code == code
    assert lived.held() >= {*refused}
    others = "unverified" if read == 403 else "still dialing"
    assert (f"{len(refused)} {others}" in report.verdict) is not silent
    assert (f"{len(refused)} needless stop" in report.verdict) is silent
    said = "The stop was refused, and was not needed, because nothing dials: "
    assert any(said in note and "refused (403)" in note for note in report.notes) is silent
    results = {each["key"]: each["result"] for each in report.data["objects"]}
    assert {results[key] for key in refused} == {"failed"}


def test_a_stop_that_was_not_needed_proves_nothing_about_the_next_one(watched, monkeypatch):
    """The skill is started while the halt watches, and its second stop is not executed in time."""
    lived, started = skills(watched), []

    def away(_):
        raise Unavailable("the git remote does not answer")

    async def check(self, operation, *more):
        await real(self, operation, *more)
        if operation.key == "4002" and not started:
            started.append(operation)
            lived.platform.put_skill("4002", "started", running=True)

    real = Silencer._check_refused
    monkeypatch.setattr(Silencer, "_check_refused", check)
    monkeypatch.setattr(takeover.Takeover, "_open_ledger", away)
    lived.answer = lambda where, _: (
        (500 if started else 403) if where.endswith("/skills/4002/stop") else None
    )
    report = lived.halt()
    told = {each["key"]: each["silent"] for each in report.data["objects"]}
    assert told == {key: key != "4002" for key in told}
    assert "1 still dialing" in report.verdict
    assert "needless" not in report.verdict


def test_a_client_that_may_not_sign_in_stops_nothing_and_says_what_is_held(watched):
    lived = many(watched)
    lived.answer = lambda where, _: 401 if "token" in where else None
    with pytest.raises(AccessError, match="Nothing was stopped, but the holds are recorded"):
        lived.halt("first")
    assert lived.stopped == set()
    assert lived.held() == {"1000000"}


@pytest.mark.parametrize("status", [302, 403, 404])
@pytest.mark.parametrize("stays", [False, True])
def test_a_gateways_page_at_the_sign_in_is_retried_until_the_wait_is_over(watched, status, stays):
    lived = many(watched)
    lived.wait_s = 60.0 if stays else 600.0
    lived.answer = lambda where, _: (
        status if "token" in where and (stays or len(lived.seen) < 12) else None
    )
    report = lived.halt("first")
    assert report.exit_code == (75 if stays else 0)
    assert len(lived.seen) > 8
    assert lived.stopped == (set() if stays else {"1000000"})
    assert lived.held() == {"1000000"}


def test_holds_are_shared_while_the_sign_in_is_not_answered_yet(watched, monkeypatch):
    """A stop on a throw-away machine may die at its first removal."""
    lived, shared = many(watched), threading.Event()
    share, sign_in = stop_writer.StopWriter.share, halt_command._Halt._sign_in

    async def slow(self):
        await sign_in(self)
        assert await asyncio.to_thread(shared.wait, 20), "the holds wait for the sign-in"

    monkeypatch.setattr(stop_writer.StopWriter, "share", lambda self: [share(self), shared.set()])
    monkeypatch.setattr(halt_command._Halt, "_sign_in", slow)
    assert lived.halt("first").exit_code == 0


@pytest.mark.parametrize("name", ["nobody", "99999"])
def test_a_name_that_nobody_could_check_in_time_is_not_called_silent(watched, monkeypatch, name):
    lived, reads = many(watched), itertools.count()
    finish, ended = StopJournal.finish, []
    monkeypatch.setattr(StopJournal, "finish", lambda *a: (ended.append(1), finish(*a))[1])
    lived.answer = lambda where, _: (
        403 if where.startswith(f"GET /api/campaigns/{name}") and not next(reads) % 9 else None
    )
    with pytest.raises(UsageError, match=f"unknown: {name}.* nothing was stopped by it"):
        lived.halt(name)
    assert next(reads) > 1
    assert len(ended) == 1, "the records are finished once"
    reads = itertools.count()
    report = lived.halt(name, "first")
    assert report.exit_code == 3
    assert report.verdict == f"1 of 1 object silent and held, 1 name unknown: {name}"
