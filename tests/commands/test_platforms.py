"""A tenant is its platform: what finds its records, and which folders may claim it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import manifests
from reconciler.audit import Run
from reconciler.cli import run
from reconciler.errors import ManifestError
from reconciler.ledger.refs import RefNames
from reconciler.models import is_loopback, platform_of, tenant_url
from reconciler.plan import Plan, approval
from tests.commands.test_life import manifest
from tests.support import factories
from tests.support.gitfakes import WHO, Clock

LOOPBACK = {
    "http://127.0.0.1:8765": True,
    "https://127.255.255.254": True,
    "http://localhost": True,
    "https://localhost:8443": True,
    "http://[::1]:8765": True,
    "https://acme.cxonecloud.com": False,
    "https://127.0.0.1.evil.example": False,
    "https://localhost.evil.example": False,
    "https://evil.example:8765": False,
    "https://evil-localhost": False,
    "https://localhost4": False,
    "sandbox:": False,
}
REFUSED = [
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://evil.example",
    "http://127.0.0.1@evil.example",
    "http://localhost:8765@evil.example",
    "http://evil.example@127.0.0.1",
    "http://127.0.0.1.",
    "http://LOCALHOST",
    "http://127.1",
    "http://0127.0.0.1",
    "http://2130706433",
    "http://0x7f.0.0.1",
    "http://127.0.0.256",
    "http://0.0.0.0",
    "http://128.0.0.1",
    "http://126.255.255.255",
    "https://10.0.0.1",
    "http://[::]",
    "http://[::2]",
    "http://[::ffff:10.0.0.1]",
    "http://[::ffff:127.0.0.1]",
    "http://[0:0:0:0:0:0:0:1]",
    "http://[::1%25eth0]",
    "http://[127.0.0.1]",
    "http://[localhost]",
    "http://::1",
    "http://[::1]x",
    "http://[::1]evil.example",
    "http://[::1].evil.example",
    "http://[::1]:8765@evil.example",
    "http://[::1",
    "http://127.0.0.1\n",
    "http://127.0.0.1\\.evil.example",
    "http://localhost\u3002evil.example",
    "http://\u2460\u2461\u2466.0.0.1",
]


@pytest.mark.parametrize(("url", "leads_here"), LOOPBACK.items())
def test_loopback_is_this_machine_alone(url: str, leads_here: bool) -> None:  # noqa: FBT001 - a table
    assert is_loopback(tenant_url(url)) is leads_here


@pytest.mark.parametrize("url", REFUSED)
def test_what_only_looks_like_loopback_is_no_url_of_a_tenant(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        tenant_url(url)


# --- the identity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "url", "identity"),
    [
        ("campaigns", "https://acme.cxonecloud.com", "campaigns/acme.cxonecloud.com"),
        ("personal-connection", "https://acme.example", "personal-connection/acme.example"),
        ("campaigns", "https://acme.cxonecloud.com:8443", "campaigns/acme.cxonecloud.com_8443"),
        ("campaigns", "https://acme.lock", "campaigns/acme.lock_443"),
        ("campaigns", "https://acme.lock:1", "campaigns/acme.lock_1"),
        ("campaigns", "http://127.0.0.1:8765", "campaigns/localhost_8765"),
        ("campaigns", "http://localhost:8765", "campaigns/localhost_8765"),
        ("campaigns", "http://[::1]:8765", "campaigns/localhost_8765"),
        ("campaigns", "http://localhost", "campaigns/localhost_80"),
        ("campaigns", "https://localhost", "campaigns/localhost"),
        ("campaigns", "sandbox:", "sandbox/b"),
        ("personal-connection", "sandbox:", "sandbox/b"),
    ],
)
def test_a_platform_is_named_by_its_api_and_its_host(api: str, url: str, identity: str) -> None:
    assert platform_of(api, url, "b") == identity


_label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_hosts = st.one_of(
    st.lists(_label, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["localhost", "127.0.0.1", "[::1]", "a.lock", "lock"]),
)
_urls = st.builds(
    lambda host, port: f"https://{host}" + (f":{port}" if port else ""),
    _hosts.filter(lambda host: not host.rpartition(".")[2][0].isdigit() or host == "127.0.0.1"),
    st.sampled_from([0, 80, 8443, 65535]),
)
_COMPONENT = re.compile(r"(?!\.)(?!.*\.\.)(?!.*\.lock$)(?!.*\.$)[a-z0-9._-]+")
"""What `git check-ref-format` takes between two slashes, and no file system changes."""


@settings(max_examples=50)
@given(st.sampled_from(["campaigns", "personal-connection"]), _urls, _urls)
def test_every_platform_has_refs_of_its_own(api: str, one: str, other: str) -> None:
    names = [platform_of(api, tenant_url(url), "acme") for url in (one, other)]
    for name in names:
        parts = name.split("/")
        assert len(parts) == 2  # so that no ref stands below another one
        assert all(_COMPONENT.fullmatch(part) for part in parts)
    same = one == other or (
        is_loopback(one)
        and is_loopback(other)
        and one.rsplit(":", maxsplit=1)[-1] == other.rsplit(":", maxsplit=1)[-1]
    )
    if not (is_loopback(one) and is_loopback(other)):
        assert (names[0] == names[1]) is same
    assert RefNames.of(names[0]).ledger == f"refs/notes/reconcile/{names[0]}"


@settings(max_examples=25)
@given(_urls)
def test_one_platform_has_one_spelling(url: str) -> None:
    for other in (url.upper(), f"{url}/", f"{url}.", url.replace("https", "HTTPS"), f" {url}"):
        with pytest.raises(ValueError, match=r"\w"):
            tenant_url(other)


def test_a_renamed_folder_writes_under_the_same_keys_and_ids() -> None:
    names = [platform_of("campaigns", "https://acme.example", folder) for folder in ("a", "b")]
    first, second = (
        Run(name, "c" * 40, "run-1", Clock(), WHO).intent(
            factories.make_operation(), digest="d" * 64, generation=0
        )
        for name in names
    )
    assert first.data["key"] == second.data["key"]
    assert first.id == second.id


def test_an_approval_is_given_for_a_platform_whatever_its_folder_is_called() -> None:
    def plan(folder: str, platform: str) -> Plan:
        origin = factories.make_origin(tenant=folder, platform=platform)
        return factories.make_plan([factories.make_operation()], origin=origin)

    shown = plan("a", "campaigns/acme.example")
    given_ = approval.approval_from(approval.serialised(shown))
    renamed, other = plan("b", "campaigns/acme.example"), plan("a", "campaigns/beta.example")
    assert renamed.digest == shown.digest != other.digest
    assert approval.hold_against(renamed, given_).run == renamed.operations
    assert approval.hold_against(other, given_).run == ()
    assert approval.hold_against(other, given_).stale


# --- folders that claim one platform ----------------------------------------------------------------------------------------

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec:
  api: {api}
  url: "{url}"
"""
ACME = "https://acme.cxonecloud.com"


def put(folder: str, url: str = ACME, api: str = "campaigns") -> Path:
    path = Path("schedules", folder)
    path.mkdir(parents=True)
    more = "  version: 33\n" if api == "personal-connection" else ""
    (path / "tenant.yaml").write_text(TENANT.format(api=api, url=url) + more, encoding="utf-8")
    return path


def refused(path: Path) -> list[str]:
    try:
        manifests.load(path, may_be_empty=True)
    except ManifestError as error:
        return list(map(str, error.problems))
    return []


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ACME, ACME),
        (ACME, r"https:\/\/\x61cme.cxonecloud.com"),
        ("http://127.0.0.1:8765", "http://localhost:8765"),
    ],
)
def test_two_folders_that_claim_one_platform_are_refused_and_both_files_are_named(
    one: str, other: str
) -> None:
    a, b = put("a", one), put("b", other)
    put("c", "https://beta.cxonecloud.com")
    said = "claims the platform campaigns/"
    for mine, its in ((a, b), (b, a)):
        (problem,) = refused(mine)
        assert problem.startswith(f"{mine}/tenant.yaml:5:8: {said}")
        assert f"and so does {its}/tenant.yaml: keep" in problem
    assert refused(Path("schedules/c")) == []


@pytest.mark.usefixtures("repository")
def test_a_folder_is_seen_beside_one_that_is_named_from_within(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a = put("a")
    put("b")
    monkeypatch.chdir(a)
    (problem,) = refused(Path())
    assert "/schedules/b/tenant.yaml: keep" in problem


@pytest.mark.usefixtures("repository")
def test_what_claims_no_platform_of_ours_stands_in_nobodys_way() -> None:
    a = put("a")
    put("pc", ACME, "personal-connection")
    put("port", f"{ACME}:8443")
    (put("wrong") / "tenant.yaml").write_text(f"url: {ACME}\n", encoding="utf-8")
    (put("linked") / "tenant.yaml").unlink()
    Path("schedules/linked/tenant.yaml").symlink_to(a.resolve() / "tenant.yaml")
    Path("schedules/link").symlink_to(a.resolve())
    assert refused(a) == []
    assert refused(put("s1", "sandbox:")) == refused(put("s2", "sandbox:")) == []


@pytest.mark.usefixtures("repository")
def test_clones_that_stand_beside_each_other_claim_nothing_of_each_other() -> None:
    a = put("a")
    for folder in (a, put("b")):
        (folder / ".git").mkdir()
    assert refused(a) == []


@pytest.mark.usefixtures("repository")
def test_validate_sees_a_claim_in_whichever_path_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    a = put("a")
    shutil.move(put("b"), "elsewhere")
    for folder in (a, Path("elsewhere")):
        (folder / "m.yaml").write_text(manifest("m", "1001"), encoding="utf-8")
    assert run(["validate", str(a), "elsewhere"]) == 65
    said = capsys.readouterr().err
    assert "a/tenant.yaml" in said
    assert "elsewhere/tenant.yaml" in said


@pytest.mark.usefixtures("repository")
def test_a_stop_goes_on_where_two_folders_claim_one_platform() -> None:
    a = put("a")
    put("b")
    assert manifests.load_readable(a).platform == "campaigns/acme.cxonecloud.com"
