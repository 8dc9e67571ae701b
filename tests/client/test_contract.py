"""Each row of the API's error list, from the embedded platform, in process and over loopback."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from reconciler import sandbox
from reconciler.client import Client, embedded
from reconciler.dialects.base import Credentials
from reconciler.dialects.calls import Call
from reconciler.dialects.campaigns import api as campaigns
from reconciler.errors import (
    AccessError,
    ApiError,
    IncompleteList,
    NotFinished,
    ReconcileError,
    Unavailable,
    UncertainWrite,
)
from reconciler.kinds.live import Live
from reconciler.settings import EMBEDDED, ClientOptions, Settings
from reconciler.world import here
from tests.support.bodies import make_body

BODY = make_body(start_time="2027-03-08T14:00:00Z", end_time="2027-03-20T00:00:00Z", dial_rate=2.5)
POST = "POST /api/campaigns/1001/schedule"
READ = "GET /api/dialer/settings"


class Front:
    """The world behind one of its doors, and clients to it on the world's clock."""

    def __init__(
        self, world: sandbox.CampaignState, ticker: sandbox.Ticker, url: str, app: Any
    ) -> None:
        self.world, self.ticker, self.url, self.app = world, ticker, url, app

    def client(self, login: Any = None, scope: str | None = None, **options: Any) -> Client:
        login = login or sandbox.credentials(self.world)
        credentials = Credentials(login.client_id, login.client_secret, scope)
        wanted = ClientOptions(**{"requests_per_second": 500.0, **options})
        settings = Settings("sandbox", self.url, credentials, options=wanted)
        return Client(
            campaigns,
            settings,
            here(print)._replace(sleep=self.ticker.sleep, monotonic=self.ticker),
            transport_factory=embedded(self.app) if settings.in_process else None,
        )

    def run(self, *exchanges: Any, **client: Any) -> list[Any]:
        """Run exchanges one after the other with one client."""

        async def main() -> list[Any]:
            async with self.client(**client) as made:
                return [await made.run(exchange) for exchange in exchanges]

        return asyncio.run(main())

    def failure(self, exchange: Any, **client: Any) -> ReconcileError:
        with pytest.raises(ReconcileError) as caught:
            self.run(exchange, **client)
        return caught.value


@pytest.fixture(params=["in process", "loopback"])
def front(request: pytest.FixtureRequest) -> Iterator[Front]:
    ticker = sandbox.Ticker()
    world = sandbox.CampaignState.open(clock="2027-03-01T12:00:00Z", monotonic=ticker)
    world.configure(requests_per_second=0)
    world.put_campaign("1001", "Spring Renewals")
    world.put_list("dnc-1", "Suppression", campaign_ids=["1001"])
    app = sandbox.create_app(world, sleep=ticker.sleep)
    if request.param == "in process":
        yield Front(world, ticker, EMBEDDED, app)
    else:
        with sandbox.loopback(app) as url:
            yield Front(world, ticker, url, app)
    world.close()


def write(body: Any = BODY, key: str = "k-1", live: Live | None = None) -> Any:
    return campaigns.write("1001", body, token=key, live=live or Live("1001", "Spring Renewals"))


def send(call: Call) -> Any:
    return (yield (call,))[0]


# --- what a repeatable call survives ----------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        f"401:{READ}",
        f"429:{READ}",
        f"429:{READ}:after=date",
        f"429:{READ}:after=none",
        f"429:{READ}:after=garbage",
        f"500:{READ}",
        f"503:{READ}",
        f"500-after:{READ}",
        f"reset-before:{READ}",
        f"reset-after:{READ}",
        f"truncated:{READ}",
        "429:POST /api/oauth2/token",
        "503:POST /api/oauth2/token",
        "reset-after:POST /api/oauth2/token",
    ],
)
def test_a_read_goes_on_after_one_of(front, fault):
    options = "," if fault.count(":") > 1 else ":"
    front.world.faults.add(f"{fault}{options}times=1")
    (snapshot,) = front.run(campaigns.read())
    assert set(snapshot.objects) == {"1001"}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (f"401:{READ}", AccessError),
        (f"403:{READ}", AccessError),
        (f"400:{READ}", ApiError),
        (f"404:{READ}", ApiError),
        (f"409:{READ}", ApiError),
        (f"412:{READ}", ApiError),
        (f"422:{READ}", ApiError),
        (f"garbage:{READ}", ApiError),
        (f"429:{READ}", NotFinished),
        (f"500:{READ}", Unavailable),
        (f"503:{READ}", Unavailable),
        (f"reset-before:{READ}", Unavailable),
        (f"truncated:{READ}", Unavailable),
        ("401:POST /api/oauth2/token", AccessError),
        ("garbage:POST /api/oauth2/token", ApiError),
        ("short-page:GET /api/campaigns", IncompleteList),
        ("wrong-total:GET /api/dnc/lists", IncompleteList),
    ],
)
def test_a_read_that_meets_it_every_time_ends_with_its_name(front, fault, kind):
    front.world.faults.add(fault)
    began = front.ticker()
    error = front.failure(campaigns.read(), deadline_s=600)
    assert type(error) is kind, error
    assert front.ticker() - began <= 600


# --- what a write survives ----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["401", "429", "429:{}:after=date"])
def test_a_write_that_was_not_executed_is_sent_again(front, fault):
    fault = fault.format(POST) + "," if "{" in fault else f"{fault}:{POST}:"
    front.world.faults.add(f"{fault}times=1")
    (stored,) = front.run(write())
    assert stored.id is not None
    assert front.world.executed("1001") == 1


@pytest.mark.parametrize(
    ("fault", "kind", "executed"),
    [
        ("400", ApiError, 0),
        ("403", AccessError, 0),
        ("404", ApiError, 0),
        ("409", UncertainWrite, 0),
        ("412", ApiError, 0),
        ("422", ApiError, 0),
        ("500", UncertainWrite, 0),
        ("503", UncertainWrite, 0),
        ("reset-before", UncertainWrite, 0),
        ("reset-after", UncertainWrite, 1),
        ("500-after", UncertainWrite, 1),
        ("500-stored", UncertainWrite, 0),
        ("truncated", UncertainWrite, 1),
        ("garbage", UncertainWrite, 1),
    ],
)
def test_a_write_is_never_sent_twice(front, fault, kind, executed):
    front.world.faults.add(f"{fault}:{POST}:times=1")
    assert type(front.failure(write())) is kind
    assert front.world.executed("1001") == executed


def test_a_body_that_the_platform_refuses_shows_each_field(front):
    error = front.failure(write({**BODY, "dial_rate": 101, "max_concurrent_calls": 0}))
    assert type(error) is ApiError
    assert error.status == 400
    assert sorted(reason.partition(":")[0] for reason in error.reasons) == [
        "dial_rate",
        "max_concurrent_calls",
    ]


def test_a_condition_that_no_longer_holds_is_a_412(front):
    front.run(write())
    error = front.failure(write(key="k-2"))
    assert (type(error), error.status) == (ApiError, 412)


def test_a_key_with_another_body_is_a_422(front):
    front.run(write())
    error = front.failure(write({**BODY, "dial_rate": 3.0}))
    assert (type(error), error.status) == (ApiError, 422)


# --- who may ------------------------------------------------------------------------------------------


def test_a_missing_scope_is_named(front):
    login = sandbox.credentials(front.world, without="dnc:read")
    error = front.failure(campaigns.read(), login=login)
    assert type(error) is AccessError
    assert "GET /api/dnc/lists" in str(error)
    assert "the scope dnc:read" in str(error)


def test_a_scope_that_is_not_granted_is_named(front):
    error = front.failure(campaigns.read(), scope="campaigns:read no:such")
    assert type(error) is AccessError
    assert "CXONE_SCOPE" in str(error)


def test_only_the_scopes_asked_for_are_used(front):
    error = front.failure(campaigns.read(), scope="campaigns:read dialer:read")
    assert "the scope dnc:read" in str(error)


def test_a_rotated_secret_is_named(front):
    login = Credentials(sandbox.credentials(front.world).client_id, "rotated")
    error = front.failure(campaigns.read(), login=login)
    assert type(error) is AccessError
    assert "put the current secret into CXONE_CLIENT_SECRET" in str(error)


def test_a_token_lives_as_long_as_the_platform_says(front):
    async def main() -> None:
        async with front.client(deadline_s=1e5) as client:
            for _ in range(4):
                await client.run(campaigns.read())
                front.ticker.advance(1765)

    asyncio.run(main())


def test_a_url_that_is_no_platform_is_named(front):
    async def other(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    front.url, front.app = EMBEDDED, other
    assert "check the host in CXONE_TENANT_URL" in str(front.failure(campaigns.read()))


def test_a_platform_that_is_down_is_unavailable(front):
    with sandbox.loopback(front.app) as url:
        front.url = url
    began = front.ticker()
    error = front.failure(campaigns.read())
    assert type(error) is Unavailable
    assert "(last: no connection)" in str(error)
    assert front.ticker() - began <= 60


# --- pace ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "burst"), [(5, 1), (50, 5)])
def test_a_platform_with_the_configured_limit_refuses_nothing(front, rate, burst):
    front.world.configure(requests_per_second=rate, burst=burst)
    began = front.ticker()
    statuses = []

    class Watched(httpx.AsyncBaseTransport):
        def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
            self.inner = inner

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await self.inner.handle_async_request(request)
            statuses.append(answer.status_code)
            return answer

        async def aclose(self) -> None:
            await self.inner.aclose()

    client = front.client(requests_per_second=float(rate))
    inner = client._lanes._open
    client._lanes._open = lambda: Watched(inner())

    async def main() -> None:
        async with client:
            for _ in range(60):
                await client.run(send(Call("GET", "/api/dialer/settings")))

    asyncio.run(main())
    assert statuses == [200] * 61
    assert front.ticker() - began <= 1.05 * 61 / rate
