"""The part of a forge's API with which a workflow makes a commit, a branch and a pull request, on a real bare repository."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.machine import GITCONFIG

BOT = "github-actions[bot]"
ADDRESSES = {"41898282+github-actions[bot]@users.noreply.github.com": BOT}
"""Logins by the address of a commit's author."""

_LISTED = re.compile(
    r"pulls\?state=open&base=(?P<base>[^&:]+)&head=(?P<owner>[^&:]+):(?P<branch>[^&:]+)&per_page=100"
)


@dataclass
class PullRequests:
    """Pull requests and git data of one repository.

    Attributes:
        remote: the bare repository.
        owner: owner of the repository.
        opened: every pull request that was opened through the API, in order.
    """

    remote: Path
    owner: str
    opened: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, sent: Mapping[str, Any]) -> Any:
        """Return the answer to a request; `NotImplemented` if it is about something else."""
        if found := _LISTED.fullmatch(path):
            assert (method, found["owner"]) == ("GET", self.owner)
            return [
                each
                for each in self.opened
                if (each["state"], each["head"], each["base"])
                == ("open", found["branch"], found["base"])
            ]
        match method, *path.split("/"):
            case "POST", "pulls":
                self._git("rev-parse", "--verify", f"refs/heads/{sent['head']}")
                made = {"number": len(self.opened), "user": {"login": BOT}, "state": "open"}
                self.opened.append(made | sent)
                return self.opened[-1]
            case "PATCH", "pulls", number:
                self.opened[int(number)] |= sent
                return self.opened[int(number)]
            case "GET", "commits", commit:
                address = self._git("log", "-1", "--format=%ae", commit)
                login = ADDRESSES.get(address)
                return {"author": None if login is None else {"login": login}}
            case _, "git", *_:
                return self._data(method, path.removeprefix("git/"), sent)
        return NotImplemented

    def _data(self, method: str, path: str, sent: Mapping[str, Any]) -> Any:
        match method, *path.split("/"):
            case "GET", "matching-refs", *ref:
                lines = self._git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
                refs = (line.split() for line in lines)
                return [
                    {"ref": name, "object": {"sha": sha}}
                    for name, sha in refs
                    if name.startswith(f"refs/{'/'.join(ref)}")
                ]
            case "GET", "commits", commit:
                return {"tree": {"sha": self._git("rev-parse", f"{commit}^{{tree}}")}}
            case "POST", "trees":
                return {"sha": self._tree(sent["base_tree"], sent["tree"])}
            case "POST", "commits":
                parents = [word for each in sent["parents"] for word in ("-p", each)]
                sha = self._git("commit-tree", sent["tree"], *parents, "-m", sent["message"])
                return {"sha": sha}
            case _, "refs", *_:
                return self._move(method, path, sent)
        return NotImplemented

    def _move(self, method: str, path: str, sent: Mapping[str, Any]) -> Any:
        """Make or move a branch: never main, never by force."""
        match method, *path.split("/"):
            case "POST", "refs":
                assert sent["ref"] != "refs/heads/main"
                self._git("update-ref", sent["ref"], sent["sha"], "0" * 40)
                return {}
            case "PATCH", "refs", *name:
                ref = f"refs/{'/'.join(name)}"
                assert ref != "refs/heads/main"
                assert sent["force"] is False
                self._git("merge-base", "--is-ancestor", ref, sent["sha"])
                self._git("update-ref", ref, sent["sha"])
                return {}
        return NotImplemented

    def _tree(self, base: str, entries: list[Mapping[str, str]]) -> str:
        """Store a tree with some files replaced."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": f"{folder}/index"}
            self._git("read-tree", base, **index)
            for each in entries:
                assert each["type"] == "blob"
                blob = self._git("hash-object", "-w", "--stdin", stdin=each["content"])
                info = f"{each['mode']},{blob},{each['path']}"
                self._git("update-index", "--add", "--cacheinfo", info, **index)
            return self._git("write-tree", **index)

    def _git(self, *arguments: str, stdin: str = "", **env: str) -> str:
        (address,) = ADDRESSES
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", BOT), ("EMAIL", address))
        }
        ran = subprocess.run(
            ["git", *arguments],
            cwd=self.remote,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(GITCONFIG.parent),
                "GIT_CONFIG_NOSYSTEM": "1",
            }
            | who
            | env,
            input=stdin.encode(),
            capture_output=True,
            check=True,
        )
        return ran.stdout.decode().strip()
