"""The ledger is opened while the manifests are read, and neither waits for what the other makes needless."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import manifests
from reconciler.commands import plan, session
from reconciler.commands.plan import PlanRequest
from reconciler.errors import ManifestError, Unavailable
from reconciler.manifests import choose_tenant
from reconciler.world import Network, World, here
from tests.support.bodies import manifest_text
from tests.support.gitfakes import ENVIRON, clone, commit, git, repository

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec: {{api: campaigns, url: "https://acme.example", requests_per_second: {rate}}}
"""

GIT = """\
#!/bin/sh
for each; do
    [ "$each" = ls-remote ] && exec {ls_remote}
done
exec {git} "$@"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tenant's folder in a clone of a remote that holds it."""
    seed = repository(tmp_path / "seed").root
    tenant = seed / "schedules" / "acme"
    (tenant / "a.yaml").unlink()
    (tenant / "tenant.yaml").write_text(TENANT.format(rate=5), encoding="utf-8")
    (tenant / "spring.yaml").write_text(manifest_text("spring"), encoding="utf-8")
    commit(seed, "schedules")
    git(tmp_path, "clone", "-q", "--bare", str(seed), str(tmp_path / "remote.git"))
    return clone(tmp_path / "remote.git", tmp_path / "clone").root / "schedules" / "acme"


def world(folder: Path, ls_remote: str) -> World:
    """Return a world whose git does something else than to list a remote."""
    wrapper = folder.parents[2] / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(GIT.format(ls_remote=ls_remote, git=shutil.which("git")), encoding="utf-8")
    wrapper.chmod(0o755)
    names = ("CXONE_TENANT_URL", "CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
    login = dict(zip(names, ("https://acme.example", "id", "secret"), strict=True))
    path = f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**ENVIRON, **login, "PATH": path}
    return here(lambda _: None)._replace(environ=environ, directory=folder)


def test_an_invalid_manifest_is_reported_while_the_remote_hangs(folder: Path) -> None:
    (folder / "spring.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    hanging = world(folder, "tail -f /dev/null")  # git has 120 s to list a remote
    with pytest.raises(ManifestError, match="kind must be"):
        asyncio.run(asyncio.wait_for(plan.read(hanging, PlanRequest(folder)), 60))


def test_an_invalid_manifest_is_reported_before_a_remote_that_refuses(folder: Path) -> None:
    refusing = world(folder, "false")
    with pytest.raises(Unavailable, match="the git remote does not answer"):
        asyncio.run(plan.read(refusing, PlanRequest(folder)))
    (folder / "spring.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="kind must be"):
        asyncio.run(plan.read(refusing, PlanRequest(folder)))


def test_a_ledger_of_another_tenant_yaml_is_opened_again(folder: Path) -> None:
    listing = world(folder, f'{shutil.which("git")} "$@"')

    async def opened() -> session.Session:
        where = choose_tenant(folder, None)
        async with session.opened_early(listing, where) as early:
            assert early is not None
            (folder / "tenant.yaml").write_text(TENANT.format(rate=4), encoding="utf-8")
            loaded = manifests.load_tenant(where)
            never = replace(early, opened=asyncio.get_running_loop().create_future())
            async with session.open_session(listing, loaded, Network(), early=never) as found:
                return found

    found = asyncio.run(asyncio.wait_for(opened(), 60))
    assert found.kept is not None
    assert found.kept.trust.spec.requests_per_second == 4
