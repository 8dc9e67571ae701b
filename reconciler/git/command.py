"""Command line of git: fixed options, a clean environment, time limits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

TIMEOUT_S: Final = 60.0
"""Time limit of one local git command, in seconds."""

NETWORK_TIMEOUT_S: Final = 120.0
"""Time limit of one fetch or push, in seconds."""

_SETTINGS: Final = (
    "commit.gpgSign=false",
    "core.askPass=",
    "core.filesRefLockTimeout=500",
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.packedRefsTimeout=2000",
    "core.untrackedCache=false",
    "fetch.prune=false",
    "gc.auto=0",
    "i18n.commitEncoding=UTF-8",
    "maintenance.auto=false",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "safe.bareRepository=explicit",
)

_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",  # a URL can start no other remote helper
    "GIT_COMMITTER_EMAIL": "reconcile@localhost",
    "GIT_COMMITTER_NAME": "reconcile",
    "GIT_GRAFT_FILE": f"{os.devnull}/none",  # git warns of a graft file that exists and is empty
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}

ONLY_SSH_SIGNATURES: Final = (
    "log.showSignature=false",
    *(f"gpg.{name}={os.devnull}/none" for name in ("program", "openpgp.program", "x509.program")),
)
"""Settings under which `git log` accepts SSH signatures only."""

_DROPPED: Final = frozenset({"LANGUAGE", "RECONCILE_PROXY_PASSWORD", "SSH_ASKPASS"})


def settings(*names: str) -> tuple[str, ...]:
    """Return the options of git that set `name=value` for one command."""
    return tuple(part for name in names for part in ("-c", name))


OPTIONS: Final = (
    *("git", "--no-pager", "--no-optional-locks", "--literal-pathspecs"),
    *settings(*_SETTINGS),
)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a git command: `environ` without git's own variables and our secrets, plus fixed values."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("GIT_", "CXONE_")) and name not in _DROPPED
    }
    # Git runs in the work tree. A relative folder on PATH would be a folder that a commit can fill.
    search = filter(os.path.isabs, kept.pop("PATH", "").split(os.pathsep))
    return kept | _ENVIRONMENT | {"PATH": os.pathsep.join(search) or os.defpath}


def name_of(arguments: Sequence[str]) -> str:
    """Return `git` and the subcommand of an argument list, for messages."""
    return "git " + next((a for a in arguments if not a.startswith("-") and "=" not in a), "")
