"""Read the environment and the options of a run into one frozen value.

A secret is sent to one host only. The tenant's URL must be the same in `tenant.yaml`, which a pull request can change, and in
the environment beside the secret, which it cannot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from reconciler import defaults
from reconciler.dialects.base import Credentials
from reconciler.environment import (
    ACTOR,
    APPROVER,
    ATTEMPT,
    PROXY_PASSWORD,
    PULL_REQUEST,
    REF,
    REVIEWED_HEAD,
    RUN,
    SIGNING_KEY,
    USER,
    Variables,
)
from reconciler.errors import SHORTENED_TO, AccessError, UsageError, safe
from reconciler.models import EMBEDDED, is_loopback, tenant_url

EMBEDDED_URL: Final = "http://127.0.0.1"
"""Base URL of requests to the embedded platform in this process. No socket is opened for it."""

_PULL_REQUEST: Final = re.compile(r"refs/pull/(\d+)/")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How the client talks to a platform: options of the command line and of `tenant.yaml`.

    Attributes:
        requests_per_second: request rate of the tenant, for all requests of the run together.
        concurrency: most requests in flight at the same time.
        deadline_s: seconds that the whole run may take (`--deadline`).
        urgent: this is an emergency stop: there is no request rate, and only a 429 slows it.
        wait_s: seconds after which the caller waits for no answer any more (`--wait` of a stop). Only messages name it.
        proxy: http or https URL of a proxy (`--proxy`). It may name a user, whose password is in the environment
            (`PROXY_PASSWORD`). Other proxy variables are ignored.
        ca_bundle: PEM file of authorities to trust instead of the public ones (`--ca-bundle`).
        api_version: version of the tenant's API, if the API has versions.
        api_versions: versions of endpoint groups that differ from it, by the first part of their path.
    """

    requests_per_second: float = defaults.REQUESTS_PER_SECOND
    concurrency: int = defaults.CONCURRENCY
    deadline_s: float = defaults.DEADLINE_S
    urgent: bool = False
    wait_s: float = inf
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    api_version: int | None = None
    api_versions: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values, which also come from the Python API.

        Raises:
            UsageError: a rate, a count or a time is out of range, or the proxy is not an http(s) URL or holds a password.
        """
        if not 0 < self.requests_per_second < float("inf"):
            raise UsageError("requests_per_second must be above 0")
        if self.concurrency < 1:
            raise UsageError("--concurrency must be at least 1")
        if not 0 < self.deadline_s < float("inf"):
            raise UsageError("--deadline must be a number above 0")
        if self.proxy is not None and not _is_proxy(self.proxy):
            raise UsageError("--proxy must be a URL like http://proxy.example:3128")
        if self.proxy is not None and urlsplit(self.proxy).password is not None:
            raise UsageError(
                "--proxy must not hold a password, because other processes can read the command line: name only the user"
                f" (http://USER@proxy.example:3128) and set {PROXY_PASSWORD}"
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """Connection settings of a tenant: endpoint, credentials, request rate and network options.

    Attributes:
        tenant: name of the tenant's folder.
        url: scheme, host and port, such as `https://acme.cxonecloud.com`; `sandbox:` for the embedded platform.
        credentials: `None` for the embedded platform, until its own are filled in.
        variables: names of the variables that were read, for messages.
        options: see `ClientOptions`.
        api_url: another host that the API may be at, if the environment names one.
        proxy_password: password of the user in `options.proxy`.
    """

    tenant: str
    url: str
    credentials: Credentials | None
    variables: Variables = field(default_factory=Variables)
    options: ClientOptions = field(default_factory=ClientOptions)
    api_url: str | None = None
    proxy_password: str | None = field(default=None, repr=False)

    @property
    def proxy(self) -> str | None:
        """URL of the proxy, with the password of its user."""
        if self.options.proxy is None or self.proxy_password is None:
            return self.options.proxy
        parts = urlsplit(self.options.proxy)
        user, _, host = parts.netloc.rpartition("@")
        password = quote(self.proxy_password, safe="")
        return parts._replace(netloc=f"{user}:{password}@{host}").geturl()

    @property
    def in_process(self) -> bool:
        """Whether the platform is the embedded one, in this process."""
        return self.url == EMBEDDED

    @property
    def base_url(self) -> str:
        """URL that the path of each call is appended to."""
        return EMBEDDED_URL if self.in_process else self.url

    @classmethod
    def read(
        cls,
        environ: Mapping[str, str],
        tenant: str,
        url: str,
        *,
        options: ClientOptions | None = None,
    ) -> Settings:
        """Return the settings of one tenant.

        Args:
            environ: the environment of the process.
            tenant: name of the tenant's folder.
            url: `url` of its `tenant.yaml`.
            options: defaults when `None`.

        Raises:
            AccessError: a variable is missing or unusable, or the URL is not the one that the secret belongs to. The
                message names the variable and never contains a secret.
        """
        variables, values = _choose(environ, tenant)
        proxy = _Values({PROXY_PASSWORD: environ.get(PROXY_PASSWORD, "")})
        del environ  # a traceback that shows local variables must not show the secret
        options = options or ClientOptions()
        _check_proxy(options.proxy, proxy)
        _check_url(url, values, tenant, variables)
        if url == EMBEDDED == values.get(variables.url, EMBEDDED):
            return cls(tenant, EMBEDDED, None, variables, options)
        _check_complete(values, tenant, variables)
        own = _origin(values[variables.url], variables.url)
        api = values.get(variables.api_url)
        api_url = _origin(api, variables.api_url) if api else None
        credentials = _credentials(values, variables)
        password = proxy[PROXY_PASSWORD] or None
        return cls(tenant, own, credentials, variables, options, api_url, password)


@dataclass(frozen=True, slots=True)
class CIContext:
    """Facts about a run from CI variables, escaped and shortened. They are recorded, never trusted. Unknown values are `None`.

    Attributes:
        actor: who started the run (`GITHUB_ACTOR`).
        approver: who approved the plan (`RECONCILE_APPROVER`, set by the workflow).
        pull_request: number of the pull request (`RECONCILE_PULL_REQUEST`, or from `GITHUB_REF`).
        run_url: URL of the run's log.
        reviewed_head: the commit that was reviewed (`RECONCILE_REVIEWED_HEAD`, set by the workflow).
        attempt: number of the attempt of the run (`GITHUB_RUN_ATTEMPT`).
    """

    actor: str | None = None
    approver: str | None = None
    pull_request: str | None = None
    run_url: str | None = None
    reviewed_head: str | None = None
    attempt: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> CIContext:
        """Read the context from the environment."""
        ref = _PULL_REQUEST.match(environ.get(REF, ""))
        return cls(
            actor=_shorten(environ.get(ACTOR)),
            approver=_shorten(environ.get(APPROVER)),
            pull_request=_shorten(environ.get(PULL_REQUEST)) or (ref and ref[1]),
            run_url=_run_url(environ),
            reviewed_head=_shorten(environ.get(REVIEWED_HEAD)),
            attempt=_shorten(environ.get(ATTEMPT)),
        )


def user(environ: Mapping[str, str]) -> str | None:
    """Return the user name from the environment; `None` if it is not set, as in a container."""
    return next((environ[name] for name in USER if environ.get(name)), None)


def signing_key(environ: Mapping[str, str], directory: Path) -> Path:
    """Return the SSH key file that signs ledger commits.

    Only the environment names it: a pull request can change `tenant.yaml`.

    Raises:
        AccessError: the variable is not set, or there is no such file.
    """
    named = environ.get(SIGNING_KEY)
    if not named:
        raise AccessError(
            f"audit.sign is on in tenant.yaml and {SIGNING_KEY} is not set: set it to the path of an SSH private key"
        )
    file = directory / named
    if not file.is_file():
        raise AccessError(
            f"{SIGNING_KEY} does not name a file ({safe(named, limit=SHORTENED_TO)}): set it to the path of an SSH private key"
        )
    return file


def _shorten(text: str | None) -> str | None:
    return safe(text, limit=SHORTENED_TO) if text else None


def _run_url(environ: Mapping[str, str]) -> str | None:
    server, repository, run = (environ.get(name, "") for name in RUN)
    attempt = environ.get(ATTEMPT, "")
    if not (server and repository and run):
        return None
    again = "" if attempt in {"", "1"} else f"/attempts/{attempt}"
    return _shorten(f"{server}/{repository}/actions/runs/{run}{again}")


class _Values:
    """Values of variables whose `repr` shows names only, because a traceback may show it.

    Not a mapping: tools that render local variables show the items of a mapping instead of its `repr`.
    """

    __slots__ = ("_names", "get")

    def __init__(self, values: Mapping[str, str]) -> None:
        self._names = tuple(values)
        self.get = values.get

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __repr__(self) -> str:
        return f"<{', '.join(self._names)}>"


def _choose(environ: Mapping[str, str], tenant: str) -> tuple[Variables, _Values]:
    """Return the tenant's own set of variables if any of it is set, else the common set. Empty means unset, as CI sets them."""
    own = Variables.of(tenant)
    variables = own if any(environ.get(name) for name in own.names()) else Variables()
    return variables, _Values(
        {name: environ[name] for name in variables.names() if environ.get(name)}
    )


def _check_complete(values: _Values, tenant: str, variables: Variables) -> None:
    needed = (variables.url, variables.client_id, variables.client_secret)
    missing = [name for name in needed if name not in values]
    if missing:
        are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        why = "" if len(missing) == len(needed) else f", because {_and(needed)} are read as one set"
        raise AccessError(f"tenant {tenant}: {_and(missing)} {are} not set: set {them}{why}")


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _credentials(values: _Values, variables: Variables) -> Credentials:
    unclean = [name for name in variables.names() if _is_unclean(values.get(name, ""))]
    if unclean:
        raise AccessError(f"{_and(unclean)}: {_UNCLEAN}")
    if (variables.app_id in values) != (variables.app_secret in values):
        raise AccessError(
            f"{variables.app_id} and {variables.app_secret} stand together: set both, or neither"
        )
    return Credentials(
        values[variables.client_id],
        values[variables.client_secret],
        values.get(variables.scope),
        values.get(variables.app_id),
        values.get(variables.app_secret),
    )


_UNCLEAN = "white space at an end, or a control character; set it again without"


def _is_unclean(value: str) -> bool:
    return value != value.strip() or not value.isprintable()


def check_url(environ: Mapping[str, str], tenant: str, url: str) -> None:
    """Check that `tenant.yaml` and the environment name the same platform, if the environment names one.

    The arguments are those of `Settings.read`.

    Raises:
        AccessError: they differ, or one of them is not a valid URL of a tenant.
    """
    variables, values = _choose(environ, tenant)
    del environ  # a traceback that shows local variables must not show the secret
    _check_url(url, values, tenant, variables)


def _check_url(url: str, values: _Values, tenant: str, variables: Variables) -> None:
    """Check that both URLs are equal. A server on this machine may replace the embedded platform."""
    wanted = _origin(url, "`url` in tenant.yaml")
    if variables.url not in values:
        return
    owned = _origin(values[variables.url], variables.url)
    if wanted == owned or (wanted == EMBEDDED and is_loopback(owned)):
        return
    unset = f", or unset {variables.url} for the embedded one" if wanted == EMBEDDED else ""
    raise AccessError(
        f"tenant {tenant}: `url` in tenant.yaml is {wanted} but {variables.url} is {owned}: the secret is sent "
        f"only where both agree, so correct the one that is wrong{unset}"
    )


def _origin(url: str, where: str) -> str:
    """Return a valid URL of a tenant. There is one way to write it, so equal URLs mean the same host.

    Raises:
        AccessError: not valid. The message does not quote the value, which is a secret if somebody mixed up variables.
    """
    try:
        return tenant_url(url)
    except ValueError as error:
        trouble = str(error).partition(", not ")[0]
    raise AccessError(f"{where} {safe(trouble)}")


def _check_proxy(url: str | None, values: _Values) -> None:
    if url is None or not values[PROXY_PASSWORD]:
        return
    if not urlsplit(url).username:
        raise AccessError(
            f"{PROXY_PASSWORD} is set and --proxy names no user: write http://USER@… or unset the variable"
        )
    if _is_unclean(values[PROXY_PASSWORD]):
        raise AccessError(f"{PROXY_PASSWORD}: {_UNCLEAN}")


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False
