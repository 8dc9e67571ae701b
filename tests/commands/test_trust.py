"""Which signing settings count: those of the reviewed parent, or stricter ones; never those of the change under review."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.commands.trust import Trust, trust_for_halt
from reconciler.errors import AccessError, Unavailable
from reconciler.git import Git
from reconciler.git.process import run_process
from reconciler.manifests import load_readable
from reconciler.models import TenantSpec
from reconciler.models.tenant import Audit
from reconciler.plan import stricter
from reconciler.world import World, here
from tests.support.gitfakes import ENVIRON, START, clone, commit, git, repository
from tests.support.signing import Signer

URL = "https://acme.cxonecloud.com"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIFZkPKQBSdK9H5cl8xQIQxPDzpYAyo1SVvTdO5zjd0sA"
SIGNERS = [f"{name}@example.com ssh-ed25519 {KEY}" for name in ("a", "b", "c")]


def spec(**more) -> TenantSpec:
    return TenantSpec.model_validate({"api": "campaigns", "url": URL, **more})


# --- what a signer is -----------------------------------------------------------------------------------------------------------


def test_a_signer_is_one_name_and_one_key_and_a_comment_is_dropped():
    line = f"ci@example.com ssh-ed25519 {KEY}"
    assert Audit(signers=(f"{line} the runner", line)).signers == (line, line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"* ssh-ed25519 {KEY}", "is not a signer"),
        (f"a@example.com,b@example.com ssh-ed25519 {KEY}", "is not a signer"),
        (f"ci@example.com cert-authority ssh-ed25519 {KEY}", "has a key of type 'cert-authority'"),
        (f'ci@example.com namespaces="git" ssh-ed25519 {KEY}', "has a key of type"),
        (f"ci@example.com ssh-rsa {KEY}", "holds no public key of type ssh-rsa"),
        ("ci@example.com ssh-ed25519 AAAA", "holds no public key"),
        ("ci@example.com ssh-ed25519 ssh-ed25519", "holds no public key"),
        (f"ssh-ed25519 {KEY}", "must be a name, a key's type and the public key"),
        (f"ci@example.com ssh-ed25519 {KEY}\nx ssh-ed25519 {KEY}", "must be a name"),
        (f"ci\u0430@example.com ssh-ed25519 {KEY}", "must be a name"),
        ("", "must be a name"),
    ],
)
def test_anything_else_is_no_signer(line, said):
    with pytest.raises(ValidationError, match=said):
        Audit(signers=(line,))


# --- the strictest counts -------------------------------------------------------------------------------------------------------

LEDGER = "campaigns/acme.cxonecloud.com"


def declaring(began: str | None) -> dict[str, str]:
    return {} if began is None else {"ledger": LEDGER, "began": began * 64}


_specs = st.builds(
    lambda sign, mirror, signers, rate, began: spec(
        audit={"sign": sign, "mirror": mirror, "signers": signers, **declaring(began)},
        requests_per_second=rate,
    ),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(SIGNERS), unique=True),
    st.sampled_from([1.0, 5.0, 50.0]),
    st.sampled_from([None, "a", "b"]),
)


@given(st.lists(_specs, min_size=1, max_size=3))
def test_no_setting_is_laxer_than_any_of_them(specs):
    trust = Trust.strictest(specs)
    counts = trust.spec
    for each in specs:
        assert counts.audit.sign >= each.audit.sign
        assert counts.audit.mirror >= each.audit.mirror
        assert counts.requests_per_second <= each.requests_per_second
        if each.audit.sign:
            assert set(counts.audit.signers) <= set(each.audit.signers)
    assert trust.required == specs[0].audit.sign
    declared = [each.audit.began for each in specs if each.audit.began is not None]
    assert counts.audit.began == next(iter(declared), None), "the first one that declares a ledger"
    assert trust.asked == specs[-1].audit.began
    assert Trust.strictest([specs[0]] * 3).spec == specs[0]


def test_what_does_not_count_yet_is_shown_as_a_weakening():
    base = spec(requests_per_second=5, audit={"sign": True, "signers": SIGNERS[:1]})
    head = spec(requests_per_second=50, audit={"sign": False, "mirror": False, "signers": SIGNERS})
    counting = Trust.strictest([base, head]).spec
    found = stricter(base, head, START.date(), counting).weakenings
    assert [(each.setting, each.counts, each.asked) for each in found] == [
        ("requests_per_second (was 5)", "5", "50"),
        ("audit.sign (was on)", "on", "off"),
        ("audit.mirror (was on)", "on", "off"),
        (f"audit.signers: {SIGNERS[1]}", "not trusted", "trusted"),
        (f"audit.signers: {SIGNERS[2]}", "not trusted", "trusted"),
    ]
    later = stricter(base, head, START.date(), head).weakenings
    assert {each.counts for each in later} == {"50", "off", "trusted"}
    assert stricter(head, head, START.date(), head).weakenings == ()


# --- who is asked ---------------------------------------------------------------------------------------------------------------


def tenant(root: Path, *, folder: str = "acme", **audit) -> Path:
    """Write a tenant.yaml; return its folder."""
    where = root / "schedules" / folder
    where.mkdir(parents=True, exist_ok=True)
    lines = [f"    {name}: {value}" for name, value in audit.items()]
    head = "apiVersion: cxone.reconciler/v1\nkind: Tenant\nspec:\n  api: campaigns\n"
    section = "\n".join([f"  url: {URL}", "  audit:" if lines else "", *lines])
    (where / "tenant.yaml").write_text(f"{head}{section}\n", encoding="utf-8")
    return where


def world(repo: Git, **environ: str) -> World:
    return here(lambda _: None)._replace(environ=ENVIRON | environ, directory=repo.root)


def asked(repo: Git, folder: Path, **audit) -> Trust:
    """Return what counts where the working tree says `audit`."""
    return Trust.of(world(repo), repo, folder, spec(audit=audit))


def only(name: int) -> list[str]:
    return [SIGNERS[name]]


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    """Return a repository whose main requires the first signer."""
    repo = repository(tmp_path / "repo")
    tenant(repo.root, sign="true", signers=only(0))
    commit(repo.root, "sign")
    return repo


def test_a_declaration_counts_at_once_and_its_change_from_the_next_change_on(repo):
    folder = repo.root / "schedules" / "acme"
    for name in ("a", "b"):
        text = tenant(repo.root, **declaring(name))
        commit(repo.root, name)
    trust = asked(repo, text, **declaring("b"))
    assert (trust.spec.audit.began, trust.asked, trust.demanded) == ("a" * 64, "b" * 64, True)
    tenant(repo.root)
    assert asked(repo, folder).spec.audit.began == "a" * 64, "the parent's, whatever is removed"
    git(repo.root, "commit", "-q", "--allow-empty", "-m", "next")
    assert asked(repo, folder).spec.audit.began == "b" * 64
    other = "https://other.cxonecloud.com"
    elsewhere = Trust.of(world(repo), repo, folder, spec(url=other))
    assert (elsewhere.spec.audit.began, elsewhere.demanded) == (None, False), "another platform"


def test_a_change_neither_adds_its_own_signer_nor_ends_signing(repo):
    folder = repo.root / "schedules" / "acme"
    git(repo.root, "checkout", "-q", "-b", "change")
    for audit in ({"sign": True, "signers": SIGNERS}, {"sign": False}):
        tenant(repo.root, sign=str(audit["sign"]).lower(), signers=audit.get("signers", []))
        commit(repo.root, "weaken")
        commit(repo.root, "more")
        git(repo.root, "checkout", "-q", "--detach", "main")
        git(repo.root, "merge", "-q", "--no-ff", "-m", "merge", "change")
        trust = asked(repo, folder, **audit)
        assert (trust.required, trust.spec.audit.sign) == (True, True)
        assert trust.spec.audit.signers == (SIGNERS[0],)
        git(repo.root, "checkout", "-q", "-B", "change", "main")


def test_what_is_not_committed_ends_nothing_either(repo):
    folder = tenant(repo.root)
    commit(repo.root, "next")
    trust = asked(repo, folder, signers=SIGNERS)
    assert trust.spec.audit.sign
    assert trust.spec.audit.signers == (SIGNERS[0],)


def test_the_next_change_goes_by_what_was_merged(repo):
    folder = tenant(repo.root, sign="true", signers=SIGNERS[:2])
    commit(repo.root, "add a signer")
    commit(repo.root, "next")
    trust = asked(repo, folder, sign=True, signers=SIGNERS[:2])
    assert trust.spec.audit.signers == tuple(SIGNERS[:2])
    tenant(repo.root, sign="true", signers=only(1))
    commit(repo.root, "remove the first")
    assert asked(repo, folder, sign=True, signers=only(1)).spec.audit.signers == (SIGNERS[1],)


def test_the_commit_that_turns_signing_on_requires_none_below_it(tmp_path):
    repo = repository(tmp_path / "repo")
    folder = tenant(repo.root)
    commit(repo.root, "begin")
    tenant(repo.root, sign="true", signers=only(0))
    commit(repo.root, "sign")
    trust = asked(repo, folder, sign=True, signers=only(0))
    assert (trust.required, trust.spec.audit.sign) == (False, True)
    assert not trust.demanded
    assert trust.signers(world(repo)) == f"{SIGNERS[0]}\n".encode()
    commit(repo.root, "next")
    later = asked(repo, folder, sign=True, signers=only(0))
    assert (later.required, later.demanded) == (True, True)
    moved = "https://other.cxonecloud.com"
    file = folder / "tenant.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(URL, moved), encoding="utf-8")
    elsewhere = spec(audit={"sign": True, "signers": only(0)}, url=moved)
    assert not Trust.of(world(repo), repo, folder, elsewhere).demanded


def test_a_renamed_folder_is_no_new_tenant(repo):
    shutil.move(repo.root / "schedules" / "acme", repo.root / "schedules" / "other")
    folder = tenant(repo.root, folder="other")
    commit(repo.root, "rename")
    trust = asked(repo, folder)
    assert (trust.required, trust.spec.audit.signers) == (True, (SIGNERS[0],))


def test_a_parent_whose_settings_are_broken_is_passed_over(repo):
    folder = repo.root / "schedules" / "acme"
    (folder / "tenant.yaml").write_text("kind: [", encoding="utf-8")
    commit(repo.root, "break")
    tenant(repo.root, sign="true", signers=SIGNERS)
    commit(repo.root, "mend")
    assert asked(repo, folder, sign=True, signers=SIGNERS).spec.audit.signers == (SIGNERS[0],)


def test_a_shallow_clone_asks_the_remote_for_the_parent_and_a_stop_goes_on_without(repo, tmp_path):
    tenant(repo.root)
    commit(repo.root, "end signing")
    git(tmp_path, "clone", "-q", "--bare", str(repo.root), "bare.git")
    thin, alone = (
        clone(tmp_path / "bare.git", tmp_path / name, "--depth=1") for name in ("thin", "alone")
    )
    folder = thin.root / "schedules" / "acme"
    assert asked(thin, folder).required
    (tmp_path / "bare.git").rename(tmp_path / "away.git")
    folder = alone.root / "schedules" / "acme"
    with pytest.raises(Unavailable):
        asked(alone, folder)
    asked_for: list[str] = []

    def watched(argv, **more):
        asked_for.extend(each for each in argv if each == "fetch")
        return run_process(argv, **more)

    alone = Git(alone.root, environ=ENVIRON, runner=watched)
    assert not trust_for_halt(world(alone), alone, load_readable(folder)).required
    assert asked_for == []


def test_the_environment_names_other_signers_or_says_what_is_wrong(tmp_path, ours: Signer):
    repo = repository(tmp_path / "repo")
    (tmp_path / "signers").write_bytes(ours.file)
    named = {"RECONCILE_SIGNERS": str(tmp_path / "signers")}
    on = Trust(spec(audit={"sign": True, "signers": SIGNERS}), required=True)
    assert on.signers(world(repo, **named)) == ours.file
    assert Trust(spec(), required=False).signers(world(repo, **named)) is None
    with pytest.raises(AccessError, match="RECONCILE_SIGNERS does not name a readable file"):
        on.signers(world(repo, RECONCILE_SIGNERS="nowhere"))
    with pytest.raises(AccessError, match="no signer is trusted yet"):
        Trust(spec(audit={"sign": True}), required=True).signers(world(repo))
