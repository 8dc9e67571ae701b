"""`doctor`: check that a tenant's API behaves as reconcile expects. Writes nothing without `--roundtrip`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from urllib.parse import urlsplit

from reconciler import manifests
from reconciler.commands import session as sessions
from reconciler.commands.session import Session
from reconciler.dialects.base import Check, Token
from reconciler.errors import ReconcileError, UsageError, safe
from reconciler.kinds.live import Snapshot
from reconciler.report import SKEW_SHOWN_S, Report, Row, Table, Tone, count, duration
from reconciler.world import Network, World


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """Arguments of `doctor`.

    Attributes:
        path, tenant: which tenant's folder; it may hold `tenant.yaml` alone.
        roundtrip: name of the manifest, or id of the object, whose settings are written back unchanged.
        network: see `Network`.
    """

    path: Path
    tenant: str | None = None
    roundtrip: str | None = None
    network: Network = Network()


async def run(world: World, asked: DoctorRequest) -> Report:
    """Run the checks and report their results. If a check cannot be made, the remaining checks are skipped and its exit code is the report's."""
    folder = manifests.load(asked.path, asked.tenant, may_be_empty=True)
    async with sessions.open_session(world, folder, asked.network) as session:
        checks: list[Check] = []
        try:
            checks.append(_describe_token(await session.client.sign_in(), session))
            checks += await session.client.run(session.dialect.examine())
            checks += await _read(session)
            if asked.roundtrip is not None:
                checks.append(await _roundtrip(session, asked.roundtrip))
        except ReconcileError as error:
            stopped = Check("stopped", holds=False, said=str(error), exit_code=error.exit_code)
            checks.append(stopped)
        return _report(folder.name, checks)


def _describe_token(token: Token, session: Session) -> Check:
    host = urlsplit(token.base or session.settings.base_url).netloc
    scopes = ", ".join(sorted(token.scopes)) or "a role that it does not name"
    said = f"as {session.settings.variables.client_id} for {token.expires_in_s:.0f} s, with {scopes}; the API is at {host}"
    advice = (
        f"no action is needed while sign-in works: {'; '.join(token.assumed)}"
        if token.assumed
        else ""
    )
    return Check("signing in", holds=True, said=said, advice=advice, note=bool(token.assumed))


async def _read(session: Session) -> tuple[Check, ...]:
    """Read the tenant as `plan` does, and compare its clock with ours."""
    snapshot, _ = await session.read()
    limits = ", ".join(f"{name} {limit:g}" for name, limit in sorted(snapshot.ceilings.items()))
    noun = next(iter(session.dialect.KINDS.values())).words.object
    holding = sum(live.stored is not None for live in snapshot.objects.values())
    found = f"{count(len(snapshot.objects), noun)}, {holding} with a schedule; {len(snapshot.unfit)} that cannot be managed; limits: {limits or 'none'}"
    return (
        Check("reading", holds=True, said=found),
        await _compare_one(session, snapshot),
        _clock(session),
    )


def _clock(session: Session) -> Check:
    """Compare the platform's clock with this machine's. The comparison does not show which of them is wrong."""
    skew = session.client.skew(session.world.now())
    if isinf(skew.uncertainty_s):
        return Check(
            "clock",
            holds=True,
            said="no answer had a Date header, so the platform's clock is unknown",
            note=True,
        )
    side = "ahead of" if skew.seconds > 0 else "behind"
    apart = abs(skew.seconds)
    told = f"{apart:.1f} s" if apart < 60 else duration(apart)  # noqa: PLR2004 - a minute
    said = (
        f"the platform's is {told} {side} this machine's, give or take {skew.uncertainty_s:.1f} s"
    )
    good = session.settings.in_process or abs(skew.certain_s) <= SKEW_SHOWN_S
    advice = "compare this machine's clock with a time server, and correct it only if it is wrong: until the two agree, no hold and no lock ends before both have passed its end"
    return Check("clock", holds=good, said=said, advice="" if good else advice)


async def _compare_one(session: Session, snapshot: Snapshot) -> Check:
    """Read one object individually, as the verification of a write does, and compare it with its entry in the list."""
    name = "reading one by one"
    known = snapshot.objects
    wanted = [desired.key for desired in session.folder.desired if desired.key in known]
    holding = [key for key, live in known.items() if live.stored is not None]
    key = next(iter([*wanted, *holding, *known]), None)
    if key is None:
        return Check(name, holds=True, said="no object to read", note=True)
    listed = known[key]
    noun = next(iter(session.dialect.KINDS.values())).words.object
    try:
        alone = await session.client.run(session.dialect.read_one(key))
    except ReconcileError as error:
        advice = f"writes cannot be verified until {noun} {safe(key)} can be read by itself"
        return Check(name, holds=False, said=str(error), advice=advice, exit_code=error.exit_code)
    parts = ["name", "stored", "stored_id", "active_id"]
    if listed.version and alone.version:  # a list may leave versions out
        parts.append("version")
    other = [part for part in parts if getattr(listed, part) != getattr(alone, part)]
    if not other:
        return Check(name, holds=True, said=f"{noun} {safe(key)} equals its entry in the list")
    said = f"{noun} {safe(key)} differs from its entry in the list: {', '.join(other)}"
    advice = "run doctor again. If the difference stays and nobody changed the object, every write will be reported as overtaken by another writer"
    return Check(name, holds=False, said=said, advice=advice)


async def _roundtrip(session: Session, name: str) -> Check:
    """Write an object's settings back unchanged, under the tenant's lock."""
    keys = {desired.name: desired.key for desired in session.folder.desired}
    key = keys.get(name, name)
    if session.ledger is None:
        raise UsageError(
            "--roundtrip takes the tenant's lock, so the folder must be in a git repository"
        )
    with session.ledger.locked(holder="doctor"):
        return await session.client.run(session.dialect.roundtrip(key))


def _row(check: Check) -> Row:
    word, tone = ("fails", Tone.BAD) if not check.holds else ("holds", Tone.GOOD)
    if check.holds and check.note:
        word, tone = "note", Tone.WARN
    advice = (check.advice,) if check.advice and tone is not Tone.GOOD else ()
    return Row((word, check.name, check.said), tone, advice, status=word, name=check.name)


def _report(tenant: str, checks: Sequence[Check]) -> Report:
    """Return the report. Its exit code is the highest of the failed checks."""
    failed = [check for check in checks if not check.holds]
    noted = sum(check.note for check in checks)
    rows = tuple(map(_row, checks))
    found = f"{len(failed)} failed" if failed else "all hold"
    notes = f", {count(noted, 'note')}" if noted else ""
    verdict = f"{count(len(checks), 'check')}, {found}{notes}"
    return Report(
        title=f"Doctor for tenant {tenant}",
        verdict=verdict,
        tone=Tone.BAD if failed else Tone.GOOD,
        exit_code=max((check.exit_code for check in failed), default=0),
        tables=(Table("Checks", ("", "check", "found"), rows),),
        data=[
            {
                "check": check.name,
                "holds": check.holds,
                "note": check.note,
                "said": check.said,
                "advice": check.advice,
            }
            for check in checks
        ],
    )
