"""Commands about revisions, refs and configuration of a repository."""

from __future__ import annotations

from functools import cached_property

from reconciler.errors import GitError, safe
from reconciler.git.base import Base
from reconciler.git.values import Move, chosen_refs, ref_name, update_line


class Revisions(Base):
    """Resolves revisions; reads and moves refs."""

    def head(self) -> str:
        """Return the id of the commit that is checked out.

        Raises:
            GitError: there is no commit yet.
        """
        found = self.resolve("HEAD^{commit}")
        if found is None:
            raise GitError("this repository has no commit yet: commit the manifests first")
        return found

    @cached_property
    def checked_out(self) -> str | None:
        """The commit that HEAD named when first asked for; `None` if there was none. A command acts on one commit, whatever moves HEAD."""
        return self.resolve("HEAD^{commit}")

    def resolve(self, name: str) -> str | None:
        """Return the object id of a revision; `None` if it does not exist here."""
        if name.startswith("-"):
            raise GitError(f"{safe(name)}: not a revision")
        ran = self.run("rev-parse", "--verify", "--quiet", name, allowed=(0, 1, 128))
        return ran.out.decode().strip() or None if ran.code == 0 else None

    def refs(self, *names: str, below: str | None = None) -> dict[str, str]:
        """Return the object ids of those refs among `names` that exist.

        Args:
            names: full names of refs.
            below: return the refs directly below this name as well.
        """
        wanted = names if below is None else (*names, below)
        out = self.text("for-each-ref", "--format=%(objectname) %(refname)", *map(ref_name, wanted))
        rows = (line.partition(" ") for line in out.splitlines())
        return chosen_refs(((ref, value) for value, _, ref in rows), names, below)

    def update_refs(self, *moves: Move) -> None:
        """Move refs by compare-and-swap, all or none.

        Raises:
            GitError: nothing moved, or the result is unknown. Read the refs to learn which; the message does not tell.
        """
        stdin = "".join(map(update_line, moves)).encode()
        self.run("update-ref", "--no-deref", "--stdin", stdin=stdin)

    def user_name(self) -> str | None:
        """Return `user.name` of git's configuration; `None` if it is not set."""
        ran = self.run("config", "--get", "user.name", allowed=(0, 1))
        return ran.out.decode("utf-8", "replace").strip() or None
