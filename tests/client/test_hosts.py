"""No answer, and no pull request, leads a token to a host that nobody allowed."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.client.hosts import target
from reconciler.dialects.base import Credentials, Token
from reconciler.dialects.calls import Call
from reconciler.dialects.personal_connection import api as pc
from reconciler.errors import AccessError
from reconciler.settings import Settings
from tests.support.skills import platform

URL = "https://na1.nice-incontact.com"
API = "https://acme.example:8443"
SETTINGS = Settings("acme", URL, Credentials("id", "secret"), api_url=API)


def leads(base, settings=SETTINGS):
    token = Token("t", 60.0, base=base)
    return target(Call("GET", "/skills"), token, settings, pc.HOSTS)


@pytest.mark.parametrize(
    "base",
    [
        f"{URL}/inContactAPI/services/v33.0",
        "https://api-na1.niceincontact.com/inContactAPI/services/v33.0",
        "https://niceincontact.com",
        f"{API}/x",
        "https://API.NiceInContact.com/x",
    ],
)
def test_the_tenants_own_the_vendors_and_the_environments_hosts_are_allowed(base):
    assert leads(base) == base


@pytest.mark.parametrize(
    "base",
    [
        "https://evil.example",
        "https://niceincontact.com.evil.example",
        "https://evilniceincontact.com",
        "http://api-na1.niceincontact.com",
        "https://api-na1.niceincontact.com@evil.example",
        "https://evil.example#.niceincontact.com",
        "https://evil.example\\.niceincontact.com/x?y",
        "https://acme.example",
        "http://acme.example:8443",
        "http://na1.nice-incontact.com",
        "ftp://niceincontact.com",
        "https://user@niceincontact.com",
        "https://niceincontact.com?next=evil.example",
        "https://niceincontact.com#evil.example",
        f"{API}?next=evil.example",
        "https://acme.example:99999",
        "https://[",
        "https://[::1",
        URL.replace("https", "http"),
        API.replace("https", "http"),
        "wss://niceincontact.com",
        "https:niceincontact.com",
        "https://acme.example:8444",
        "https://acme.example:443",
        "https://x.acme.example:8443",
        "https://niceincontact.com.",
        "https://nice-incontact.com.evil.example",
        "https://api.niceincontact.com.evil.example",
        "https://evil.example/.niceincontact.com",
        "https://evil.example?.niceincontact.com",
        "https://niceincontact.com?",
        "https://niceincontact.com#",
        "https://niceincontact.com/x?y",
        "https://niceincontact.com/@y",
        "https://niceincontact.com/?next=https://evil.example",
        "https://evil.example\\.niceincontact.com",
        "https://evil.example\t.niceincontact.com",
        "https://evil.example%2f.niceincontact.com",
        "https://evil.example\u3002niceincontact.com",
        "https://nice\u0456ncontact.com",
        "https://user:secret@niceincontact.com",
        f"{API}@evil.example",
        " https://niceincontact.com",
        "https://niceincontact.com\n",
        "//niceincontact.com",
        "",
    ],
)
def test_every_other_host_is_refused_before_anything_is_sent(base):
    with pytest.raises(AccessError, match="CXONE_API_URL"):
        leads(base)


def test_the_refusal_names_the_call_the_host_and_the_way_out():
    with pytest.raises(AccessError) as caught:
        leads("https://evil.example")
    assert str(caught.value) == (
        "GET /skills would go to https://evil.example, which is neither the host in CXONE_TENANT_URL nor one of the "
        "vendor's: nothing is sent there; if it is right, name it in CXONE_API_URL"
    )


def test_without_an_api_url_the_tenants_host_and_the_vendors_are_allowed():
    alone = Settings("acme", URL, Credentials("id", "secret"))
    assert leads(URL, alone) == URL
    with pytest.raises(AccessError):
        leads(API, alone)


def test_each_group_of_endpoints_goes_to_the_base_that_the_token_has_for_it():
    token = Token("t", 60.0, base=URL, bases={"skills": f"{API}/v31"})
    assert target(Call("GET", "/skills/1"), token, SETTINGS, pc.HOSTS) == f"{API}/v31"
    assert target(Call("GET", "/lists"), token, SETTINGS, pc.HOSTS) == URL
    forged = Token("t", 60.0, base=URL, bases={"skills": "https://evil.example"})
    with pytest.raises(AccessError):
        target(Call("GET", "/skills/1"), forged, SETTINGS, pc.HOSTS)


def test_a_call_without_a_host_goes_to_the_tenant():
    assert target(Call("GET", "/x"), None, SETTINGS, ()) == URL
    assert target(Call("GET", "/x"), Token("t", 1.0), SETTINGS, ()) == URL


def test_a_call_that_names_a_host_is_held_to_the_same_rule():
    call = Call("GET", "/x", origin="https://evil.example", anonymous=True)
    with pytest.raises(AccessError):
        target(call, None, SETTINGS, pc.HOSTS)


def test_a_forged_configuration_gets_no_token():
    with platform() as box:

        def talk():
            token = yield (Call("GET", "/x", origin="https://evil.example"),)
            return token

        async def run():
            async with box.client() as client:
                await client.run(talk())

        with pytest.raises(AccessError, match=r"evil\.example"):
            asyncio.run(run())
        assert box.asked == []


def test_what_fails_is_thrown_into_the_exchange_which_may_still_put_back():
    def talk():
        try:
            yield (Call("GET", "/nowhere"),)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked at
            (reply,) = yield (Call("GET", "/business-unit"),)
            return type(error).__name__, reply.status
        return None

    with platform() as box:
        assert box.ask(talk()) == ("ApiError", 200)
