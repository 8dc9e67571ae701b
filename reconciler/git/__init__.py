"""The only package that runs git, or any other process.

`Git` is one repository: revisions, refs, objects, remotes. `worktree` has its files: how they differ from a commit, and
what they held at one. `discovery` decides which repository is used, and `configuration` which of its settings are
accepted; git itself searches for nothing.

Each command is a process of its own. Only requests about objects are answered by one `git cat-file` process, which ends with its
`Git`: half of what a plan asks git are such requests.

Git runs from an argument list, with a timeout, in its own session: Ctrl-C at the terminal reaches only this program, and
git can ask no question. `GIT_*` and our secrets are taken out of its environment. Hooks, fsmonitor, signing settings,
replace refs and grafts of the repository are off, and file, http(s) and ssh are the only transports. The way of running it
follows setuptools-scm. Works in worktrees and shallow clones, with SHA-1 and SHA-256.
"""

from reconciler.git.discovery import find_top
from reconciler.git.process import Children
from reconciler.git.remotes import push_where_fetched
from reconciler.git.repository import Git
from reconciler.git.values import (
    FILE,
    TREE,
    Commit,
    Entry,
    Identity,
    Move,
    Signature,
    Stat,
    blob_id,
)

__all__ = [
    "FILE",
    "TREE",
    "Children",
    "Commit",
    "Entry",
    "Git",
    "Identity",
    "Move",
    "Signature",
    "Stat",
    "blob_id",
    "find_top",
    "push_where_fetched",
]
