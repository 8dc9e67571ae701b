"""The merge of git with a hand, against an oracle that shares no code with it: it lists, half hour by half hour, whom a body lets the dialer call."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds.live import Live, Snapshot
from reconciler.models.skill import DAYS
from reconciler.plan import Action, Base, Origin, build
from reconciler.plan.merge import merge
from tests.support.bodies import make_body, make_skill_body, make_window
from tests.support.factories import KIND, NOW, SKILL, make_desired, make_live, make_skill_desired

ZONES = ("America/New_York", "America/Chicago")  # an hour apart on every day of the year
UNKNOWN = "Mars/Olympus"
SPAN = ("2027-01-11T14:00:00Z", "2027-01-12T14:00:00Z", "2027-01-13T14:00:00Z")
HALF_HOURS = range(0, 24 * 60, 30)

# --- what bodies may say ------------------------------------------------------------------------------------------------


def windows(last_hour, *, ends_past_midnight=False):
    def build_window(zone, start, length):
        end = start + length
        return make_window(zone, start, end % 24 if ends_past_midnight else min(end, last_hour))

    one = st.builds(build_window, st.sampled_from(ZONES), st.integers(0, 22), st.integers(1, 12))
    return st.lists(one, max_size=2, unique_by=lambda each: each["timezone"])


def campaigns(**fields):
    parts = {
        "compliance_windows": windows(23),
        "dial_rate": st.sampled_from([1.0, 2.0, 3.0]),
        "dnc_verification": st.booleans(),
        "max_concurrent_calls": st.sampled_from([100, 200, 300]),
        "start_time": st.sampled_from(SPAN[:2]),
        "end_time": st.sampled_from(SPAN[1:]),
        **fields,
    }
    return (
        st.fixed_dictionaries(parts)
        .map(lambda found: KIND.canonical(make_body(**found)))
        .filter(lambda body: body["start_time"] < body["end_time"])
    )


by_hand = campaigns(compliance_windows=windows(23, ends_past_midnight=True))


def clock(minute):
    return f"{minute // 60:02}:{minute % 60:02}"


def stretch(first, last):
    return st.tuples(st.integers(first, last - 1), st.integers(1, 24)).map(
        lambda pair: (clock(60 * pair[0]), clock(60 * min(last, sum(pair))))
    )


def weeks(days):
    row = stretch(6, 23)
    return st.fixed_dictionaries(dict.fromkeys(days, row)).map(
        lambda found: [{"day": d, "start": s, "end": e} for d, (s, e) in found.items()]
    )


def skills(open_days):
    calls = st.dictionaries(st.sampled_from(ZONES), stretch(8, 21), min_size=1).map(
        lambda found: [{"timezone": z, "start": s, "end": e} for z, (s, e) in sorted(found.items())]
    )
    return st.fixed_dictionaries(
        {
            "run_window": open_days.flatmap(weeks),
            "calling_windows": calls,
            "maximum_ratio": st.sampled_from([1.0, 2.0]),
            "aggressiveness": st.sampled_from(["1", "2"]),
            "block_multiple_calls": st.booleans(),
            "dnc_groups": st.sets(st.sampled_from(["70", "71"])).map(sorted),
            "maximum_ringing_duration_s": st.sampled_from([20, 30]),
        }
    ).map(lambda found: make_skill_body(**found))


every_day = st.just(DAYS)
some_days = st.sets(st.sampled_from(DAYS), min_size=4).map(
    lambda found: sorted(found, key=DAYS.index)
)

# --- the oracle ---------------------------------------------------------------------------------------------------------


def admits(body, zone, minute):
    """Whether a contact's own time of day is inside a window of a campaign."""
    rows = body["compliance_windows"]
    found = False
    for row in rows:
        start, end = row["start_hour"] * 60, row["end_hour"] * 60
        inside = start <= minute < end if start < end else minute >= start or minute < end
        found = found or (row["timezone"] == zone and inside)
    return found or not rows


def campaign_calls(body):
    """Everything that a campaign's body lets the dialer do, as a set of facts: more facts, more dialing."""
    if body is None:
        return set()
    start, end = (datetime.fromisoformat(body[name]) for name in ("start_time", "end_time"))
    hours = {start + timedelta(hours=each) for each in range(int((end - start).days) * 24)}
    open_ = {
        (zone, minute)
        for zone in (*ZONES, "else")
        for minute in HALF_HOURS
        if admits(body, zone, minute)
    }
    facts = {("at", hour) for hour in hours} | {("open", *each) for each in open_}
    facts |= {("rate", n) for n in (1.0, 2.0, 3.0) if n <= body["dial_rate"]}
    facts |= {("calls", n) for n in (100, 200, 300) if n <= body["max_concurrent_calls"]}
    return facts | (set() if body["dnc_verification"] else {"unscrubbed"})


def minute_of(text):
    return int(text[:2]) * 60 + int(text[3:])


def skill_calls(body):
    """The same for a skill: its week on the clock of New York, the contacts' windows on their own clocks."""
    facts = {
        ("at", DAYS.index(row["day"]), minute, window["timezone"])
        for row in body["run_window"]
        for minute in range(minute_of(row["start"]), minute_of(row["end"]), 30)
        for window in body["calling_windows"]
        if minute_of(window["start"])
        <= (minute - (60 if window["timezone"] == "America/Chicago" else 0)) % 1440
        < minute_of(window["end"])
    }
    facts |= {("ratio", n) for n in (1.0, 2.0) if n <= body["maximum_ratio"]}
    facts |= {("level", n) for n in (1, 2) if n <= int(body["aggressiveness"])}
    facts |= {("unscrubbed", g) for g in ("70", "71") if g not in body["dnc_groups"]}
    return facts | (set() if body["block_multiple_calls"] else {"twice"})


# --- laws ---------------------------------------------------------------------------------------------------------------


def pick(base, live, desired):
    """Return the three, with what git and a hand left alone set back to base: else every field would be changed by both."""
    return st.tuples(*[st.sets(st.sampled_from(sorted(base)))] * 2).map(
        lambda kept: (
            base,
            {**live, **{name: base[name] for name in kept[0]}},
            {**desired, **{name: base[name] for name in kept[1]}},
        )
    )


def triples(bases, lives, wanted):
    return st.tuples(bases, lives, wanted).flatmap(lambda each: pick(*each))


def is_span(body):
    return body.get("start_time", "") < body.get("end_time", "~")


campaign_triples = triples(campaigns(), by_hand, campaigns()).filter(
    lambda each: all(map(is_span, each))
)
skill_triples = triples(skills(every_day), skills(some_days), skills(every_day))


def holds_the_laws(kind, calls, base, live, desired):
    found = merge(base, live, desired, kind)
    gits = {name for name in base if desired[name] != base[name]} | set(found.unknown)
    of_hand = {**live, **{name: desired[name] for name in gits}}
    stored = calls(found.store)
    assert calls(found.meet) <= calls(live)
    assert stored <= calls(of_hand), "what a hand narrowed is widened"
    assert stored <= calls(desired), "what a hand widened is kept"


def converges(kind, wanted, live, base):
    """Carry out what is executable until nothing is; after one round only what is held may be left."""
    first = _plan(kind, wanted, live, base)
    for operation in first.executable:
        assert operation.live == live.stored or operation.after
        live = _holding(live, operation.desired)
        base = Base(operation.desired if operation.base is None else operation.base)
    again = _plan(kind, wanted, live, base)
    assert {operation.action for operation in again.operations} <= {Action.HELD}
    return live.stored


def _plan(kind, wanted, live, base):
    snapshot = Snapshot({wanted.key: live}, {}, {}, NOW)
    return build(
        Origin("acme", "sandbox:"), [wanted], snapshot, {kind.name: kind}, base={wanted.key: base}
    )


def _holding(live: Live, body) -> Live:
    id_ = None if body is None else "next"
    return live.__class__(live.key, live.name, stored=body, stored_id=id_, active_id=id_)


@settings(max_examples=120)
@given(campaign_triples)
def test_a_merged_campaign_is_never_wider_than_it_may_be(triple):
    holds_the_laws(KIND, campaign_calls, *triple)


@settings(max_examples=60)
@given(skill_triples)
def test_a_merged_skill_is_never_wider_than_it_may_be(triple):
    holds_the_laws(SKILL, skill_calls, *triple)


@settings(max_examples=60)
@given(campaign_triples, st.sampled_from(["13", "9"]), st.booleans())
def test_windows_in_an_unknown_zone_are_set_back_as_if_no_hand_had_moved_them(
    triple, start, is_the_only_zone
):
    """What else the same hand narrowed is kept. A zone of the manifest that the hand left keeps what both allow."""
    base, live, desired = triple
    desired = {**desired, "compliance_windows": base["compliance_windows"]}
    unknown = [make_window(UNKNOWN, int(start), 20)]
    if not (base["compliance_windows"] and is_the_only_zone):
        live = {**live, "compliance_windows": [*live["compliance_windows"], *unknown]}
        holds_the_laws(KIND, campaign_calls, base, KIND.canonical(live), desired)
        return
    found = merge(base, {**live, "compliance_windows": unknown}, desired, KIND)
    untouched = merge(
        base, {**live, "compliance_windows": base["compliance_windows"]}, desired, KIND
    )
    assert (found.store, found.held) == (untouched.store, untouched.held)
    assert found.unknown == ("compliance_windows",)


@settings(max_examples=60)
@given(skill_triples)
def test_calling_windows_in_an_unknown_zone_are_set_back_as_if_no_hand_had_moved_them(triple):
    base, live, desired = triple
    desired = {**desired, "calling_windows": base["calling_windows"]}
    unknown = [{"timezone": UNKNOWN, "start": "09:00", "end": "20:00"}]
    found = merge(base, {**live, "calling_windows": unknown}, desired, SKILL)
    untouched = merge(base, {**live, "calling_windows": base["calling_windows"]}, desired, SKILL)
    assert skill_calls(found.store) == skill_calls(untouched.store)
    assert found.held == untouched.held
    assert set(found.unknown) == {"calling_windows", *untouched.unknown}


@settings(max_examples=60)
@given(campaign_triples, st.booleans())
def test_a_plan_after_an_apply_over_an_unknown_zone_has_nothing_but_what_is_held(triple, is_mixed):
    base, live, desired = triple
    rest = live["compliance_windows"] if is_mixed else []
    live = KIND.canonical({**live, "compliance_windows": [*rest, make_window(UNKNOWN)]})
    converges(KIND, make_desired(body=desired), make_live(stored=live), Base(base))


@settings(max_examples=120)
@given(campaign_triples)
def test_a_plan_after_an_apply_of_campaigns_has_nothing_but_what_is_held(triple):
    base, live, desired = triple
    stored = converges(KIND, make_desired(body=desired), make_live(stored=live), Base(base))
    if desired == base and stored is not None:
        assert campaign_calls(stored) <= campaign_calls(live) & campaign_calls(desired)


@settings(max_examples=60)
@given(skill_triples)
def test_a_plan_after_an_apply_of_skills_has_nothing_but_what_is_held(triple):
    base, live, desired = triple
    wanted = make_skill_desired(**desired)
    converges(SKILL, wanted, make_live("4001", stored=live), Base(base))


def imports_only_hold(kind, calls, wanted, live, base, imports):
    """What imports found since never makes an apply widen; what any of them found was not changed by git, so a narrowing of it is kept."""
    seen = base.stopped[1] if base.stopped and live.stored is None else live.stored
    alone = calls(converges(kind, wanted, live, base))
    stored = calls(converges(kind, wanted, live, base._replace(imports=imports)))
    assert stored <= alone
    again = (*imports[:1], wanted.body, *imports[1:])
    stored = calls(converges(kind, wanted, live, base._replace(imports=again)))
    assert stored <= alone & calls(seen)


def past(bodies):
    """Return what was applied last: a schedule, its removal, or one that an emergency stop ended, having seen another one or none."""
    some = st.none() | bodies
    stops = st.tuples(some, some).map(lambda stopped: Base(None, stopped=stopped))
    return some.map(Base) | stops


@settings(max_examples=120)
@given(campaign_triples, past(campaigns()), st.booleans(), st.lists(by_hand, max_size=2))
def test_what_imports_found_of_a_campaign_never_widens_it(triple, other, is_missing, found):
    base, live, desired = triple
    wanted = make_desired(body=desired)
    for before in (Base(base), other):
        held = _holding(make_live(stored=live), None if is_missing else live)
        imports_only_hold(KIND, campaign_calls, wanted, held, before, tuple(found))


@settings(max_examples=60)
@given(skill_triples, st.lists(skills(some_days), max_size=2))
def test_what_imports_found_of_a_skill_never_widens_it(triple, found):
    base, live, desired = triple
    wanted, held = make_skill_desired(**desired), make_live("4001", stored=live)
    imports_only_hold(SKILL, skill_calls, wanted, held, Base(base), tuple(found))


def test_a_closed_day_becomes_a_minute_in_which_nobody_may_be_called():
    """The platform takes no closed day. A hand closed Sunday and opened Monday longer: Sunday stays silent, Monday is taken back."""
    base = make_skill_body()
    week = [row for row in base["run_window"] if row["day"] != "sunday"]
    week[0] = {**week[0], "end": "23:00"}
    found = merge(base, {**base, "run_window": week}, base, SKILL)
    assert found.held == ("run_window",)
    assert [row["day"] for row in found.store["run_window"]] == list(DAYS)
    assert skill_calls(found.store) == skill_calls({**base, "run_window": base["run_window"][:6]})


def test_a_skill_that_may_call_somebody_at_every_minute_is_silenced_to_close_a_day():
    zones = ("America/New_York", "Asia/Tokyo", "Europe/London")
    calls = [{"timezone": zone, "start": "00:00", "end": "23:59"} for zone in zones]
    base = make_skill_body(calling_windows=calls)
    week = base["run_window"][1:]
    week[0] = {**week[0], "end": "23:00"}
    found = merge(base, {**base, "run_window": week}, base, SKILL)
    assert found.store["calling_windows"] == []


def test_windows_past_midnight_leave_one_window_a_zone():
    base = make_skill_body(calling_windows=[_call("00:00", "20:00")])
    found = merge(base, {**base, "calling_windows": [_call("09:00", "02:00")]}, base, SKILL)
    assert found.store["calling_windows"] == [_call("09:00", "20:00")]
    assert found.held == ("calling_windows",)


def _call(start, end):
    return {"timezone": "America/New_York", "start": start, "end": end}


def test_a_field_that_git_removed_is_not_stored():
    base = {**make_body(), "label": "spring"}
    found = merge(base, base, make_body(), KIND)
    assert (found.store, found.meet) == (make_body(), base)


limits = st.sampled_from(["dial_rate", "max_concurrent_calls"])


@settings(max_examples=60)
@given(campaign_triples, limits, st.booleans())
def test_a_campaign_paused_with_a_limit_of_0_is_neither_written_nor_widened(triple, limit, is_old):
    """The contract wants limits above 0, so a 0 can be kept but not sent. A commit to that very field decides as always."""
    base, live, desired = triple
    desired = {**desired, limit: base[limit]}
    live = make_live(stored={**live, limit: 0}, active_id="older" if is_old else "s-1001")
    found = _plan(KIND, make_desired(body=desired), live, Base(base))
    assert {each.action for each in found.executable} <= {Action.REFRESH}
    (held,) = [each for each in found.operations if each.action is Action.HELD]
    assert f"`{limit}` ({_plain(base[limit])} → 0)" in held.blocked[0]
    assert "Keep it: leave it as it is." in held.blocked[0]
    commit = make_desired(body={**desired, limit: base[limit] + 1})
    assert limit not in str(
        [each.blocked for each in _plan(KIND, commit, live, Base(base)).operations]
    )


def _plain(value):
    return repr(value).removesuffix(".0")


@settings(max_examples=30)
@given(skill_triples)
def test_a_skill_paused_with_a_ratio_of_0_is_neither_written_nor_widened(triple):
    base, live, desired = triple
    desired = {**desired, "maximum_ratio": base["maximum_ratio"]}
    live = make_live("4001", stored={**live, "maximum_ratio": 0})
    found = _plan(SKILL, make_skill_desired(**desired), live, Base(base))
    assert {each.action for each in found.operations} == {Action.HELD}


@settings(max_examples=30)
@given(campaign_triples, limits)
def test_a_campaign_that_was_paused_before_an_emergency_stop_is_not_stored_again(triple, limit):
    base, live, desired = triple
    stopped = Base(None, stopped=(base, {**live, limit: 0}))
    silent = make_live(stored=None, stored_id=None, active_id=None)
    desired = {**desired, limit: base[limit]}
    found = _plan(KIND, make_desired(body=desired), silent, stopped)
    assert {each.action for each in found.operations} == {Action.HELD}


def test_a_skill_that_is_gone_is_not_advised_to_become_a_tombstone():
    """A manifest of a skill may not say `metadata.retired`."""
    gone = make_live("4001", stored=None, stored_id=None, active_id=None)
    desired = make_skill_desired()
    (held,) = _plan(SKILL, desired, gone, Base(desired.body)).operations
    assert "Keep it: delete the manifest." in held.blocked[0]
