"""Real sockets on loopback: what a reset, a cut, a proxy and an idle connection are made of."""

import asyncio
import contextlib
import gzip
import ssl

import certifi
import httpx
import pytest

from reconciler.client.lanes import KEEP_ALIVE_S, Lanes, Lost, tcp
from reconciler.dialects.base import Credentials
from reconciler.dialects.calls import Call, Reply
from reconciler.errors import TenantLocked, UsageError
from reconciler.settings import ClientOptions, Settings

CREDENTIALS = Credentials("client-1", "canary-c0ffee-secret")
READ = Call("GET", "/x")
WRITE = Call("POST", "/x", json={})
HEAD = (
    b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nDate: Mon, 01 Mar 2027 12:00:00 GMT\r\n"
)


def ok(body=b'{"fine":true}', status=200, extra=b""):
    return HEAD % status + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Server:
    """Answers each request with the next bytes; `None` hangs, and `close` in the script closes the connection."""

    def __init__(self, *script):
        self.script = list(script)
        self.connections = 0
        self.requests = []
        self.asked = asyncio.Event()
        self._tasks = []

    async def _serve(self, reader, writer):
        self.connections += 1
        self._tasks.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.script:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.script.pop(0)
                if not self.script:
                    self.asked.set()
                if answer is None:
                    await reader.read()
                    break
                writer.write(answer)
                await writer.drain()
                if not answer.startswith(b"HTTP/") or b"broken" in answer:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self
        await asyncio.gather(*self._tasks)


def settings(url, **options):
    return Settings("acme", url, CREDENTIALS, options=ClientOptions(**options))


@contextlib.asynccontextmanager
async def lanes_to(server, url=None, **options):
    url = url or server.url
    lanes = Lanes(url, CREDENTIALS, tcp(settings(url, **options)))
    try:
        yield lanes
    finally:
        await lanes.close()


def attempts(server, *calls, limit_s=5.0, url=None):
    async def main():
        async with server.running(), lanes_to(server, url) as lanes:
            return [await lanes.attempt(call, None, limit_s=limit_s) for call in calls]

    return asyncio.run(main())


def test_a_lane_is_one_connection_and_is_used_again():
    server = Server(ok(), ok(), ok())
    replies = attempts(server, READ, READ, READ)
    assert [reply.json for reply in replies] == [{"fine": True}] * 3
    assert server.connections == 1


@pytest.mark.parametrize("is_reused", [False, True])
def test_a_write_that_is_no_longer_allowed_when_it_is_connected_is_not_sent(is_reused):
    """A connection can take seconds to open: the lock may be another run's by then."""

    async def refuse():
        raise TenantLocked("lost")

    async def main():
        async with server.running(), lanes_to(server) as lanes:
            if is_reused:
                await lanes.attempt(READ, None, limit_s=5)
            with pytest.raises(TenantLocked):
                await lanes.attempt(WRITE, None, limit_s=5, allow=refuse)
            return await lanes.attempt(READ, None, limit_s=5)

    server = Server(*[ok()] * 2)
    assert isinstance(asyncio.run(main()), Reply)
    assert [request.split()[0] for request in server.requests] == [b"GET"] * (1 + is_reused)


def test_lanes_are_opened_as_they_are_needed():
    async def main():
        async with server.running(), lanes_to(server) as lanes:
            return await asyncio.gather(*(lanes.attempt(READ, None, limit_s=5) for _ in range(3)))

    server = Server(ok(), ok(), ok())
    assert all(isinstance(reply, Reply) for reply in asyncio.run(main()))
    assert server.connections == 3


def test_after_a_lost_answer_another_connection_is_used():
    server = Server(b"", ok())
    lost, reply = attempts(server, READ, READ)
    assert lost == Lost("the answer broke off, or is not HTTP")
    assert reply.status == 200
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SMTP ready\r\n",
        HEAD % 200 + b"Content-Length: 99\r\n\r\nbroken",
        HEAD % 200 + b"Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\nbroken",
        HEAD % 200 + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nbroken",
    ],
)
def test_an_answer_that_breaks_off_or_is_no_http_is_lost(answer):
    assert attempts(Server(answer), READ) == [Lost("the answer broke off, or is not HTTP")]


def test_a_server_that_hangs_is_lost_in_time_and_may_have_got_it():
    assert attempts(Server(None), READ, limit_s=0.05) == [Lost("no answer in time")]


def test_a_port_where_nobody_listens_got_nothing():
    async def main():
        async with Server().running() as server:
            url = server.url
        async with lanes_to(server, url) as lanes:
            return await lanes.attempt(READ, None, limit_s=5)

    assert asyncio.run(main()) == Lost("no connection", sent=False)


def test_a_cancelled_attempt_leaves_no_connection_behind():
    async def main():
        async with server.running(), lanes_to(server) as lanes:
            task = asyncio.create_task(lanes.attempt(READ, None, limit_s=5))
            await server.asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return lanes._idle

    server = Server(None)
    assert asyncio.run(main()) == []


@pytest.mark.parametrize("trouble", [httpx.ReadError(""), OSError(), ValueError()], ids=repr)
def test_a_lane_that_brought_no_whole_answer_is_closed(trouble):
    class Broken(httpx.AsyncBaseTransport):
        closed = False

        async def handle_async_request(self, _):
            raise trouble

        async def aclose(self):
            self.closed = True

    lane = Broken()
    lanes = Lanes("http://127.0.0.1", CREDENTIALS, lambda: lane)
    with contextlib.suppress(ValueError):
        asyncio.run(lanes.attempt(READ, None, limit_s=5))
    assert lane.closed
    assert lanes._idle == []


def test_a_packed_answer_is_unpacked():
    body = gzip.compress(b'{"packed":1}')
    (reply,) = attempts(Server(ok(body, extra=b"Content-Encoding: gzip\r\n")), READ)
    assert reply.json == {"packed": 1}


def test_a_bomb_is_cut_off():
    body = gzip.compress(b" " * (65 << 20))
    assert len(body) < 100_000
    (lost,) = attempts(Server(ok(body, extra=b"Content-Encoding: gzip\r\n")), READ)
    assert lost == Lost("the answer is larger than 64 MiB", again=False, status=200)


def test_proxies_of_the_environment_are_ignored(monkeypatch):
    async def main():
        async with proxy.running():
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            async with server.running(), lanes_to(server) as lanes:
                return await lanes.attempt(READ, None, limit_s=5)

    proxy, server = Server(), Server(ok())
    assert asyncio.run(main()).status == 200
    assert proxy.connections == 0


def test_an_explicit_proxy_is_used():
    async def main():
        async with proxy.running(), lanes_to(proxy, "http://127.0.0.1:1", proxy=proxy.url) as lanes:
            return await lanes.attempt(READ, None, limit_s=5)

    proxy = Server(ok())
    assert asyncio.run(main()).status == 200
    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:1/x HTTP/1.1")


def test_a_proxy_that_refuses_a_tunnel_lets_nothing_through():
    async def main():
        url = "https://acme.example"
        async with proxy.running(), lanes_to(proxy, url, proxy=proxy.url) as lanes:
            return await lanes.attempt(READ, None, limit_s=5)

    proxy = Server(ok(status=407))
    assert asyncio.run(main()) == Lost("the proxy refused the connection", sent=False)


def context(url, **options):
    return tcp(settings(url, **options)).keywords["verify"]


@pytest.mark.parametrize("url", ["https://acme.example", "http://127.0.0.1:1"])
@pytest.mark.parametrize(
    "options", [{}, {"ca_bundle": certifi.where()}, {"proxy": "https://proxy.example"}]
)
def test_certificates_and_host_names_are_always_checked(url, options):
    found = context(url, **options)
    assert found.verify_mode is ssl.CERT_REQUIRED
    assert found.check_hostname


def test_the_authorities_of_the_environment_are_ignored(monkeypatch, tmp_path):
    nothing = tmp_path / "empty.pem"
    nothing.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(nothing))
    assert len(context("https://acme.example").get_ca_certs()) > 10


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_bundle_that_cannot_be_used_is_a_usage_error(tmp_path, content):
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(UsageError, match=r"^--ca-bundle .*bundle\.pem is not a readable PEM file"):
        context("https://acme.example", ca_bundle=str(bundle))


def test_a_lane_forgets_an_idle_connection_before_the_server_does():
    transport = tcp(settings("http://127.0.0.1:1"))()
    assert isinstance(transport, httpx.AsyncHTTPTransport)
    assert transport._pool._keepalive_expiry == KEEP_ALIVE_S < 5
    assert transport._pool._max_connections == 1
