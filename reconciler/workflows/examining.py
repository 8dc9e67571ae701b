"""`doctor`: does this tenant keep what we rely on? Signs in and reads; writes nothing, unless a round trip is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reconciler import manifests
from reconciler.dialects.base import Check, Token
from reconciler.errors import ReconcileError, UsageError
from reconciler.report import SKEW_SHOWN_S, Report, Row, Table, Tone, count
from reconciler.workflows import session as sessions
from reconciler.workflows.session import Session
from reconciler.workflows.world import Network, World

FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What `doctor` was asked.

    Attributes:
        path, tenant: which tenant's folder; it may hold `tenant.yaml` alone.
        roundtrip: name of the manifest, or id of the object, whose settings are written back unchanged.
        deadline, ca_bundle, proxy: see `Network`.
    """

    path: Path
    tenant: str | None = None
    roundtrip: str | None = None
    deadline: float = 3600.0
    ca_bundle: Path | None = None
    proxy: str | None = None

    @property
    def network(self) -> Network:
        """How the platform is reached."""
        return Network(self.deadline, self.ca_bundle, self.proxy)


async def run(world: World, asked: Request) -> Report:
    """Return what holds. Each check that fails says what to do; one that cannot be made ends the rest with its own exit code."""
    folder = manifests.load(asked.path, asked.tenant, may_be_empty=True)
    async with sessions.opened(world, folder, asked.network) as session:
        checks: list[Check] = []
        code = 0
        try:
            checks.append(_signed_in(await session.client.sign_in(), session))
            checks += await session.client.run(session.dialect.examine())
            checks += await _read(session)
            if asked.roundtrip is not None:
                checks.append(await _written_back(session, asked.roundtrip))
        except ReconcileError as error:
            checks.append(Check("stopped", holds=False, said=str(error)))
            code = error.exit_code
        return _report(folder.name, checks, code)


def _signed_in(token: Token, session: Session) -> Check:
    host = urlsplit(token.base or session.settings.base_url).netloc
    scopes = ", ".join(sorted(token.scopes)) or "a role that it does not name"
    said = f"as {session.settings.variables.client_id} for {token.expires_in_s:.0f} s, with {scopes}; the API is at {host}"
    return Check("signing in", holds=True, said=said)


async def _read(session: Session) -> tuple[Check, ...]:
    """Read the tenant as `plan` does, and compare its clock with ours."""
    snapshot, skew_s = await session.read()
    limits = ", ".join(f"{name} {limit:g}" for name, limit in sorted(snapshot.ceilings.items()))
    noun = next(iter(session.dialect.KINDS.values())).words.object
    holding = sum(live.stored is not None for live in snapshot.objects.values())
    found = f"{count(len(snapshot.objects), noun)}, {holding} with a schedule; {len(snapshot.unfit)} that cannot be managed; limits: {limits or 'none'}"
    clock = f"{snapshot.at:%Y-%m-%d %H:%M:%S} UTC, {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
    good = session.settings.in_process or abs(skew_s) <= SKEW_SHOWN_S
    advice = "set this machine's clock: waivers and locks go by it"
    return (
        Check("reading", holds=True, said=found),
        Check("clock", holds=good, said=clock, advice=advice),
    )


async def _written_back(session: Session, name: str) -> Check:
    """Write an object's settings back unchanged, while nobody else applies."""
    keys = {desired.name: desired.key for desired in session.folder.desired}
    key = keys.get(name, name)
    if session.ledger is None:
        raise UsageError(
            "--roundtrip takes the tenant's lock, so the folder must be in a git repository"
        )
    with session.ledger.locked(holder="doctor"):
        return await session.client.run(session.dialect.roundtrip(key))


def _report(tenant: str, checks: Sequence[Check], code: int) -> Report:
    failed = [check for check in checks if not check.holds]
    rows = tuple(
        Row(
            ("holds" if check.holds else "fails", check.name, check.said),
            Tone.GOOD if check.holds else Tone.BAD,
            () if check.holds or not check.advice else (check.advice,),
        )
        for check in checks
    )
    verdict = (
        f"{count(len(checks), 'check')}, {len(failed)} failed"
        if failed
        else f"{count(len(checks), 'check')}, all hold"
    )
    return Report(
        title=f"Doctor for tenant {tenant}",
        verdict=verdict,
        tone=Tone.BAD if failed else Tone.GOOD,
        exit_code=code or (FAILED if failed else 0),
        tables=(Table("Checks", ("", "check", "found"), rows),),
        data=[
            {"check": check.name, "holds": check.holds, "said": check.said, "advice": check.advice}
            for check in checks
        ],
    )
