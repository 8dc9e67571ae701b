"""`audit` and `lock`: read the ledger, and show or release the lock."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from reconciler import audit
from reconciler.audit import Record
from reconciler.commands.journal import provenance
from reconciler.commands.ledgers import TenantLedger, require_key
from reconciler.commands.session import require_reason
from reconciler.commands.trust import read_signers
from reconciler.errors import ExitCode, GitError, UsageError
from reconciler.git import Git
from reconciler.ledger.locks import Lock, in_seconds
from reconciler.ledger.repairs import remark_on_records
from reconciler.manifests import choose_tenant, load_readable, load_settings
from reconciler.report import NAMES_SHOWN, Report, Tone
from reconciler.report.audit import keys_of, of_entries, of_instant, of_log, of_records
from reconciler.report.verify import of_verify
from reconciler.settings import check_url, signing_key
from reconciler.world import World

_WHOLE_ID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def open_writable(world: World, path: Path, tenant: str | None) -> TenantLedger:
    """Return a tenant whose ledger may be appended to. Arguments and errors are those of `read`.

    Raises:
        AccessError: its records must be signed, and there is no signing key.
    """
    kept = read(world, path, tenant)
    require_key(world, kept.trust.spec)
    return kept


def read(world: World, path: Path, tenant: str | None, *, anyhow: bool = False) -> TenantLedger:
    """Return the ledger of one tenant. Its manifests need not be valid.

    Args:
        world: see `World`.
        path: the tenant's folder, or a folder above it.
        tenant: its name.
        anyhow: also read a ledger that lacks a good signature, and push nothing.

    Raises:
        UsageError: no such tenant, or several and none named; no such remote.
        GitError: no git repository.
        ManifestError: `tenant.yaml` is not valid, so the place of the ledger is unknown.
        AccessError: `tenant.yaml` and the environment name different platforms, so the ledger would be that of another platform.
        Unavailable: the remote does not answer.
        LedgerError: only the change under review declares the ledger.
    """
    where = choose_tenant(path, tenant)
    git = Git.find(where.path, environ=world.environ, budget=world.remote_budget)
    if git is None:
        raise GitError(
            f"{path} is not in a git repository, so it has no records and no lock: run this in the clone that applies,"
            " or give the path of a tenant's folder in it"
        )
    spec = load_settings(where).spec
    check_url(world.environ, where.name, spec.url)
    kept = TenantLedger.open(world, git, where.name, where.path, spec, anyhow=anyhow)
    if not anyhow and kept.ledger.is_asked_for and kept.ledger.objection is not None:
        raise kept.ledger.objection
    return kept


def log(world: World, path: Path, tenant: str | None, since: datetime | None = None) -> Report:
    """Return the records of what took effect at `since` or later, all by default, newest last."""
    past = _Past(read(world, path, tenant), since)
    records = [each for each in past.records() if since is None or audit.moment(each) >= since]
    return of_log(past.kept.name, records, notes=past.notes, facts=past.kept.facts)


def show(world: World, path: Path, tenant: str | None, what: str) -> Report:
    """Return every record about a commit or an object, in full. Those about everything are about each object.

    Raises:
        UsageError: no record, manifest or commit has that name.
    """
    past = _Past(read(world, path, tenant))
    kept, asked, names, wide = past.kept, what, set[str](), list[Record]()
    found = audit.about(_noting(past.records(), names, wide), what)
    if any(audit.is_of(each, what) for each in found):
        by_number = {each.seq: each for each in (*found, *wide)}
        found = tuple(by_number[number] for number in sorted(by_number))
    elif not found and (commit := _commit(kept.git, what)) is not None:
        found = audit.about(past.records(), commit)
        asked = what if commit.startswith(what) else f"{what} ({commit[:12]})"
    elif not found:
        keys = {*_manifested(kept, names, what), audit.EVERYTHING}
        found = tuple(each for each in past.records() if each.data.get("target") in keys)
    report = of_records(kept.name, asked, found, kept.facts)
    return report._replace(notes=(*past.notes, *report.notes))


def _noting(
    records: Iterable[Record], names: set[str], wide: list[Record] | None = None
) -> Iterator[Record]:
    """Yield the records. Add the names of their objects to `names`, and those about everything to `wide`."""
    for record in records:
        if record.data.get("target") == audit.EVERYTHING:
            if wide is not None:
                wide.append(record)
        elif name := record.data.get("name"):
            names.add(str(name))
        yield record


def _commit(git: Git, name: str) -> str | None:
    """Return the commit that a revision (`HEAD~1`, a branch, a tag) names in this clone; `None` when it names none."""
    return None if name.startswith("-") else git.resolve(f"{name}^{{commit}}")


def _manifested(kept: TenantLedger, recorded: Collection[str], what: str) -> tuple[str, ...]:
    """Return the keys of the manifests with a name or key that no record has. A mistyped name must not look like "nothing was recorded".

    Raises:
        UsageError: the name is unknown.
    """
    desired = load_readable(kept.folder).desired
    if keys := tuple(each.key for each in desired if what in {each.name, each.key}):
        return keys
    names = sorted({*recorded, *(each.name for each in desired)})
    near = get_close_matches(what, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"names are {', '.join(names[:NAMES_SHOWN])}"
    raise UsageError(
        f"no record, manifest or commit in this clone is named {what!r}: give a commit, a manifest's name or an id; {hint}"
    )


def export(
    world: World, path: Path, tenant: str | None, since: datetime | None, until: datetime | None
) -> Report:
    """Return the audit entries that took effect in [since, until)."""
    past = _Past(read(world, path, tenant), since)
    report = of_entries(past.kept.name, audit.entries(past.records(), since=since, until=until))
    return report._replace(notes=past.notes)


def at(world: World, path: Path, tenant: str | None, instant: datetime, what: str) -> Report:
    """Return what was stored and active for an object at an instant.

    Raises:
        UsageError: no record or manifest has that name.
    """
    past = _Past(read(world, path, tenant))
    names, ahead = set[str](), audit.Offsets()
    keys = keys_of(_noting(past.records(), names), what) or _manifested(past.kept, names, what)
    about = {*keys, audit.EVERYTHING}
    records = [each for each in ahead.noting(past.records()) if each.data.get("target") in about]
    report = of_instant(past.kept.name, what, keys, instant, records, past.kept.facts, ahead)
    return report._replace(
        notes=(*past.notes, *_in_future(world, past.kept, instant), *report.notes)
    )


def _in_future(world: World, kept: TenantLedger, instant: datetime) -> tuple[str, ...]:
    """Return a note if an instant has not come yet, by the clock that decides holds and by the newest record."""
    if instant <= kept.clock(world).now():
        return ()  # the records need not be read once more
    newest = max(map(audit.moment, kept.ledger.records()), default=None)
    if newest is not None and instant <= newest:
        return ()
    ends = f"The ledger ends at {audit.stamp(newest)}" if newest else "The ledger is empty"
    return (
        f"{audit.stamp(instant)} is in the future. {ends}, and does not know what comes later.",
    )


def verify(
    world: World,
    path: Path,
    tenant: str | None,
    expect_head: str | None,
    signers: Path | None,
    expect_cut: str | None = None,
) -> Report:
    """Report whether the records are unchanged and complete, and which witnesses they were checked against.

    Raises:
        UsageError: the expected head or repair is not a full commit id.
        LedgerError: the ledger cannot be read, or is shallow.
    """
    for option, commit in (("--expect-head", expect_head), ("--expect-cut", expect_cut)):
        if commit is not None and not _WHOLE_ID.fullmatch(commit):
            raise UsageError(f"{option} {commit} is not a full commit id")
    kept = read(world, path, tenant, anyhow=True)
    allowed = read_signers(world.directory / signers, "--signers") if signers else None
    found = kept.ledger.verify(expect_head=expect_head, expect_cut=expect_cut, signers=allowed)
    report = of_verify(kept.name, shlex.quote(str(kept.folder)), found, str(kept.location))
    told = {each.problem for each in found.defects}
    notes = (each for each in kept.ledger.notes if each not in told)
    return report._replace(notes=(*notes, *report.notes))


def vouch(world: World, path: Path, tenant: str | None, head: str, reason: str) -> Report:
    """Sign the ledger at a reviewed head, so that its unsigned records count.

    Raises:
        UsageError: the head is not a full commit id, the reason is empty, or records need no signature.
        AccessError: there is no signing key, or the key does not belong to a trusted signer.
        LedgerError: the ledger's head is a different commit, or its records contradict each other.
        Unavailable: the remote that holds the ledger does not answer.
    """
    if not _WHOLE_ID.fullmatch(head):
        raise UsageError(
            f"--head {head} is not a full commit id: `reconcile audit verify {shlex.quote(str(path))}` shows it"
        )
    require_reason(reason)
    kept = read(world, path, tenant, anyhow=True)
    if not kept.location.sign:
        raise UsageError(
            "audit.sign is off in tenant.yaml: records count without a signature, so there is nothing to sign"
        )
    signing_key(world.environ, world.directory)
    record = kept.ledger.vouch(head, reason, by=provenance(world, kept.git))
    return Report(
        title=f"Vouch for the audit records of tenant {kept.name}",
        verdict=f"signed: every record up to ledger commit {head} counts",
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        notes=kept.ledger.notes,
        facts=kept.facts | {"reason": reason},
        data=record.fields(),
    )


class _Past:
    """All records of a ledger, checked as they are read: edited records must not be shown as evidence.

    Attributes:
        kept: the ledger.
    """

    def __init__(self, kept: TenantLedger, since: datetime | None = None) -> None:
        """Read records of `since` and later only, by whole segments."""
        self.kept = kept
        self._since = since
        self._cut: Record | None = None

    def records(self) -> Iterator[Record]:
        """Yield the records, oldest first. They are read again each time, so that memory does not grow with the history."""
        for record in self.kept.ledger.past(self._since):
            if self._cut is None and "cut" in record.data:
                self._cut = record
            yield record

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report, once the records were read."""
        cut = (
            ()
            if self._cut is None
            else remark_on_records((self._cut,), shlex.quote(str(self.kept.folder)))
        )
        return (*self.kept.ledger.notes, *cut)


def lock_status(world: World, path: Path, tenant: str | None) -> Report:
    """Report who holds the tenant's lock."""
    kept = read(world, path, tenant)
    lock = kept.ledger.lock.standing()
    if lock is None:
        said = "free: no apply is running"
    elif lock.problem:
        said = f"held by {lock.holder}, but the lock cannot be read ({lock.problem}). If no apply is running: reconcile lock release {shlex.quote(str(kept.folder))}"
    else:
        said = f"held by {lock.holder} since {in_seconds(lock.since)}, expires on {in_seconds(lock.expires)}"
    return _of_lock(kept, said, lock)


def lock_release(world: World, path: Path, tenant: str | None) -> Report:
    """Release the tenant's lock, whoever holds it. For a run that is known to be dead."""
    kept = read(world, path, tenant)
    lock = kept.ledger.lock.delete()
    said = "nothing to release: the lock is free"
    if lock is not None:
        said = f"released; it was held by {lock.holder} since {in_seconds(lock.since)}"
    return _of_lock(kept, said, lock)


def _of_lock(kept: TenantLedger, verdict: str, lock: Lock | None) -> Report:
    data = None
    if lock is not None:
        data = {
            "holder": lock.holder,
            "since": lock.since,
            "expires": lock.expires,
            "run_url": lock.run_url,
        }
    return Report(
        f"Lock of tenant {kept.name}",
        verdict,
        Tone.GOOD,
        0,
        facts={"kept by": str(kept.location)},
        data=data,
    )
