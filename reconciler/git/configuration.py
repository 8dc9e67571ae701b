"""Which git settings are accepted, by where they come from.

The rule is: who can write the file?

- A committed file: a pull request can write it. Settings from such a file are refused, however git came to read it
  (`include.path = ../.gitconfig`, a `HOME` inside the checkout).
- The configuration of the user, the CI runner and the system (`--global`, `--system`): accepted as it is, such as the
  credential helper, ssh command, proxy and `safe.directory`.
- The repository's own (`.git/config`, `config.worktree`, and their includes): no commit writes it, but tools do, and a
  program that it names is often a committed script. Settings that are known to be plain data are accepted. A setting that
  names a program, or that is unknown, is refused by name.

This is git's own notion of *protected configuration* (`safe.directory`), applied to every setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.errors import SHORTENED_TO, GitError, safe
from reconciler.git.discovery import is_committable

_OWN: Final = frozenset({"local", "worktree"})
"""The scopes of the repository's own configuration."""

_READ: Final = (
    "apply branch checkout clean clone color column commit commitgraph extensions feature fetch format fsck http i18n include"
    " includeif index init log mailmap notes pack protocol pull push rebase receive remotes rerere revert safe showbranch"
    " sparse splitindex stash status tag transfer url user versionsort worktree"
)
"""Sections in which no setting names a program."""

_UNREAD: Final = (
    "advice alias am blame cherry completion difftool gc gitflow github gitk grep gui guitool help instaweb interactive lfs"
    " mailinfo maintenance mergetool submodule vscode web"
)
"""Sections of commands that `reconcile` never runs, or of other programs."""

_DATA: Final = frozenset(f"{_READ} {_UNREAD}".split())
"""Sections in which every setting is accepted."""

_SOME: Final = {
    "core": (
        "abbrev attributesfile autocrlf bare bigfilethreshold checkroundtripencoding checkstat commentchar commentstring"
        " commitgraph compression createobject deltabasecachelimit editor eol excludesfile filemode filesreflocktimeout fsync"
        " fsyncmethod fsyncobjectfiles hidedotfiles ignorecase ignorestat logallrefupdates longpaths loosecompression"
        " maxtreedepth multipackindex notesref packedgitlimit packedgitwindowsize packedrefstimeout pager precomposeunicode"
        " prefersymlinkrefs preloadindex protecthfs protectntfs quotepath repositoryformatversion safecrlf sharedrepository"
        " sparsecheckout sparsecheckoutcone splitindex symlinks trustctime unsetenvvars untrackedcache usereplacerefs"
        " warnambiguousrefs whitespace worktree"
        " askpass fsmonitor hookspath"  # overridden each time git is run
    ),
    "credential": "interactive usehttppath username",
    "diff": (
        "algorithm autorefreshindex binary cachetextconv colormoved context guitool ignoresubmodules indentheuristic"
        " interhunkcontext mnemonicprefix noprefix orderfile relative renamelimit renames statgraphwidth submodule"
        " suppressblankempty tool wordregex xfuncname"
    ),
    "gpg": "format mintrustlevel",
    "merge": "autostash branchdesc conflictstyle directoryrenames ff guitool log name recursive renamelimit renames stat tool",
    "remote": (
        "fetch followremotehead gh-resolved mirror partialclonefilter promisor proxy prune prunetags push pushdefault pushurl"
        " serveroption skipdefaultupdate skipfetchall tagopt url"
    ),
    "uploadpack": "allowanysha1inwant allowfilter allowreachablesha1inwant allowtipsha1inwant hiderefs",
}
"""Sections in which a setting may name a program, each with the settings that do not."""

_NAMES: Final = {section: frozenset(names.split()) for section, names in _SOME.items()}


class Setting(NamedTuple):
    """One setting that git would read: its scope, its file, and its name (`section.subsection.name`)."""

    scope: str
    origin: str
    key: str


def parse(listed: str) -> Iterator[Setting]:
    """Parse the output of `git config --list -z --show-scope --show-origin`."""
    parts = iter(listed.split("\0"))
    for scope, origin, setting in zip(parts, parts, parts, strict=False):
        yield Setting(scope, origin, setting.partition("\n")[0])


def check(settings: Iterator[Setting], top: Path) -> None:
    """Refuse settings from files that a commit can change, and settings that a repository may not make.

    Raises:
        GitError: names the setting, its file and the remedy.
    """
    for scope, origin, key in settings:
        kind, _, file = origin.partition(":")
        shown = safe(key, limit=SHORTENED_TO)
        if kind == "file" and is_committable(top / file, top):
            raise GitError(
                f"git would read {shown} from {safe(file)}, a file that a commit can change: move the setting to your own"
                " configuration (`git config --global`) and remove the include of that file"
            )
        if scope in _OWN and not _is_accepted(key):
            raise GitError(
                f"git setting {shown} in {safe(file)} is not accepted from a repository, because it may name a program:"
                f" move it to your own configuration (`git config --global`), or remove it (`git config --unset-all {shown}`)"
            )


def _is_accepted(key: str) -> bool:
    section, name = key.partition(".")[0], key.rpartition(".")[2]
    return section in _DATA or name in _NAMES.get(section, ())
