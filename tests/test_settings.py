"""Where a secret may go, and what is said when it may not."""

import contextlib
import traceback
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import AccessError, UsageError
from reconciler.settings import CIContext, ClientOptions, Settings, Variables, check_url

URL = "https://acme.cxonecloud.com"
SECRET = "canary-c0ffee-secret"
ENVIRON = {
    "CXONE_TENANT_URL": URL,
    "CXONE_CLIENT_ID": "client-1",
    "CXONE_CLIENT_SECRET": SECRET,
}
OWN = {
    "CXONE_ACME_EU_TENANT_URL": URL,
    "CXONE_ACME_EU_CLIENT_ID": "client-2",
    "CXONE_ACME_EU_CLIENT_SECRET": "other-secret",
}


def refusal(environ, url=URL, tenant="acme-eu"):
    with pytest.raises(AccessError) as caught:
        Settings.read(environ, tenant, url)
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    ours = shown.partition("reconciler/settings.py")[2]
    assert ours
    assert SECRET not in ours
    for frame, _ in traceback.walk_tb(caught.value.__traceback__):
        if frame.f_code.co_filename.endswith("reconciler/settings.py"):
            held = [each for each in frame.f_locals.values() if isinstance(each, Mapping)]
            assert SECRET not in str([dict(each) for each in held])  # rendered without its repr
    return str(caught.value)


def test_a_tenant_is_read_from_the_common_variables():
    settings = Settings.read({**ENVIRON, "CXONE_SCOPE": "dnc:read"}, "acme-eu", URL)
    assert settings.url == settings.base_url == URL
    assert not settings.in_process
    assert settings.credentials.client_id == "client-1"
    assert settings.credentials.client_secret == SECRET
    assert settings.credentials.scope == "dnc:read"


def test_the_tenants_own_variables_win_over_the_common_ones():
    settings = Settings.read(ENVIRON | OWN, "acme-eu", URL)
    assert settings.credentials.client_id == "client-2"
    assert settings.credentials.scope is None
    assert settings.variables == Variables.of("acme-eu")


@pytest.mark.parametrize("name", OWN)
def test_the_two_sets_are_never_mixed(name):
    without = {key: value for key, value in OWN.items() if key != name}
    message = refusal(ENVIRON | without)
    assert message.startswith(f"tenant acme-eu: {name} is not set: set it, because ")
    assert all(other in message for other in OWN)


def test_a_scope_of_its_own_makes_the_set_the_tenants():
    assert "CXONE_ACME_EU_CLIENT_ID" in refusal({**ENVIRON, "CXONE_ACME_EU_SCOPE": "dnc:read"})


def test_an_empty_variable_is_an_unset_one():
    assert Settings.read({**ENVIRON, "CXONE_ACME_EU_CLIENT_ID": ""}, "acme-eu", URL).url == URL
    assert "CXONE_CLIENT_SECRET is not set" in refusal({**ENVIRON, "CXONE_CLIENT_SECRET": ""})


def test_all_missing_variables_are_named_at_once():
    assert refusal({}) == (
        "tenant acme-eu: CXONE_TENANT_URL, CXONE_CLIENT_ID and CXONE_CLIENT_SECRET are not set: set them"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "https://acme.cxonecloud.com.evil.example",
        "https://acme.cxonecloud.co",
        "https://acme.cxonecloud.com:8443",
        "http://127.0.0.1:9000",
    ],
)
def test_another_host_in_the_tenant_file_is_refused_and_both_are_shown(url):
    message = refusal(ENVIRON, url)
    assert message == (
        f"tenant acme-eu: `url` in tenant.yaml is {url} but CXONE_TENANT_URL is {URL}: the secret is sent only where "
        "both agree, so correct the one that is wrong"
    )


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://acme.cxonecloud.com@evil.example", "must not contain a user"),
        ("https://user:mixed-up@acme.cxonecloud.com", "must not contain a user"),
        ("https://acme.cxonecloud.com.", "has an invalid host"),
        ("https://ACME.cxonecloud.com", "in lower-case ASCII"),
        ("https://\u0430cme.cxonecloud.com", "has an invalid host"),
        ("https://acme.cxonecloud.com\n", "has an invalid host"),
        ("https://10.0.0.1", "may not be an IP address"),
        ("mixed-up", 'must be "https://" and a host, or "sandbox:"'),
        ("http://acme.cxonecloud.com", "must begin with https:// (http:// is for loopback alone)"),
        ("http://localhost.evil.example", "must begin with https://"),
        ("http://127.0.0.1.evil.example", "must begin with https://"),
        ("https://acme.cxonecloud.com/api", "write https://acme.cxonecloud.com"),
        ("https://acme.cxonecloud.com/v1", "write https://acme.cxonecloud.com"),
    ],
)
def test_a_url_that_readers_could_read_differently_is_refused_on_both_sides(url, says):
    in_file, in_environ = refusal(ENVIRON, url), refusal({**ENVIRON, "CXONE_TENANT_URL": url})
    assert in_file.startswith("`url` in tenant.yaml ")
    assert in_environ.startswith("CXONE_TENANT_URL ")
    assert says in in_file
    assert says in in_environ
    assert "mixed-up" not in in_file + in_environ


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:8000", "http://127.9.9.9"]
)
def test_a_loopback_server_stands_in_for_the_sandbox(url):
    settings = Settings.read({**ENVIRON, "CXONE_TENANT_URL": url}, "sandbox", "sandbox:")
    assert settings.url == url
    assert settings.credentials.client_secret == SECRET


@pytest.mark.parametrize(
    "environ", [{}, {"CXONE_CLIENT_SECRET": SECRET}, {**ENVIRON, "CXONE_TENANT_URL": "sandbox:"}]
)
def test_the_sandbox_is_in_process_and_gets_no_secret_otherwise(environ):
    settings = Settings.read(environ, "sandbox", "sandbox:")
    assert settings.in_process
    assert settings.credentials is None
    assert settings.base_url == "http://127.0.0.1"


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://127.0.0.1.evil.example",
        "https://localhost.evil.example",
        "https://evil-localhost",
        "https://evil.example:8000",
    ],
)
def test_only_a_loopback_server_stands_in_for_the_sandbox(url):
    message = refusal({**ENVIRON, "CXONE_TENANT_URL": url}, "sandbox:", "sandbox")
    assert message == (
        f"tenant sandbox: `url` in tenant.yaml is sandbox: but CXONE_TENANT_URL is {url}: the secret is sent only where "
        "both agree, so correct the one that is wrong, or unset CXONE_TENANT_URL for the embedded one"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "http://evil.example@127.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "http://[::1].evil.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://LOCALHOST",
        "http://127.0.0.1.",
    ],
)
def test_what_only_looks_like_loopback_does_not_stand_in(url):
    message = refusal({**ENVIRON, "CXONE_TENANT_URL": url}, "sandbox:", "sandbox")
    assert message.startswith("CXONE_TENANT_URL ")


@pytest.mark.parametrize(
    ("url", "named", "agree"),
    [
        (URL, URL, True),
        (URL, "", True),
        (URL, None, True),
        ("sandbox:", None, True),
        ("sandbox:", "sandbox:", True),
        ("sandbox:", "http://127.0.0.1:8000", True),
        ("sandbox:", URL, False),
        (URL, "sandbox:", False),
        (URL, f"{URL}:8443", False),
        (URL, "https://beta.cxonecloud.com", False),
        ("http://127.0.0.1:8000", "http://localhost:8000", False),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8001", False),
        ("http://127.0.0.1:8000", "https://127.0.0.1:8000", False),
    ],
)
@pytest.mark.parametrize("variable", ["CXONE_TENANT_URL", "CXONE_ACME_EU_TENANT_URL"])
def test_what_contradicts_the_environment_is_refused_without_a_secret_too(
    variable, url, named, agree
):
    environ = {} if named is None else {variable: named}
    if agree:
        check_url(environ, "acme-eu", url)
    else:
        with pytest.raises(AccessError, match=f"is {url} but {variable} is {named}: "):
            check_url(environ, "acme-eu", url)


def test_an_applications_id_and_secret_stand_together():
    app = {"CXONE_APP_ID": "app", "CXONE_APP_SECRET": "app-secret"}
    for name in app:
        only = {key: value for key, value in app.items() if key == name}
        assert (
            refusal(ENVIRON | only)
            == "CXONE_APP_ID and CXONE_APP_SECRET stand together: set both, or neither"
        )
    found = Settings.read(ENVIRON | app, "acme-eu", URL).credentials
    assert (found.app_id, found.app_secret) == ("app", "app-secret")
    none = Settings.read(ENVIRON, "acme-eu", URL).credentials
    assert (none.app_id, none.app_secret) == (None, None)


def test_another_host_of_the_api_is_read_from_the_environment_and_checked():
    api = {"CXONE_API_URL": "https://api.example:8443"}
    assert Settings.read(ENVIRON | api, "acme-eu", URL).api_url == "https://api.example:8443"
    assert Settings.read(ENVIRON, "acme-eu", URL).api_url is None
    message = refusal({**ENVIRON, "CXONE_API_URL": "http://api.example"})
    assert message.startswith("CXONE_API_URL must begin with https://")


def test_each_variable_of_a_tenants_own_makes_the_set_the_tenants():
    for name in Variables.of("acme-eu").names():
        assert name.startswith("CXONE_ACME_EU_")
        assert "CXONE_ACME_EU_CLIENT_ID" in refusal(
            {**ENVIRON, name: "x"} | OWN | {"CXONE_ACME_EU_CLIENT_ID": ""}
        )
    assert len({*Variables.of("acme-eu").names(), *Variables().names()}) == 14


def test_a_loopback_server_without_its_secret_is_an_error():
    message = refusal({"CXONE_TENANT_URL": "http://127.0.0.1:8000"}, "sandbox:", "sandbox")
    assert message.startswith("tenant sandbox: CXONE_CLIENT_ID and CXONE_CLIENT_SECRET are not set")


@pytest.mark.parametrize("bad", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\x00", f"{SECRET}\u200b"])
@pytest.mark.parametrize("name", ["CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET", "CXONE_SCOPE"])
def test_white_space_and_hidden_characters_around_a_secret_are_named(name, bad):
    message = refusal({**ENVIRON, name: bad})
    assert message == f"{name}: white space at an end, or a control character; set it again without"


def test_no_repr_shows_a_secret():
    settings = Settings.read(ENVIRON, "acme-eu", URL)
    assert "c0ffee" not in repr(settings) + str(settings)


@given(st.text(max_size=40))
def test_whatever_the_file_says_the_url_is_the_environments_or_it_is_refused(url):
    try:
        settings = Settings.read(ENVIRON, "acme-eu", url)
    except AccessError:
        return
    assert settings.in_process or settings.url == URL


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"requests_per_second": 0.0}, "requests_per_second must be above 0"),
        ({"requests_per_second": float("nan")}, "requests_per_second"),
        ({"requests_per_second": float("inf")}, "requests_per_second"),
        ({"concurrency": 0}, "--concurrency must be at least 1"),
        ({"deadline_s": 0.0}, "--deadline must be a number above 0"),
        ({"deadline_s": float("inf")}, "--deadline"),
        ({"deadline_s": float("nan")}, "--deadline"),
        (
            {"proxy": "socks5://proxy.example"},
            "--proxy must be a URL like http://proxy.example:3128",
        ),
        ({"proxy": "proxy.example:3128"}, "--proxy"),
        ({"proxy": "http://[bad"}, "--proxy"),
    ],
)
def test_options_that_no_run_could_keep_are_usage_errors(options, says):
    with pytest.raises(UsageError, match=says):
        ClientOptions(**options)


def test_provenance_is_what_ci_says():
    environ = {
        "GITHUB_ACTOR": "octo",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "acme/schedules",
        "GITHUB_RUN_ID": "17",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_REF": "refs/pull/12/merge",
        "RECONCILE_APPROVER": "lead",
        "RECONCILE_REVIEWED_HEAD": "abc123",
    }
    assert CIContext.read(environ) == CIContext(
        actor="octo",
        approver="lead",
        pull_request="12",
        run_url="https://github.example/acme/schedules/actions/runs/17/attempts/2",
        reviewed_head="abc123",
        attempt="2",
    )
    assert CIContext.read({**environ, "RECONCILE_PULL_REQUEST": "13"}).pull_request == "13"


def test_provenance_without_ci_is_unknown():
    assert CIContext.read({"GITHUB_RUN_ID": "17", "GITHUB_ACTOR": ""}) == CIContext()


def test_provenance_cannot_steer_a_terminal():
    assert CIContext.read({"GITHUB_ACTOR": "a\x1b[2J\n" + "b" * 1000}).actor.startswith(
        "a\\u001b[2J\\u000a"
    )
    assert len(CIContext.read({"GITHUB_ACTOR": "b" * 1000}).actor) == 256


@pytest.mark.parametrize("name", ["CXONE_APP_ID", "CXONE_APP_SECRET"])
def test_half_an_application_is_refused_and_a_whole_one_is_read(name):
    both = {"CXONE_APP_ID": "app-1", "CXONE_APP_SECRET": "app-secret"}
    found = Settings.read(ENVIRON | both, "acme-eu", URL).credentials
    assert (found.app_id, found.app_secret) == ("app-1", "app-secret")
    with pytest.raises(AccessError, match=r"^CXONE_APP_ID and CXONE_APP_SECRET stand together"):
        Settings.read(ENVIRON | {name: both[name]}, "acme-eu", URL)
    none = Settings.read(ENVIRON, "acme-eu", URL).credentials
    assert (none.app_id, none.app_secret, none.scope) == (None, None, None)


@pytest.mark.parametrize("host", ["localhost.evil.example", "acme.example"])
def test_a_host_that_only_begins_like_loopback_stands_in_for_no_sandbox(host):
    environ = {**ENVIRON, "CXONE_TENANT_URL": f"https://{host}"}
    with contextlib.suppress(AccessError):
        assert Settings.read(environ, "sandbox", "sandbox:").credentials is None


def test_the_hosts_that_the_environment_names_are_read_with_their_options():
    options = ClientOptions(requests_per_second=7)
    environ = ENVIRON | {"CXONE_API_URL": "https://api.example:8443"}
    found = Settings.read(environ, "acme-eu", URL, options=options)
    assert (found.tenant, found.api_url, found.options) == (
        "acme-eu",
        "https://api.example:8443",
        options,
    )
    assert Settings.read(ENVIRON, "acme-eu", URL).api_url is None
    assert Settings.read(ENVIRON, "acme-eu", URL).options == ClientOptions()
    bad = refusal(ENVIRON | {"CXONE_API_URL": "https://api.example/v1"})
    assert bad.startswith("CXONE_API_URL ")


@pytest.mark.parametrize(
    "parts",
    [
        {"requests_per_second": 0.001, "deadline_s": 0.001, "concurrency": 1},
        {"proxy": "https://user@proxy.example:1"},
    ],
)
def test_options_at_the_edge_of_what_a_run_can_keep_are_taken(parts):
    assert all(getattr(ClientOptions(**parts), name) == value for name, value in parts.items())


@pytest.mark.parametrize("missing", ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"])
def test_the_url_of_a_run_is_whole_or_unknown(missing):
    parts = {
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_REPOSITORY": "acme/schedules",
        "GITHUB_RUN_ID": "7",
    }
    url = "https://forge.example/acme/schedules/actions/runs/7"
    assert CIContext.read(parts).run_url == url
    assert CIContext.read(parts | {"GITHUB_RUN_ATTEMPT": "1"}).run_url == url
    assert CIContext.read(parts | {"GITHUB_RUN_ATTEMPT": ""}).run_url == url
    assert CIContext.read(parts | {"GITHUB_RUN_ATTEMPT": "2"}).run_url == f"{url}/attempts/2"
    assert CIContext.read(parts | {missing: ""}).run_url is None
