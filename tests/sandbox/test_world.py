"""Laws of the world: keys, schedules and the dialer, against a model that fits on a page; its clock; its tokens."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reconciler import sandbox
from reconciler.sandbox import tokens
from reconciler.sandbox.clock import Reading, http_date, iso, parse_instant
from reconciler.sandbox.errors import Refusal
from reconciler.sandbox.writes import Conditions, make_ticket
from tests.support.bodies import make_body

CLOCK = datetime(2027, 3, 1, 12, tzinfo=UTC)
DELAY_MS = 250
DAY_MS = 24 * 3600 * 1000
CAMPAIGNS = st.sampled_from(["1", "2"])


def schedule(campaign, rate):
    return make_body(campaign_id=campaign, dial_rate=rate, compliance_windows=[])


class Platform(RuleBasedStateMachine):
    """Whatever clients do, in whatever order, the world does what the model does."""

    @initialize()
    def start(self):
        self.ticker = sandbox.Ticker()
        self.world = sandbox.CampaignState.open(clock=CLOCK, monotonic=self.ticker)
        self.now = 0
        self.made = 0
        self.stored = {"1": None, "2": None}
        self.active = {"1": None, "2": None}
        self.due = []
        self.keys = {}
        for campaign in self.stored:
            self.world.put_campaign(campaign)

    def teardown(self):
        if hasattr(self, "world"):
            self.world.close()

    @rule(ms=st.sampled_from([1, 100, 249, 250, 251, 5000, DAY_MS - 1, DAY_MS]))
    def wait(self, ms):
        self.ticker.advance(ms / 1000)
        self.now += ms
        for at, campaign in [due for due in self.due if due[0] <= self.now]:
            self.due.remove((at, campaign))
            self.active[campaign] = self.stored[campaign]

    @rule(
        campaign=CAMPAIGNS,
        key=st.sampled_from("abc"),
        rate=st.sampled_from([1, 2]),
        fresh=st.booleans(),
        known=st.booleans(),
    )
    def store(self, campaign, key, rate, fresh, known):
        raw = json.dumps(schedule(campaign, rate)).encode()
        self.write(campaign, "POST", key, raw, fresh=fresh, known=known)

    @rule(campaign=CAMPAIGNS, key=st.sampled_from("abc"), known=st.booleans())
    def remove(self, campaign, key, known):
        self.write(campaign, "DELETE", key, None, fresh=False, known=known)

    @rule(campaign=CAMPAIGNS)
    def refresh(self, campaign):
        self.world.refresh(campaign, "sandbox")
        if self.active[campaign] != self.stored[campaign]:
            self.due.append((self.now + DELAY_MS, campaign))

    def write(self, campaign, method, key, raw, *, fresh, known):
        stored = self.stored[campaign]
        conditions = Conditions(f'"{stored}"' if known else '"another"', "*" if fresh else None)
        ticket = make_ticket("sandbox", method, f"/{campaign}", key, raw or b"")
        expected = self.model(campaign, method, key, raw, fresh=fresh, known=known)
        try:
            done = self.world.write_schedule(
                campaign, raw, client="sandbox", ticket=ticket, conditions=conditions
            )
            got = done.status, json.loads(done.body)["id"] if done.body else None
        except Refusal as refusal:
            got = refusal.status, None
        assert got == expected

    def model(self, campaign, method, key, raw, *, fresh, known):
        kept = self.keys.get((method, campaign, key))
        if kept and kept[0] > self.now - DAY_MS:
            return kept[2] if kept[1] == raw else (422, None)
        stored = self.stored[campaign]
        if raw is None and stored is None:
            return 404, None
        if (fresh and stored is not None) or not known or stored is None:
            return 412, None
        self.made += raw is not None
        self.stored[campaign] = f"sch-{self.made:06d}" if raw is not None else None
        answer = (201, self.stored[campaign]) if raw is not None else (204, None)
        self.keys[method, campaign, key] = self.now, raw, answer
        return answer

    @rule(campaign=CAMPAIGNS)
    def store_by_hand(self, campaign):
        self.world.put_campaign(campaign, schedule=schedule(campaign, 3), active=False)
        self.made += 1
        self.stored[campaign] = f"sch-{self.made:06d}"

    @invariant()
    def the_world_is_what_the_model_is(self):
        if not hasattr(self, "world"):
            return
        rows = {row["id"]: row for row in self.world.campaign_page(1, 10)[0]}
        assert {k: r["schedule_id"] for k, r in rows.items()} == self.stored
        assert {k: r["active_id"] for k, r in rows.items()} == self.active
        assert self.world.now == CLOCK + timedelta(milliseconds=self.now)
        assert len({e.schedule_id for e in self.world.journal(action="STORED")}) == self.made

    @invariant()
    def what_dials_only_changes_by_activation(self):
        if hasattr(self, "world"):
            for campaign, active in self.active.items():
                history = self.world.journal(campaign, "ACTIVATED")
                assert (history[-1].schedule_id if history else None) == active


Platform.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestPlatform = Platform.TestCase


# -- the clock


def test_a_world_without_a_pin_lives_in_the_time_it_is_given():
    instant = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    world = sandbox.CampaignState.open(now=lambda: instant)
    assert world.now == instant
    world.pin("2027-01-01T00:00:00Z")
    assert world.now.year == 2027
    world.pin("system")
    assert world.now == instant
    world.close()


def test_a_pinned_clock_never_goes_back(ticker, world):
    ticker.advance(60)
    assert world.now == CLOCK + timedelta(seconds=60)
    world.pin(CLOCK)
    assert world.now == CLOCK + timedelta(seconds=60)
    world.pin("2027-03-02T00:00:00Z")
    assert world.now == datetime(2027, 3, 2, tzinfo=UTC)


def test_a_clock_that_is_no_instant_is_refused():
    with pytest.raises(sandbox.SandboxError, match="must be ISO 8601"):
        sandbox.CampaignState.open(clock="tomorrow")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5000)), max_size=20))
def test_processes_with_their_own_time_share_one_clock_that_never_goes_back(
    tmp_path_factory, steps
):
    path = tmp_path_factory.mktemp("clock") / "state.db"
    tickers = [sandbox.Ticker() for _ in range(3)]
    worlds = [sandbox.CampaignState.open(path, clock=CLOCK, monotonic=t) for t in tickers]
    worlds[0].put_campaign("1")
    shown, stamped = [], []
    for who, ms in steps:
        tickers[who].advance(ms / 1000)
        shown.append(worlds[who].now.replace(microsecond=0))
        worlds[who].put_campaign("1", schedule=schedule("1", 1))
        stamped.append(json.loads(worlds[who].campaign("1")["schedule"])["updated_at"])
    assert shown == sorted(shown)
    assert stamped == sorted(stamped)
    for world in worlds:
        world.close()


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 3000)), max_size=20))
def test_a_reading_is_never_below_the_mark(steps):
    ticker = sandbox.Ticker()
    reading = Reading(ticker, lambda: CLOCK)
    mark = last = 0
    for pause, ahead in steps:
        ticker.advance(pause / 1000)
        mark += ahead
        read = reading.read(mark)
        assert read >= mark
        assert read >= last
        last = mark = read


def test_instants_are_written_one_way():
    assert iso(1_803_902_400_250) == "2027-03-01T12:00:00.250Z"
    assert http_date(1_803_902_400_250) == "Mon, 01 Mar 2027 12:00:00 GMT"
    assert parse_instant("2027-03-01T12:00+00:30") == datetime(2027, 3, 1, 11, 30, tzinfo=UTC)


# -- tokens


def test_a_token_is_signed_as_the_rfc_says():
    """Golden: RFC 7519's HS256 over this head and these claims, checked with OpenSSL."""
    assert tokens.sign({"sub": "sandbox", "exp": 1}, b"key") == (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjEsInN1YiI6InNhbmRib3gifQ.gc1EZntW96yHQBtkAoRwYTs6Dh86ln2kiiYK7CpSUfI"
    )


@given(
    st.dictionaries(st.text(), st.text() | st.integers()),
    st.binary(min_size=1),
    st.binary(min_size=1),
)
def test_a_token_reads_back_with_its_key_alone(claims, key, other):
    token = tokens.sign(claims, key)
    assert tokens.verify(token, key) == claims
    if key.rstrip(b"\0") != other.rstrip(b"\0"):  # HMAC pads a key with zeros
        assert tokens.verify(token, other) is None


@given(st.text(), st.data())
def test_a_token_that_was_touched_is_no_token(text, data):
    assert tokens.verify(text, b"key") is None
    token = tokens.sign({"sub": "sandbox"}, b"key")
    at = data.draw(st.integers(0, len(token) - 1))
    touched = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    assert tokens.verify(touched, b"key") is None


# -- clients and settings


def test_a_rotated_secret_is_the_only_one_that_counts(world):
    world.put_client("sandbox", "new")
    with pytest.raises(Refusal, match="invalid_client"):
        world.issue("sandbox", "sandbox-secret")
    assert world.issue("sandbox", "new").client == "sandbox"


def test_a_client_can_lack_any_one_scope(world):
    full = set(sandbox.credentials(world).scopes)
    for scope in full:
        login = sandbox.credentials(world, without=scope)
        assert set(login.scopes) == full - {scope}
        assert login.client_secret not in repr(login)
    assert "campaigns:write" not in sandbox.credentials(world, "read-only").scopes
    with pytest.raises(sandbox.SandboxError, match="no client sandbox-without-x"):
        sandbox.credentials(world, without="x")


def test_settings_hold_for_everybody_who_uses_the_state(tmp_path):
    first, second = (sandbox.CampaignState.open(tmp_path / "s.db") for _ in range(2))
    first.configure(activation_s=0.9)
    assert second.settings == sandbox.Settings(activation_s=0.9)
    first.close()
    second.close()


def test_a_transaction_that_fails_leaves_nothing(world, body):
    def two_of_three():
        yield "9", "Nine", body
        raise RuntimeError

    with pytest.raises(RuntimeError):
        world.put_campaigns(two_of_three())
    with pytest.raises(TypeError):
        world.put_campaign("9", schedule={"dial_rate": object()})
    assert world.campaign_page(1, 9)[1] == 2


def test_a_reset_empties_the_world_and_keeps_its_clients_and_clock(world, ticker, body):
    world.put_campaign("1001", schedule=body)
    ticker.advance(5)
    before = world.now
    world.reset()
    assert world.empty
    assert world.journal() == world.events() == []
    assert world.now == before
    assert world.issue("sandbox", "sandbox-secret").client == "sandbox"
