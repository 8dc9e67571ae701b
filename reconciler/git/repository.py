"""One repository, through the git command."""

from __future__ import annotations

from reconciler.git.history import History
from reconciler.git.remotes import Remotes


class Git(History, Remotes):
    """One repository: revisions, refs, objects, history and remotes.

    One class, because each method is one git command, run in the same way against the same repository; its commands stand
    in one module for each subject. What needs no repository is in `values` (checks and parsing), `command`, `discovery` and
    `configuration`; files are in `worktree`. `Base` describes the arguments.
    """
