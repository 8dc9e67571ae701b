"""A stop sends before it reads, and a later plan knows nevertheless what somebody had narrowed by hand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from dataclasses import replace

import pytest

from reconciler import audit
from reconciler.audit import Attribution, RecordKind, Run
from reconciler.commands import apply as apply_command
from reconciler.commands import halt as halt_command
from reconciler.commands import plan as plan_command
from reconciler.commands import release as release_command
from reconciler.commands import stop_journal, stop_writer, takeover
from reconciler.commands.targets import Target
from reconciler.dialects.campaigns import api as campaigns
from reconciler.errors import NotFinished, Place, Unavailable
from reconciler.git import Git
from reconciler.kinds.campaign import KIND
from reconciler.kinds.live import Live
from reconciler.ledger import Ledger
from reconciler.ledger.locks import TTL_S
from reconciler.ledger.tenant_lock import TenantLock
from reconciler.manifests import loader
from reconciler.plan import Action, Result
from reconciler.sandbox.writes import Conditions
from reconciler.world import here
from tests.commands.test_halt_refused_reads import Watched, many, skills
from tests.commands.test_import import NOW
from tests.support import fasttime
from tests.support.bodies import manifest_text
from tests.support.samples import platform

KEY = "1000000"


@pytest.fixture
def watched(tmp_path, monkeypatch):
    made = []
    for name in (f"{halt_command.__name__}.RECORDS_S", "reconciler.execute.stop_sender.SEEN_S"):
        monkeypatch.setattr(name, 40.0)  # of the fast clock, on a busy machine

    def start(api):
        made.append(Watched(tmp_path, monkeypatch, api))
        return made[0]

    yield start
    made[0].platform.close()


def applied(watched, *, etags=True):
    """Serve three campaigns; the ledger tells that reconcile stored the schedule of the first one."""
    lived = many(watched, 3)
    row = lived.platform.campaign(KEY)
    body = KIND.canonical(stored_body(lived))
    there = open_ledger(lived)
    target = Target(KIND.name, KEY, "first", Live(KEY, "", stored=body))
    stop = target.operation(campaigns, Place("first.yaml"))
    write = replace(stop, action=Action.UPDATE, desired=body)
    maker = Run(
        there.tenant,
        Git(lived.desk.folder.parent, environ={}).head(),
        "run-0",
        lambda: NOW,
        Attribution("ci"),
    )
    intent = maker.intent(write, digest="d" * 64, generation=0)
    etag = f'"{row["schedule_id"]}"' if etags else None
    begun = maker.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None)
    outcome = maker.outcome(intent, Result.UPDATED, audit=stop.audit, etag=etag)
    there.append([begun, intent, outcome, maker.close({})])
    lived.seen.clear()
    return lived


def stored_body(lived):
    return {
        **{
            k: v
            for k, v in json.loads(str(lived.platform.campaign(KEY)["schedule"])).items()
            if k not in {"id", "updated_at", "updated_by"}
        },
        "campaign_id": KEY,
    }


def by_hand(lived, key=KEY, **fields):
    name = str(lived.platform.campaign(key)["name"])
    lived.platform.put_campaign(key, name, schedule={**stored_body(lived), **fields})


def open_ledger(lived):
    there = Git(lived.desk.folder.parent, environ={})
    return Ledger.open(there, platform(lived.desk.folder), here(print))


def records(lived):
    return open_ledger(lived).records()


def found(lived, key=KEY):
    """Return what the records of the stops say was stored."""
    holds = [each.data for each in records(lived) if each.kind is RecordKind.HOLD]
    bodies = [hold["body"] for hold in holds if hold["target"] == key and "body" in hold]
    return bodies[-1] if bodies else None


def requests(lived):
    return [each for each in lived.seen if "token" not in each]


DELETE, REFRESH = (
    f"DELETE /api/campaigns/{KEY}/schedule",
    f"PUT /api/campaigns/{KEY}/actions/refresh",
)
STORED = f"GET /api/campaigns/{KEY}/schedule"


def test_a_named_stop_reads_nothing_first_and_proves_that_nobody_changed_the_schedule(watched):
    lived = applied(watched)
    assert lived.halt("first").exit_code == 0
    assert requests(lived)[:2] == [DELETE, REFRESH]
    stored = found(lived)
    assert stored == next(
        each.data["body"] for each in records(lived) if each.kind is RecordKind.INTENT
    )


def test_a_stop_decodes_the_ledger_once(watched, monkeypatch):
    """It reads the ledger for the names in it, to take the lock, and to move its records there: a tenth of its CPU time each."""
    lived, decoded, decode = applied(watched), [], audit.decode

    def noting(commit, data):
        decoded.append(hashlib.sha256(data).hexdigest())
        return decode(commit, data)

    monkeypatch.setattr(audit, "decode", noting)
    monkeypatch.setattr(takeover, "HEAD_START_S", 40.0)  # of the fast clock, on a busy machine
    assert lived.halt("first").exit_code == 0
    assert len(decoded) == len(set(decoded)) == 1


def test_what_a_hand_narrowed_is_read_after_the_condition_failed_and_removed_at_once(watched):
    lived = applied(watched)
    by_hand(lived, dial_rate=0.5)
    assert lived.halt("first").exit_code == 0
    assert requests(lived)[:4] == [DELETE, STORED, DELETE, REFRESH]
    assert found(lived)["dial_rate"] == 0.5
    ended = [each for each in records(lived) if each.kind is RecordKind.OUTCOME][-1]
    assert (ended.data["action"], ended.data["dial_rate"]) == ("SCHEDULE_HALTED", 0.5)


@pytest.mark.parametrize("status", [400, 428, 501])
def test_a_server_that_accepts_no_condition_gets_the_removal_without_it_at_once(watched, status):
    lived = applied(watched)
    refusals = [status]
    lived.answer = lambda where, _: refusals.pop() if where == DELETE and refusals else None
    assert lived.halt("first").exit_code == 0
    assert requests(lived)[:3] == [DELETE, DELETE, REFRESH]


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("method", ["DELETE", "PUT"])
def test_any_answer_of_success_is_followed_up_at_once(watched, method, status):
    lived = applied(watched)
    lived.says = {method: status}
    assert lived.halt("first").exit_code == 0
    assert requests(lived)[:2] == [DELETE, REFRESH]
    assert requests(lived).count(DELETE) == 1


def test_an_answer_of_success_is_no_proof_of_silence(watched):
    lived = applied(watched)
    lived.answer = lambda where, _: 200 if where == DELETE else None
    assert lived.halt("first").exit_code == NotFinished.exit_code
    assert lived.platform.campaign(KEY)["schedule_id"]


def test_a_remote_that_has_not_answered_yet_is_told_as_away(watched, monkeypatch):
    lived = applied(watched)
    lived.wait_s = 0.0
    monkeypatch.setattr(f"{stop_journal.__name__}.LEAST_S", 5.0)
    monkeypatch.setattr(stop_writer.StopWriter, "share", lambda _: threading.Event().wait(2))
    report = lived.halt("first")
    assert report.exit_code == Unavailable.exit_code
    assert "the git remote has not answered yet" in str(report)


def test_a_name_whose_manifest_is_broken_is_known_from_any_record(watched):
    """An import is recorded as found. Its manifest may then hold the marks of a merge conflict when a stop is needed."""
    lived = many(watched, 2)
    there = open_ledger(lived)
    head = Git(lived.desk.folder.parent, environ={}).head()
    maker = Run(there.tenant, head, "run-0", lambda: NOW, Attribution("ci"))
    (desired,) = loader.load(lived.desk.folder).desired
    there.append([maker.found(desired, NOW)])
    (lived.desk.folder / "first.yaml").write_text("<<<<<<< HEAD\n")
    assert lived.halt("first").exit_code == 0
    assert DELETE in requests(lived)


def test_of_a_server_without_etags_what_is_stored_is_read_before(watched):
    """Such a server ignores the condition, so its 204 would prove nothing."""
    lived = applied(watched, etags=False)
    lived.platform.faults.add("no-etags")
    by_hand(lived, dial_rate=0.5)
    assert lived.halt("first").exit_code == 0
    assert requests(lived)[:3] == [STORED, DELETE, REFRESH]
    assert found(lived)["dial_rate"] == 0.5


@pytest.mark.parametrize("known", [True, False], ids=["recorded", "unrecorded"])
def test_a_removal_that_was_executed_and_answers_500_each_time_is_followed_by_a_refresh(
    watched, known
):
    """Nothing is stored then, so the refresh can only end the dialing."""
    lived = applied(watched) if known else many(watched, 3)
    before = stored_body(lived)
    lived.says = {"DELETE": 500}
    assert lived.halt("first").exit_code == 0
    assert requests(lived).count(DELETE) == 1
    sent = requests(lived)
    assert sent[sent.index(DELETE) :][:3] == [DELETE, STORED, REFRESH]
    assert found(lived) == before, "the condition proves which version was removed"


@pytest.mark.parametrize("status", [500, 503])
def test_a_refresh_that_was_executed_and_answers_an_error_each_time_ends_the_stop(watched, status):
    lived = applied(watched)
    lived.says = {"PUT": status}
    assert lived.halt("first").exit_code == 0
    assert requests(lived).count(DELETE) == 1


def test_after_an_uncertain_removal_no_refresh_activates_what_is_stored(watched):
    lived = applied(watched)
    lived.answer = lambda where, _: 500 if where == DELETE else None
    lived.wait_s = 60
    assert lived.halt("first").exit_code == NotFinished.exit_code
    assert requests(lived).count(DELETE) > 1
    assert REFRESH not in requests(lived)


def test_a_schedule_that_is_narrowed_between_the_read_and_the_removal_is_read_once_more(watched):
    lived = many(watched, 3)
    lived.answer = lambda where, _: (
        by_hand(lived, dial_rate=0.5)
        if where == DELETE and requests(lived).count(DELETE) == 1
        else None
    )
    assert lived.halt("first").exit_code == 0
    assert requests(lived)[:5] == [STORED, DELETE, STORED, DELETE, REFRESH]
    assert found(lived)["dial_rate"] == 0.5


def test_what_replaced_the_version_that_was_read_and_could_not_be_read_is_unknown(watched):
    lived = many(watched, 3)

    def answer(where, _):
        if where == DELETE and requests(lived).count(DELETE) == 1:
            by_hand(lived, dial_rate=0.5)
        return 403 if where == STORED and DELETE in requests(lived) else None

    lived.answer = answer
    lived.wait_s = 5
    lived.halt("first")
    assert requests(lived)[:5] == [STORED, DELETE, STORED, DELETE, REFRESH]
    assert found(lived) is None


@pytest.mark.parametrize("what", ["GET", "DELETE", "429"])
def test_requests_without_an_answer_end_with_the_wait(watched, what):
    lived, at = applied(watched), []
    lived.wait_s = 40

    def answer(where, _):
        at.append(lived.desk.world.monotonic())
        if what == "429":
            return 429 if where == DELETE else None
        return "hang" if where.startswith(what) else None

    lived.answer = answer
    assert lived.halt("first").exit_code == NotFinished.exit_code
    silent = lived.desk.world.monotonic() - at[0]
    assert silent < 200, "of the fast clock; with its deadline 3600 s"


def test_a_stop_that_is_told_to_end_ends_although_no_request_is_answered(watched):
    lived = applied(watched)
    lived.wait_s = 100_000.0
    lived.told = asyncio.Event()

    def answer(where, _):
        if where == DELETE:
            lived.told.set()
            return "hang"
        return None

    lived.answer = answer
    report = lived.halt("first", stop=lived.told)
    assert report.exit_code == NotFinished.exit_code
    assert requests(lived).count(DELETE) == 1


@pytest.mark.parametrize("status", [403, 500, "hang"])
@pytest.mark.parametrize("known", [True, False], ids=["recorded", "unrecorded"])
def test_no_read_delays_a_stop_by_more_than_a_second(watched, status, known):
    lived = applied(watched) if known else many(watched, 3)
    at, sent = lived.desk.world.monotonic, {}

    def answer(where, _):
        sent.setdefault(where, at())
        return status if where.startswith("GET") else None

    lived.answer = answer
    lived.wait_s = 5
    report = lived.halt("first")
    assert report.exit_code == 75, "nobody can tell whether it is silent"
    first = min(sent.values())
    assert sent[DELETE] - first < 60.0, "of the fast clock: 3 s"
    assert lived.platform.campaign(KEY)["schedule_id"] is None


def test_of_campaigns_that_no_list_shows_in_full_none_is_read_before_its_removal(
    watched,
):
    lived = many(watched, 300)
    lived.wait_s = 0
    lived.halt()
    first = {}
    for where in requests(lived):
        parts = where.split("/")
        if len(parts) > 3:
            first.setdefault(parts[3], where.split(" ")[0])
    assert set(first.values()) == {"DELETE"}
    assert lived.stopped == {str(1_000_000 + n) for n in range(300)}
    assert requests(lived)[1].startswith("DELETE"), "the page is stopped as soon as it is read"


def test_skills_are_stopped_before_anything_is_read_of_them(watched):
    lived = skills(watched)
    assert lived.halt("renewals").exit_code == 0
    posts = [each for each in requests(lived) if not each.startswith("POST /authentication")]
    first = next(each for each in posts if "4001" in each)
    assert first.endswith("/4001/stop")


def test_a_name_that_nobody_knows_is_asked_of_the_platform_and_holds_nothing(watched):
    lived = applied(watched)
    report = lived.halt("first", "fist")
    assert report.exit_code == 3
    assert "did you mean first?" in " ".join(report.notes)
    assert {each.data["target"] for each in records(lived) if each.kind is RecordKind.HOLD} == {KEY}


# --- what nobody saw ------------------------------------------------------------------------------------------------------


def planned(lived):
    asked = plan_command.PlanRequest(lived.desk.folder)
    return fasttime_run(plan_command.show(lived.desk.world, asked))


def released(lived, *names):
    asked = release_command.HoldRequest(lived.desk.folder, names, reason="hours corrected")
    return release_command.release(lived.desk.world, asked)


def applied_here(lived):
    asked = apply_command.ApplyRequest(lived.desk.folder)
    return fasttime_run(apply_command.apply(lived.desk.world, asked, asyncio.Event()))


def fasttime_run(command):
    with asyncio.Runner(loop_factory=fasttime.FastLoop) as runner:
        return runner.run(command)


def removed_by_hand(lived):
    lived.platform.write_schedule(KEY, None, client="console", ticket=None, conditions=Conditions())
    lived.platform.refresh(KEY, "console")


def stored(lived):
    return lived.platform.campaign(KEY)["schedule_id"] is not None


def test_what_a_stop_removed_without_knowing_it_stays_held_after_the_release_and_every_report_says_so(
    watched,
):
    """A stop of all reads no single object: what a hand had narrowed is lost, and must not be widened in silence."""
    lived = applied(watched, etags=False)
    by_hand(lived, dial_rate=0.5)
    assert lived.halt().exit_code == 0
    assert found(lived) is None
    unknown = "hat was stored before the stop is unknown"
    assert any(unknown in note for note in released(lived, "first").notes)
    report = planned(lived)
    (row,) = [row for table in report.tables for row in table.rows if "first" in row.cells]
    assert row.cells[0] == "held"
    assert unknown in str(row)
    assert any(unknown in note for note in report.notes)
    applied_here(lived)
    assert not stored(lived)


def test_a_release_of_a_missing_schedule_without_a_hold_lets_the_next_apply_create_it_once(watched):
    lived = applied(watched)
    removed_by_hand(lived)
    assert "removed outside git" in str(planned(lived).tables)
    report = released(lived, "first")
    assert report.verdict.startswith("1 missing schedule released")
    assert "create" in planned(lived).verdict
    applied_here(lived)
    assert stored(lived)
    removed_by_hand(lived)
    assert "removed outside git" in str(planned(lived).tables), "it covers no later removal"
    applied_here(lived)
    assert not stored(lived)
    assert open_ledger(lived).verify().defects == ()


def test_a_schedule_that_is_there_is_not_released_ahead_of_a_removal(watched):
    lived = applied(watched)
    assert "nothing was held" in released(lived, "first").verdict
    removed_by_hand(lived)
    assert "removed outside git" in str(planned(lived).tables)


def test_a_release_that_cannot_read_the_platform_says_so_and_releases_nothing(watched):
    lived = applied(watched)
    removed_by_hand(lived)
    lived.answer = lambda where, _: 401 if "token" in where else None
    report = released(lived, KEY)
    assert (report.exit_code, report.verdict) == (0, "nothing was held")
    assert any("could not be read" in note for note in report.notes)
    lived.answer = lambda *_: None
    assert "removed outside git" in str(planned(lived).tables)


# --- attempts -------------------------------------------------------------------------------------------------------------


def refreshes_fail(lived, times):
    left = [500] * times
    lived.answer = lambda where, _: left.pop() if where == REFRESH and left else None


def removals_fail(lived, times):
    left = [500] * times
    lived.answer = lambda where, _: left.pop() if where == DELETE and left else None


def somebody_stores(lived, _):
    by_hand(lived, dial_rate=0.5)


@pytest.mark.parametrize(
    ("happens", "ended"),
    [
        (refreshes_fail, ["stored_not_active", "stored_not_active", "deleted"]),
        (removals_fail, ["unknown", "unknown", "deleted"]),
        (somebody_stores, ["failed", "deleted"]),
    ],
    ids=["locked", "500", "412"],
)
def test_a_further_attempt_of_a_stop_writes_under_a_recorded_key(watched, happens, ended):
    """The records say of each attempt how it ended, and its key is the one that was sent."""
    lived = applied(watched)
    happens(lived, 2)
    assert lived.halt("first").exit_code == 0
    told = records(lived)
    stops = [each for each in told if each.data.get("verb") == "halt"]
    intents = [each for each in stops if each.kind is RecordKind.INTENT]
    outcomes = [each for each in stops if each.kind is RecordKind.OUTCOME]
    assert len(set(lived.keys)) == len(lived.keys) > 1
    assert [each.data["key"] for each in intents] == lived.keys
    assert [each.data["intent"] for each in outcomes] == [each.id for each in intents]
    assert [each.data["result"] for each in outcomes] == ended


# --- errors of recording --------------------------------------------------------------------------------------------------

HOSTILE = {
    "store": ValueError("garbage"),
    "share": RecursionError(),
    "take_over": KeyError("run"),
    "_open": ValueError(),
}


@pytest.mark.parametrize(("where", "error"), HOSTILE.items())
def test_no_error_of_recording_ends_a_stop_and_recording_goes_on(
    watched, monkeypatch, where, error
):
    """What somebody pushed into the ledger or a ref may break anything that reads it."""
    lived = applied(watched)
    real, left = getattr(stop_writer.StopWriter, where), [error]

    def broken(*arguments):
        if left:
            raise left.pop()
        return real(*arguments)

    monkeypatch.setattr(stop_writer.StopWriter, where, broken)
    report = lived.halt("first")
    assert (report.exit_code, left) == (0, [])
    assert lived.stopped == {KEY}
    assert found(lived) is not None


def test_an_event_that_cannot_be_made_costs_no_other_event(watched, monkeypatch):
    lived = applied(watched)

    def broken(*_, **__):
        raise RecursionError

    monkeypatch.setattr(Run, "outcome", broken)
    report = lived.halt("first")
    assert any("one event of this halt is not recorded" in note for note in report.notes)
    assert lived.held() == {KEY}
    assert [each.kind for each in records(lived)][-1] is RecordKind.CLOSE


def test_no_error_of_the_lock_ends_a_stop(watched, monkeypatch):
    lived = applied(watched)

    def broken(_):
        raise ValueError("garbage")

    monkeypatch.setattr(takeover.Takeover, "_open_ledger", broken)
    lived.wait_s = 5
    assert lived.halt("first").exit_code == 0
    assert lived.held() == {KEY}


# --- what comes back ------------------------------------------------------------------------------------------------------


def away(_):
    raise Unavailable("the git remote does not answer")


def test_a_stop_without_the_lock_watches_for_half_the_locks_life(watched, monkeypatch):
    lived, stop, told = applied(watched), asyncio.Event(), []
    lived.wait_s = 10 * TTL_S
    monkeypatch.setattr(takeover.Takeover, "_open_ledger", away)

    def progress(line):
        if "watching" in line:
            told.append(int(line.partition(" watching for ")[2].split()[0]))
            stop.set()

    lived.desk.world = lived.desk.world._replace(progress=progress)
    lived.halt("first", stop=stop)
    (seconds,) = told
    assert TTL_S / 2 - 200 < seconds <= TTL_S / 2, "200 s of the fast clock, on a busy machine"


def test_a_stop_without_the_lock_watches_and_removes_what_comes_back(watched, monkeypatch):
    """A run whose remote hangs may write on for a while."""
    lived = applied(watched)
    body = stored_body(lived)
    monkeypatch.setattr(takeover.Takeover, "_open_ledger", away)
    told = []
    restored = []

    def progress(line):
        told.append(line)
        if "watching" in line:
            restored.append(line)
            lived.platform.put_campaign(KEY, "First", schedule=body)

    lived.desk.world = lived.desk.world._replace(progress=progress)
    report = lived.halt("first")
    assert len(restored) == 1, "told once"
    assert "Ctrl-C ends the watch, not the stop, and is safe if no apply is running" in restored[0]
    assert lived.platform.campaign(KEY)["schedule_id"] is None
    assert lived.platform.campaign(KEY)["active_id"] is None
    assert report.facts["lock"] == "could not be taken: the git remote does not answer"
    removals = [each for each in lived.seen if each == DELETE]
    assert len(removals) == 2


def test_a_lock_that_an_attempt_of_unknown_outcome_took_was_that_of_the_run_before(
    watched, monkeypatch
):
    """The watch for what that run stores late goes by it."""
    lived = applied(watched)
    open_ledger(lived).lock.acquire(holder="a run elsewhere")
    real, left = TenantLock.acquire, [Unavailable("the git remote does not answer")]

    def acquire(self, **asked):
        real(self, **asked)
        if left:
            raise left.pop()

    monkeypatch.setattr(TenantLock, "acquire", acquire)
    report = lived.halt("first")
    assert (report.exit_code, left) == (0, [])
    assert report.facts["lock"].startswith("taken from a run elsewhere")


def test_records_that_nobody_can_read_stop_no_stop(watched, monkeypatch):
    lived = applied(watched)

    def broken(_):
        raise ValueError("garbage")

    monkeypatch.setattr(halt_command.Recorded, "of", broken)
    assert lived.halt("first").exit_code == 0
    assert lived.stopped == {KEY}


def test_a_stop_of_one_name_compiles_no_other_manifest_before_it_sends(watched, monkeypatch):
    lived = applied(watched)
    folder = lived.desk.folder
    for n in (1, 2):
        text = manifest_text(f"other-{n}", campaign_id=str(1_000_000 + n))
        (folder / f"other-{n}.yaml").write_text(text)
    compiled = []
    real = loader._Loader._add
    monkeypatch.setattr(
        loader._Loader,
        "_add",
        lambda self, data, file: compiled.append(file) or real(self, data, file),
    )
    assert lived.halt("first").exit_code == 0
    assert {file.rsplit("/", 1)[-1] for file in compiled} == {"first.yaml"}


def test_a_name_that_is_written_with_escapes_is_found_all_the_same(watched):
    lived = applied(watched)
    file = lived.desk.folder / "first.yaml"
    file.write_text(file.read_text().replace("name: first", r'name: "other\x2dname"'))
    assert lived.halt("other-name").exit_code == 0
    assert lived.stopped == {KEY}


def test_a_list_without_an_end_keeps_nothing_known_from_being_stopped(watched):
    lived = applied(watched)
    lived.answer = lambda where, _: "hang" if where == "GET /api/campaigns" else None
    lived.wait_s = 5
    report = lived.halt()
    assert lived.stopped == {KEY}
    assert report.exit_code == 3
    assert any("not read to its end" in note for note in report.notes)
