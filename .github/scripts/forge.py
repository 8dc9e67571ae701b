"""What the workflows ask GitHub, and what they comment on a pull request, keep in an issue or propose. Standard library only.

    python -P .github/scripts/forge.py select MAIN PULL CHANGED   tenants to plan, as an output of the step
    python -P .github/scripts/forge.py unplanned                  replace every comment on a plan: no tenant could be selected
    python -P .github/scripts/forge.py comment TENANT FILE        comment a plan, or replace the comment with the earlier one
    python -P .github/scripts/forge.py drift TENANT FILE CODE     keep one issue on a tenant's drift: open, edit or close it
    python -P .github/scripts/forge.py propose TENANT FILE JSON   keep one pull request of a tenant's proposals: open, update or close it
    python -P .github/scripts/forge.py approvals                  approvals so far, as an output of the step
    python -P .github/scripts/forge.py review                     approver and pull request, as outputs of the step

Runs from a checkout of main only. What a pull request says about itself is never believed: its number comes from GitHub, by
the id of its head commit (`HEAD_SHA`, from the event).
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Ask = Callable[..., Any]
"""Sends a request to the repository's API: path, method, and what to send. Returns the answer's JSON."""

BOT = "github-actions[bot]"
COMMENT_LIMIT = 65_536
"""Length of a comment or an issue that GitHub accepts, in characters. Bytes are counted here, which are never fewer."""

DRIFT, NO_DRIFT = "2", "0"
"""Exit codes of `reconcile drift`. Any other is a failure, which says nothing about the tenant."""

PAGE = 100
FORBIDDEN = 403
TENANT = re.compile(r"schedules/(?P<name>[a-z0-9-]{1,40})/")
ABOUT_TENANTS = "tenants that are not planned"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: `urllib` would send the token along."""

    def redirect_request(self, *_: object) -> None:
        """Return no request, so that the redirect becomes an error."""


def connect(env: Mapping[str, str]) -> Ask:
    """Return a function that sends requests to the API of this repository, with the token of the step."""
    opener = urllib.request.build_opener(_NoRedirect)

    def ask(path: str, method: str = "GET", send: object = None) -> Any:
        url = f"{env['GITHUB_API_URL']}/repos/{env['GITHUB_REPOSITORY']}/{path}"
        data = None if send is None else json.dumps(send).encode()
        headers = {
            "Authorization": f"Bearer {env['GITHUB_TOKEN']}",
            "Accept": "application/vnd.github+json",
        }
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the runner names the API
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)

    return ask


# --- the pull request -----------------------------------------------------------------------------------------------


def open_pulls(ask: Ask, env: Mapping[str, str]) -> list[int]:
    """Return the numbers of the open pull requests of this repository into main whose head is `HEAD_SHA` now."""
    here = env["GITHUB_REPOSITORY"]
    main = env["GITHUB_REF"].removeprefix("refs/heads/")
    return [
        int(pull["number"])
        for pull in ask(f"commits/{env['HEAD_SHA']}/pulls?per_page={PAGE}")
        if pull["state"] == "open"
        and pull["head"]["sha"] == env["HEAD_SHA"]
        and (pull["head"]["repo"] or {}).get("full_name") == here
        and (pull["base"]["ref"], pull["base"]["repo"]["full_name"]) == (main, here)
    ]


def split(
    main: Iterable[str], pull: Iterable[str], changed: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Return the tenants to plan, and a sentence for each changed tenant that is not planned.

    Args:
        main: tenants of main. Only these have an environment that somebody protected; GitHub would make any other one by itself.
        pull: tenants of the merge.
        changed: paths that the pull request changes.
    """
    found = {match["name"] for path in changed if (match := TENANT.match(path))}
    before, after = set(main), set(pull)
    sentences = [
        f"`{name}` is new: its manifests are validated now and planned after the merge. Create its environments before you merge."
        for name in sorted(found & after - before)
    ]
    sentences += [
        f"`{name}` loses its folder: nothing is planned, and its schedules keep dialing. To stop them, retire its manifests first."
        for name in sorted(found & before - after)
    ]
    return sorted(found & before & after), sentences


def select(ask: Ask, env: Mapping[str, str], main: str, pull: str, changed: str) -> dict[str, str]:
    """Return the tenants to plan as a matrix; comment which changed tenants are not planned."""
    pulls = open_pulls(ask, env)
    if not pulls:
        _say(
            f"{env['HEAD_SHA']} is not the head of an open pull request into main: nothing is planned"
        )
        return {}
    before, after = (
        [each["tenant"] for each in json.loads(Path(file).read_bytes())] for file in (main, pull)
    )
    paths = Path(changed).read_text(encoding="utf-8", errors="surrogateescape").split("\0")
    planned, sentences = split(before, after, paths)
    for number in pulls:
        _retire(ask, env, number, {*planned, *([ABOUT_TENANTS] if sentences else [])})
        if sentences:
            text = "\n".join(f"- {each}" for each in sentences)
            _put(ask, number, ABOUT_TENANTS, f"Not planned at {_head(env)}:\n\n{text}")
    return {"tenants": json.dumps([{"tenant": name} for name in planned])} if planned else {}


def unplanned(ask: Ask, env: Mapping[str, str]) -> dict[str, str]:
    """Comment that no tenant of this head is planned, and replace each plan of an earlier head, so that it does not look current."""
    for number in open_pulls(ask, env):
        _retire(ask, env, number, {ABOUT_TENANTS})
        text = f"**No plan** of {_head(env)}. The log of the [run]({_run(env)}) says why."
        _put(ask, number, ABOUT_TENANTS, text)
    return {}


# --- comments -------------------------------------------------------------------------------------------------------


def comment(ask: Ask, env: Mapping[str, str], tenant: str, file: str) -> dict[str, str]:
    """Comment a plan on its pull request: one comment for each tenant, replaced by each new plan.

    A plan that is too long is not cut, for the part that is left out could be the dangerous one: the comment says where it is.
    """
    path = Path(file)
    plan = path.read_text(encoding="utf-8") if path.is_file() else ""
    top = f"Tenant `{tenant}` at {_head(env)} ([run]({_run(env)})). Approve the plan of the merge, not this one.\n\n"
    if not plan:
        plan = "**No plan.** The log of the run says why."
    elif len((_mark(tenant) + top + plan).encode()) > COMMENT_LIMIT:
        plan = "**The plan is too long for a comment.** The summary of the run shows it."
    pulls = open_pulls(ask, env)
    if not pulls:
        _say(
            f"{env['HEAD_SHA']} is no longer the head of an open pull request into main: no comment"
        )
    for number in pulls:
        _put(ask, number, tenant, top + plan)
    return {}


def _run(env: Mapping[str, str]) -> str:
    return (
        f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_REPOSITORY']}/actions/runs/{env['GITHUB_RUN_ID']}"
    )


def _head(env: Mapping[str, str]) -> str:
    return f"`{env['HEAD_SHA'][:12]}`, merged into main at `{env['GITHUB_SHA'][:12]}`"


def _mark(about: str) -> str:
    return f"<!-- reconcile: {about} -->\n"


def _own(ask: Ask, number: int) -> dict[str, int]:
    """Return the ids of this workflow's comments on a pull request, by their first line. Anybody can write that line, so the author counts, too."""
    found: dict[str, int] = {}
    page = 1
    while True:
        comments = ask(f"issues/{number}/comments?per_page={PAGE}&page={page}")
        for each in comments:
            if (each["user"] or {}).get("login") == BOT:
                first, _, _ = each["body"].partition("\n")
                found.setdefault(f"{first.rstrip()}\n", each["id"])
        if len(comments) < PAGE:
            return found
        page += 1


def _put(ask: Ask, number: int, about: str, text: str) -> None:
    mark = _mark(about)
    body = {"body": mark + text}
    earlier = _own(ask, number).get(mark)
    if earlier is None:
        ask(f"issues/{number}/comments", "POST", body)
    else:
        ask(f"issues/comments/{earlier}", "PATCH", body)


def _retire(ask: Ask, env: Mapping[str, str], number: int, kept: set[str]) -> None:
    """Replace earlier comments that have no successor for this head, so that a plan of an older commit does not look current."""
    marks = {_mark(about) for about in kept}
    for mark, earlier in _own(ask, number).items():
        if mark.startswith("<!-- reconcile: ") and mark not in marks:
            text = f"{mark}Nothing to show any more at {_head(env)}."
            ask(f"issues/comments/{earlier}", "PATCH", {"body": text})


# --- the issue on drift ---------------------------------------------------------------------------------------------


def drift(ask: Ask, env: Mapping[str, str], tenant: str, file: str, code: str) -> dict[str, str]:
    """Keep exactly one open issue of a tenant that has drifted, and none of a tenant that has not.

    Args:
        ask: sends requests.
        env: variables of the step.
        tenant: the tenant.
        file: what `reconcile drift --format markdown` printed.
        code: its exit code. A check that failed says nothing, so it must not get here.
    """
    if code not in {DRIFT, NO_DRIFT}:
        raise SystemExit(f"`reconcile drift` ended with exit code {code}: the issue stays as it is")
    found = _drift_issues(ask, tenant)
    if code == NO_DRIFT:
        text = f"No drift any more at `{env['GITHUB_SHA'][:12]}` ([run]({_run(env)}))."
        for number in found:
            _close(ask, number, tenant, text)
        return {}
    issue = {"title": f"Drift of tenant {tenant}", "body": _drift_body(env, tenant, Path(file))}
    if not found:
        ask("issues", "POST", issue)
        return {}
    first, *others = found
    ask(f"issues/{first}", "PATCH", issue)
    for number in others:
        _close(ask, number, tenant, f"Issue #{first} shows the drift of this tenant.")
    return {}


def _drift_body(env: Mapping[str, str], tenant: str, file: Path) -> str:
    """Return the issue's text. A report that is too long is cut after a line: it lists the worst first, and nobody approves it.

    The cut may leave a block of code open, so nothing follows it.
    """
    report = file.read_text(encoding="utf-8")
    top = f"{_drift_mark(tenant)}Changed outside git, as of `{env['GITHUB_SHA'][:12]}` ([run]({_run(env)})). Each run of the workflow edits this issue, and closes it when there is no drift.\n\n"
    if len((top + report).encode()) <= COMMENT_LIMIT:
        return top + report
    top += "**The report is too long for an issue and is cut.** The summary of the run shows all of it.\n\n"
    room = COMMENT_LIMIT - len(top.encode())
    return top + report.encode()[:room].decode(errors="ignore").rpartition("\n")[0]


def _drift_mark(tenant: str) -> str:
    return _mark(f"drift of {tenant}")


def _close(ask: Ask, number: int, tenant: str, text: str) -> None:
    body = _drift_mark(tenant) + text
    ask(f"issues/{number}", "PATCH", {"state": "closed", "body": body})


def _drift_issues(ask: Ask, tenant: str) -> list[int]:
    """Return the numbers of this workflow's open issues on a tenant, the oldest first, by author and first line."""
    found: list[int] = []
    page = 1
    while True:
        issues = ask(f"issues?state=open&per_page={PAGE}&page={page}")
        for each in issues:
            first, _, _ = (each["body"] or "").partition("\n")
            ours = (each["user"] or {}).get("login") == BOT and "pull_request" not in each
            if ours and f"{first.rstrip()}\n" == _drift_mark(tenant):
                found.append(int(each["number"]))
        if len(issues) < PAGE:
            return sorted(found)
        page += 1


# --- the pull request of the optimizer ------------------------------------------------------------------------------


def propose(
    ask: Ask, env: Mapping[str, str], tenant: str, report: str, result: str
) -> dict[str, str]:
    """Keep exactly one open pull request with a tenant's proposals, and none if there is nothing to propose.

    The edits become a commit on a branch of their own: of GitHub's API, so that no git command pushes anything, and never forced.
    While the pull request is open, a branch that somebody else committed to is left as it is.

    Args:
        ask: sends requests.
        env: variables of the step.
        tenant: the tenant.
        report: file with what `reconcile optimize --report` wrote: the text of the pull request.
        result: file with what `reconcile optimize --format json` printed: `written` names the edited files.
    """
    files = _edited(tenant, json.loads(Path(result).read_bytes())["written"])
    pulls = _proposals(ask, env, tenant)
    ours = [each for each in pulls if (each["user"] or {}).get("login") == BOT]
    if not files:
        text = f"Nothing to propose any more at `{env['GITHUB_SHA'][:12]}` ([run]({_run(env)}))."
        for each in ours:
            ask(f"pulls/{each['number']}", "PATCH", {"state": "closed", "body": text})
        return {}
    branch = _branch(tenant)
    head = _head_of(ask, branch)
    if pulls and (head is None or len(ours) < len(pulls) or _author(ask, head) != BOT):
        _say(
            f"the newest commit of {branch} is somebody else's: the branch and its pull request stay as they are"
        )
        return {}
    _commit(ask, env, tenant, head, files)
    _open(ask, env, tenant, [each["number"] for each in ours], _proposal_body(env, Path(report)))
    return {}


def _branch(tenant: str) -> str:
    return f"reconcile-optimize/{tenant}"


def _edited(tenant: str, written: Iterable[str]) -> dict[str, Path]:
    """Return the edited files by their path in the repository. Nothing outside the tenant's folder is ever proposed."""
    top = Path.cwd().resolve()
    found = {path.resolve().relative_to(top).as_posix(): path for path in map(Path, written)}
    for name, path in found.items():
        if not name.startswith(f"schedules/{tenant}/") or path.is_symlink():
            raise SystemExit(f"{name} is not a file of schedules/{tenant}: nothing is proposed")
    return found


def _proposals(ask: Ask, env: Mapping[str, str], tenant: str) -> list[Any]:
    """Return the open pull requests into main from a tenant's branch of this repository."""
    owner, _, _ = env["GITHUB_REPOSITORY"].partition("/")
    main = env["GITHUB_REF"].removeprefix("refs/heads/")
    found: list[Any] = ask(
        f"pulls?state=open&base={main}&head={owner}:{_branch(tenant)}&per_page={PAGE}"
    )
    return found


def _head_of(ask: Ask, branch: str) -> str | None:
    """Return the commit of a branch; `None` if there is no such branch."""
    found = ask(f"git/matching-refs/heads/{branch}")
    return next(
        (str(each["object"]["sha"]) for each in found if each["ref"] == f"refs/heads/{branch}"),
        None,
    )


def _author(ask: Ask, commit: str) -> str | None:
    """Return the login of a commit's author, which GitHub takes from its address."""
    return (ask(f"commits/{commit}")["author"] or {}).get("login")


def _commit(
    ask: Ask, env: Mapping[str, str], tenant: str, head: str | None, files: Mapping[str, Path]
) -> None:
    """Put a commit on the tenant's branch: main with the edits.

    Its parents are the branch's head and main, so that the branch moves forward without force, whatever became of earlier proposals.
    """
    main = env["GITHUB_SHA"]
    tree = [
        {"path": name, "mode": "100644", "type": "blob", "content": path.read_bytes().decode()}
        for name, path in sorted(files.items())
    ]
    base = ask(f"git/commits/{main}")["tree"]["sha"]
    made = ask("git/trees", "POST", {"base_tree": base, "tree": tree})["sha"]
    if head is not None and ask(f"git/commits/{head}")["tree"]["sha"] == made:
        return
    commit = {
        "message": f"Propose rates for tenant {tenant}\n\nFrom observed answers, by the workflow optimize. Nothing is applied before somebody merges and approves it.",
        "tree": made,
        "parents": [main] if head is None else [head, main],
    }
    sha, branch = ask("git/commits", "POST", commit)["sha"], _branch(tenant)
    if head is None:
        ask("git/refs", "POST", {"ref": f"refs/heads/{branch}", "sha": sha})
    else:
        ask(f"git/refs/heads/{branch}", "PATCH", {"sha": sha, "force": False})


def _open(ask: Ask, env: Mapping[str, str], tenant: str, numbers: Sequence[int], body: str) -> None:
    """Open the pull request, or edit the one that is open."""
    texts = {"title": f"Optimize tenant {tenant}", "body": body}
    for number in numbers:
        ask(f"pulls/{number}", "PATCH", texts)
    if not numbers:
        main = env["GITHUB_REF"].removeprefix("refs/heads/")
        try:
            ask("pulls", "POST", {**texts, "head": _branch(tenant), "base": main})
        except urllib.error.HTTPError as error:
            if error.code != FORBIDDEN:
                raise
            raise SystemExit(
                "GitHub lets no workflow open a pull request here: allow it in Settings > Actions > General, Workflow permissions"
            ) from None


def _proposal_body(env: Mapping[str, str], file: Path) -> str:
    """Return the pull request's text. A report that is too long is not cut: the summary of the run shows it."""
    report = file.read_text(encoding="utf-8")
    top = f"Proposed from observed answers at `{env['GITHUB_SHA'][:12]}` ([run]({_run(env)})). Edit the branch as you like: the workflow then leaves it alone. It is planned like any other change, and applied only after it was merged and approved.\n\n"
    if len((top + report).encode()) > COMMENT_LIMIT:
        report = "**The report is too long for a pull request.** The summary of the run shows it."
    return top + report


# --- the approval ---------------------------------------------------------------------------------------------------


def approvals(ask: Ask, env: Mapping[str, str]) -> dict[str, str]:
    """Return how often each person has approved `ENVIRONMENT` in this run so far, as JSON.

    GitHub's list holds the reviews of all attempts of a run and says of none when it was given, or in which attempt. So the job that
    plans asks before there is anything to approve; what is added afterwards was approved in this attempt, with its plan shown.
    """
    reviews = ask(f"actions/runs/{env['GITHUB_RUN_ID']}/approvals")
    found = Counter(
        str(each["user"]["login"])
        for each in reviews
        if each["state"] == "approved"
        and env["ENVIRONMENT"] in (one["name"] for one in each["environments"])
    )
    return {"approvals": json.dumps(found, sort_keys=True)}


def approver(ask: Ask, env: Mapping[str, str]) -> str:
    """Return who approved `ENVIRONMENT` since this attempt's plan; empty when that is not certain.

    `EARLIER` and `PLANNED_ATTEMPT` are outputs of the job that planned. A rerun of failed jobs does not plan again: then reviews of
    several attempts are added, and which of them let this attempt through is unknown.
    """
    if env["PLANNED_ATTEMPT"] != env["GITHUB_RUN_ATTEMPT"] or not env["EARLIER"]:
        _say(
            "the approver is not recorded: GitHub does not say which approval belongs to this attempt. Rerun all jobs, not failed jobs, to have it recorded"
        )
        return ""
    added = Counter(json.loads(approvals(ask, env)["approvals"])) - Counter(
        json.loads(env["EARLIER"])
    )
    return ", ".join(sorted(added))


def review(ask: Ask, env: Mapping[str, str]) -> dict[str, str]:
    """Return the approver, and the pull request whose merge is this commit. Uncertain values are left out."""
    found = {"approver": approver(ask, env)}
    sha = env["GITHUB_SHA"]
    pulls = [
        each
        for each in ask(f"commits/{sha}/pulls?per_page={PAGE}")
        if each["merged_at"] and each["merge_commit_sha"] == sha
    ]
    if len(pulls) == 1:
        found |= {
            "pull_request": str(pulls[0]["number"]),
            "reviewed_head": str(pulls[0]["head"]["sha"]),
        }
    return found


# --- the command ----------------------------------------------------------------------------------------------------

COMMANDS: dict[str, Callable[..., dict[str, str]]] = {
    "approvals": approvals,
    "comment": comment,
    "drift": drift,
    "propose": propose,
    "review": review,
    "select": select,
    "unplanned": unplanned,
}


def _say(text: str) -> None:
    """Show a notice in the run; stdout is for outputs."""
    print(f"::notice::{text}", file=sys.stderr)


def main(arguments: list[str], env: Mapping[str, str]) -> None:
    """Run a command; print its outputs, each on one line whatever it holds."""
    command, *rest = arguments
    for name, value in COMMANDS[command](connect(env), env, *rest).items():
        print(f"{name}={' '.join(value.split())}")


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
