"""The only door to git, and to any other process.

```
toplevel(path, environ=…) -> Path | None            the work tree that holds a path; None when there is none
Git.find(path, environ=…) -> Git | None             the repository there
Git(root, environ=…, runner=…, timeout_s=…)
  .head() .resolve(name) .refs(*names) .is_ancestor(a, b) .remotes()      what is where
  .commits_between(a, b, folder) .commits_of(path, limit)                 what touched it
  .is_clean(folder) .differing(folder)                                    does a folder equal HEAD
  .stat(*ids) .read(*ids) .read_blob(id, limit) .walk(tip)                objects
  .signatures(tip, signers)                                               who signed what
  .write_blob(data) .make_tree(entries) .commit_tree(tree, …)             objects, made
  .update_refs(*moves)                                                    compare-and-swap, all or none
  .remote_refs(remote, *refs) .fetch(remote, *refs) .push(remote, *moves) another repository
```

`discovery` decides which repository is ours, and `configuration` which settings git may read; git is told, and looks for
nothing itself.

Git runs from an argument list, in its own session (a Ctrl-C at the terminal is ours to handle, and nothing can ask a
question), with `GIT_*` and our own secrets taken out of its environment, without the repository's hooks, fsmonitor,
signing, replace refs and grafts, with no transport but file, http(s) and ssh, in UTF-8, with a timeout. The manner of
running it follows setuptools-scm.
Works in worktrees, in shallow clones, with SHA-1 and SHA-256.
"""

from reconciler.git.process import Ran, Runner, run_process
from reconciler.git.repository import Git, toplevel
from reconciler.git.values import FILE, TREE, Entry, Identity, Move, Signature, Stat, blob_id

__all__ = [
    "FILE",
    "TREE",
    "Entry",
    "Git",
    "Identity",
    "Move",
    "Ran",
    "Runner",
    "Signature",
    "Stat",
    "blob_id",
    "run_process",
    "toplevel",
]
