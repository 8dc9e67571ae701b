"""The password of a proxy's user: from the environment alone, sent to the proxy alone, shown nowhere."""

from __future__ import annotations

import asyncio
import base64
import os
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli import run
from reconciler.client.lanes import Lanes, tcp
from reconciler.dialects.base import Credentials
from reconciler.dialects.calls import Call
from reconciler.errors import AccessError, UsageError
from reconciler.git import Git
from reconciler.settings import PROXY_PASSWORD, ClientOptions, Settings
from tests.client.test_lanes import Server, ok
from tests.support.gitfakes import repository

URL = "https://acme.cxonecloud.com"
CANARY = "c0ffee"
ENVIRON = {"CXONE_TENANT_URL": URL, "CXONE_CLIENT_ID": "client-1", "CXONE_CLIENT_SECRET": "s" * 8}


def read(proxy: str | None, password: str, url: str = URL) -> Settings:
    environ = ENVIRON | {PROXY_PASSWORD: password, "CXONE_TENANT_URL": url}
    return Settings.read(environ, "acme", url, options=ClientOptions(proxy=proxy))


@pytest.mark.parametrize("login", [f"me:{CANARY}", f":{CANARY}", "me:", f"me:{CANARY}@{CANARY}"])
def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    login: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{login}@proxy.example:3128"
    with pytest.raises(UsageError) as caught:
        ClientOptions(proxy=url)
    assert f"set {PROXY_PASSWORD}" in str(caught.value)
    assert run(["plan", "schedules/sandbox", "--proxy", url]) == UsageError.exit_code
    said = "".join(capsys.readouterr()) + str(caught.value)
    assert PROXY_PASSWORD in said
    assert CANARY not in said


@pytest.mark.parametrize("password", ["plain", "p@ss:w/rd %41?#[]", "käse"])
def test_the_proxy_gets_user_and_password(password: str) -> None:
    proxy, url = Server(ok()), "http://127.0.0.1:1"

    async def main() -> None:
        async with proxy.running():
            settings = read(proxy.url.replace("://", "://me@"), password, url)
            lanes = Lanes(url, Credentials("a", "b" * 8), tcp(settings))
            await lanes.attempt(Call("GET", "/x"), None, limit_s=5)
            await lanes.close()

    asyncio.run(main())
    login = base64.b64encode(f"me:{password}".encode())
    assert b"Proxy-Authorization: Basic " + login in proxy.requests[0]
    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:1/x HTTP/1.1")


@given(
    st.text(min_size=1, max_size=20).filter(
        lambda text: text.isprintable() and text.strip() == text
    )
)
def test_whatever_the_password_is_the_host_stays_the_one_that_was_named(password: str) -> None:
    import httpx  # noqa: PLC0415 - what reads the URL

    url = httpx.URL(read("http://me@proxy.example:3128", password).proxy or "")
    assert (url.host, url.port, url.username) == ("proxy.example", 3128, "me")
    assert url.password == password


def test_without_a_password_a_user_or_a_proxy_nothing_is_added() -> None:
    assert read("http://me@proxy.example", "").proxy == "http://me@proxy.example"
    assert read("http://proxy.example", "").proxy == "http://proxy.example"
    assert read(None, CANARY).proxy is None


def test_a_password_for_a_proxy_without_a_user_is_refused_and_no_frame_shows_it() -> None:
    with pytest.raises(
        AccessError, match=f"{PROXY_PASSWORD} is set and --proxy names no user"
    ) as caught:
        read("http://proxy.example", CANARY)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert CANARY not in "".join(shown).partition("reconciler/settings.py")[2]


@pytest.mark.parametrize("bad", [f"{CANARY}\n", f" {CANARY}", f"{CANARY}\udcff"])
def test_white_space_and_hidden_characters_around_it_are_named(bad: str) -> None:
    with pytest.raises(AccessError, match=f"{PROXY_PASSWORD}: white space at an end") as caught:
        read("http://me@proxy.example", bad)
    assert CANARY not in str(caught.value)


def test_no_repr_shows_it() -> None:
    settings = read("http://me@proxy.example", CANARY)
    assert CANARY not in repr(settings) + str(settings) + repr(settings.options)


def test_git_and_what_it_starts_do_not_get_it(tmp_path) -> None:
    environ = {"PATH": os.environ["PATH"], PROXY_PASSWORD: CANARY}
    assert CANARY not in str(Git(repository(tmp_path).root, environ=environ)._environment)
