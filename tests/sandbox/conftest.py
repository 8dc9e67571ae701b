"""One world by hand-moved clock, and two doors to it: in process, and over a socket."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from reconciler import sandbox
from tests.support.bodies import make_body

CLOCK = "2027-03-01T12:00:00Z"


class Door:
    """A client without manners: it sends what it is told, and shows what comes back."""

    def __init__(
        self, world: sandbox.CampaignState, send: Callable[[httpx.Request], httpx.Response]
    ) -> None:
        self.world = world
        self._send = send
        self.token = self.login()

    def login(self, client: str = "sandbox", **more: str) -> str:
        """Ask for a token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": f"{client}-secret",
        }
        answer = self.raw("POST", "/api/oauth2/token", data=form | more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def raw(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """Send exactly this."""
        answer = self._send(httpx.Request(method, f"http://sandbox{path}", **rest))
        assert "Date" in answer.headers
        return answer

    def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **rest: Any
    ) -> httpx.Response:
        """Send with a token and `Accept`."""
        usual = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        return self.raw(method, path, headers=usual | (headers or {}), **rest)

    def post(
        self, body: Any, key: str = "k-1", campaign: str = "1001", **headers: str
    ) -> httpx.Response:
        """Store a schedule."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/api/campaigns/{campaign}/schedule"
        return self.call("POST", path, json=body, headers={"Idempotency-Key": key} | names)

    def delete(self, key: str = "d-1", campaign: str = "1001", **headers: str) -> httpx.Response:
        """Remove a schedule."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/api/campaigns/{campaign}/schedule"
        return self.call("DELETE", path, headers={"Idempotency-Key": key} | names)

    def refresh(self, campaign: str = "1001") -> httpx.Response:
        """Have the dialer take it."""
        return self.call("PUT", f"/api/campaigns/{campaign}/actions/refresh")

    def dialer(self, campaign: str = "1001") -> dict[str, Any]:
        """Read what is active."""
        return dict(self.call("GET", f"/api/campaigns/{campaign}").json()["dialer"])


class Switch:
    """An app in front of the app of the test that runs now, so that one server serves them all."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.fixture
def ticker() -> sandbox.Ticker:
    """The hand that moves the clock."""
    return sandbox.Ticker()


@pytest.fixture
def world(ticker: sandbox.Ticker) -> Iterator[sandbox.CampaignState]:
    """Two campaigns without schedules, and a list linked to the first."""
    made = sandbox.CampaignState.open(clock=CLOCK, monotonic=ticker)
    made.configure(requests_per_second=0)
    made.put_campaign("1001", "Spring Renewals")
    made.put_campaign("1002", "Second", status="STOPPED")
    made.put_list("dnc-1", "Suppression", campaign_ids=["1001"])
    yield made
    made.close()


@pytest.fixture
def app(world: sandbox.CampaignState, ticker: sandbox.Ticker) -> Any:
    """The app over the world, on the same clock."""
    return sandbox.create_app(world, sleep=ticker.sleep, drop=lambda: httpx.ReadError("dropped"))


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Switch, httpx.Client]]:
    """One socket for all the worlds of a module."""
    switch = Switch()
    with sandbox.loopback(switch) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield switch, client


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all the worlds of a module."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(params=["in process", "loopback"])
def door(
    request: pytest.FixtureRequest,
    world: sandbox.CampaignState,
    app: Any,
    server: Any,
    runner: asyncio.Runner,
) -> Door:
    """The same world behind either door."""
    if request.param == "loopback":
        return Door(world, _over(server, app))
    return Door(world, _inside(runner, app))


def _over(
    server: tuple[Switch, httpx.Client], app: Any
) -> Callable[[httpx.Request], httpx.Response]:
    switch, client = server
    switch.app = app

    def send(request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host=client.base_url.host, port=client.base_url.port)
        request.headers["Host"] = request.url.netloc.decode()
        return client.send(request)

    return send


def _inside(runner: asyncio.Runner, app: Any) -> Callable[[httpx.Request], httpx.Response]:
    transport = httpx.ASGITransport(app)

    async def ask(request: httpx.Request) -> httpx.Response:
        answer = await transport.handle_async_request(request)
        await answer.aread()
        return answer

    return lambda request: runner.run(ask(request))


@pytest.fixture
def body() -> dict[str, Any]:
    """A schedule that the platform takes."""
    return make_body(
        start_time="2027-03-08T09:00:00-05:00",
        end_time="2027-03-19T20:00:00-04:00",
        dial_rate=2.5,
        max_concurrent_calls=240,
    )
