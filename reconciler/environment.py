"""The environment variables that reconcile reads, each with its meaning below. `reconcile explain environment` prints both."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

SIGNING_KEY: Final = "RECONCILE_SIGNING_KEY"
"""Path of the SSH private key that signs the audit records (`audit: {sign: true}` in `tenant.yaml`)."""

SIGNERS: Final = "RECONCILE_SIGNERS"
"""Path of an allowed signers file that replaces `audit.signers` of `tenant.yaml`; never a file of the repository."""

PROXY_PASSWORD: Final = "RECONCILE_PROXY_PASSWORD"  # noqa: S105 - the variable's name, not its value
"""Password of the user that `--proxy` names."""

APPROVER: Final = "RECONCILE_APPROVER"
"""Who approved the plan. Recorded as it stands; the workflow sets it from the forge's list of approvals. It counts only for a run with `--expect` or `--approved`, beside that digest."""

PULL_REQUEST: Final = "RECONCILE_PULL_REQUEST"
"""Number of the pull request. Recorded as it stands; without it the number comes from `GITHUB_REF`."""

REVIEWED_HEAD: Final = "RECONCILE_REVIEWED_HEAD"
"""The commit that was reviewed. Recorded as it stands; the workflow sets it."""

ACTOR: Final = "GITHUB_ACTOR"
"""Who started the run. Recorded as it stands; GitHub sets it."""

USER: Final = ("USER", "LOGNAME")
"""Who started the run, where `GITHUB_ACTOR` is not set. The first one that is set counts."""

REF: Final = "GITHUB_REF"
"""The ref that the run is for, from which the number of a pull request is read. GitHub sets it."""

ATTEMPT: Final = "GITHUB_RUN_ATTEMPT"
"""Attempt of the CI run, which is recorded, and part of the address of its log. GitHub sets it."""

RUN: Final = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
"""Part of the address of the run's log, which is recorded. GitHub sets it."""

NO_COLOR: Final = "NO_COLOR"
"""Set to anything: no colour on a terminal."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The names of the environment variables that speak for a tenant. One set, never mixed with another."""

    url: str = "CXONE_TENANT_URL"
    """URL of the tenant's platform. It must equal `spec.url` in `tenant.yaml`, so that a pull request cannot send the secret to another host. Every command that reads the platform or its records refuses a contradiction (exit 77)."""

    client_id: str = "CXONE_CLIENT_ID"
    """Id of the client credentials. Personal Connection: id of the access key."""

    client_secret: str = "CXONE_CLIENT_SECRET"  # noqa: S105 - the variable's name, not its value
    """Secret of the client credentials, or of the access key. It is read from the environment only, and never shown."""

    scope: str = "CXONE_SCOPE"
    """Scopes to request, when the client has more than the command needs."""

    app_id: str = "CXONE_APP_ID"
    """Personal Connection: id of an application. With it the access key is sent to the token endpoint that discovery names."""

    app_secret: str = "CXONE_APP_SECRET"  # noqa: S105 - same
    """Personal Connection: secret of that application."""

    api_url: str = "CXONE_API_URL"
    """Personal Connection: URL of an API host outside the vendor's domains (`nice-incontact.com`, `niceincontact.com`). Requests go to no other."""

    @classmethod
    def of(cls, tenant: str) -> Variables:
        """Return the names of a tenant's own variables: `acme-eu` → `CXONE_ACME_EU_CLIENT_ID`."""
        prefix = f"CXONE_{tenant.upper().replace('-', '_')}_"
        return cls(*(prefix + name.removeprefix("CXONE_") for name in cls().names()))

    def names(self) -> tuple[str, ...]:
        """Return all names."""
        return astuple(self)
