"""Environment and options, read once into one frozen value.

A secret leaves for one host alone: the tenant's URL must stand both in `tenant.yaml`, which a pull request may change, and
in the environment beside the secret, which it may not, and the two must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
"""Where requests to the platform in process are addressed; no socket is ever opened for it."""

DEFAULT_RATE: Final = 5.0
"""Requests per second of a tenant that says nothing (`requests_per_second` of `tenant.yaml`)."""

DEFAULT_BURST_S: Final = 0.04
"""Seconds' worth of requests that may leave at once after a pause: at 50 requests a second, 2.

A platform that stalls counts all that was in flight at once, and then what leaves in a burst: eight lanes and two more are as
many as a bucket of ten takes. A refusal, which halves the pace for a while, costs more than the stalls that a longer burst
would make good.
"""

URGENT_BURST_S: Final = 2.0
"""The same for an emergency stop: a pause has saved it, and a call that is not stopped costs more than a refusal."""
_PULL_REQUEST: Final = re.compile(r"refs/pull/(\d+)/")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What the command line and `tenant.yaml` say of a run.

    Attributes:
        requests_per_second: the tenant's request rate, for all requests of the run together.
        concurrency: requests in flight at most.
        deadline_s: seconds that the whole run may take (`--deadline`).
        burst_s: seconds' worth of requests that may leave at once after a pause.
        proxy: http or https URL of a proxy (`--proxy`); the environment's proxies are ignored. It may name a
            user, whose password the environment holds (`PROXY_PASSWORD`).
        ca_bundle: PEM file to trust instead of the public authorities (`--ca-bundle`).
        api_version: the tenant's, where its API has versions.
        api_versions: of the endpoint groups that speak another version, by the first part of their path.
    """

    requests_per_second: float = DEFAULT_RATE
    concurrency: int = defaults.CONCURRENCY
    deadline_s: float = defaults.DEADLINE_S
    burst_s: float = DEFAULT_BURST_S
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    api_version: int | None = None
    api_versions: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no run could keep.

        Raises:
            UsageError: a rate, a count or a time out of range, or a proxy that is no http(s) URL or holds a password.
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
                "--proxy must not hold a password, because other processes can read the command line: name the user alone"
                f" (http://USER@proxy.example:3128) and set {PROXY_PASSWORD}"
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a tenant's platform is, what proves who we are, and how we talk to it.

    Attributes:
        tenant: the folder's name.
        url: scheme, host and port as in `https://acme.cxonecloud.com`; `sandbox:` for the platform in process.
        credentials: `None` in process, until the wiring puts the embedded platform's own there.
        variables: the variables that were read, for messages.
        options: the run's.
        api_url: a host that the API may be at besides `url`, where the environment names one.
        proxy_password: of the user that `options.proxy` names.
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
        """What stands before a call's path."""
        return EMBEDDED_URL if self.in_process else self.url

    @classmethod
    def read(
        cls,
        environ: Mapping[str, str],
        tenant_name: str,
        tenant_url: str,
        *,
        options: ClientOptions | None = None,
    ) -> Settings:
        """Return the settings of one tenant.

        Args:
            environ: the process's environment.
            tenant_name: the folder's name.
            tenant_url: `url` of its `tenant.yaml`.
            options: the run's; the defaults when `None`.

        Raises:
            AccessError: a variable is missing or unusable, or the host is not the one that the secret belongs to. The
                message names the variable and what to do, and never holds a secret.
        """
        variables, values = _chosen(environ, tenant_name)
        proxy = _Values({PROXY_PASSWORD: environ.get(PROXY_PASSWORD, "")})
        del environ  # a traceback that shows local variables must not show the secret
        options = options or ClientOptions()
        _check_proxy(options.proxy, proxy)
        _agree(tenant_url, values, tenant_name, variables)
        if tenant_url == EMBEDDED == values.get(variables.url, EMBEDDED):
            return cls(tenant_name, EMBEDDED, None, variables, options)
        _require(values, tenant_name, variables)
        owned = _origin(values[variables.url], variables.url)
        named = values.get(variables.api_url)
        api_url = None if named is None else _origin(named, variables.api_url)
        credentials = _credentials(values, variables)
        return cls(
            tenant_name,
            owned,
            credentials,
            variables,
            options,
            api_url,
            proxy[PROXY_PASSWORD] or None,
        )


@dataclass(frozen=True, slots=True)
class CIContext:
    """Who and what a run stands for, as CI tells it; recorded, never trusted. Each is `None` when unknown.

    Attributes:
        actor: who started it (`GITHUB_ACTOR`).
        approver: who approved the plan (`RECONCILE_APPROVER`, set by the workflow).
        pull_request: its number (`RECONCILE_PULL_REQUEST`, or from `GITHUB_REF`).
        run_url: where its log is.
        reviewed_head: the commit that was reviewed (`RECONCILE_REVIEWED_HEAD`, set by the workflow).
        attempt: which attempt of the run it is (`GITHUB_RUN_ATTEMPT`).
    """

    actor: str | None = None
    approver: str | None = None
    pull_request: str | None = None
    run_url: str | None = None
    reviewed_head: str | None = None
    attempt: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> CIContext:
        """Return what `environ` says, escaped and cut."""
        ref = _PULL_REQUEST.match(environ.get(REF, ""))
        return cls(
            actor=_told(environ.get(ACTOR)),
            approver=_told(environ.get(APPROVER)),
            pull_request=_told(environ.get(PULL_REQUEST)) or (ref and ref[1]),
            run_url=_run_url(environ),
            reviewed_head=_told(environ.get(REVIEWED_HEAD)),
            attempt=_told(environ.get(ATTEMPT)),
        )


def user(environ: Mapping[str, str]) -> str | None:
    """Return the name of whoever is logged in on this machine; `None` where the environment does not say, as in a container."""
    return next((environ[name] for name in USER if environ.get(name)), None)


def signing_key(environ: Mapping[str, str], directory: Path) -> Path:
    """Return the file of the SSH key that signs ledger commits: the environment names it, never a manifest, which a pull request may change.

    Raises:
        AccessError: none is named, or there is no such file.
    """
    named = environ.get(SIGNING_KEY)
    if not named:
        raise AccessError(
            f"audit.sign is on in tenant.yaml and {SIGNING_KEY} is not set: set it to the path of an SSH private key"
        )
    file = directory / named
    if not file.is_file():
        raise AccessError(
            f"{SIGNING_KEY} names no file ({safe(named, limit=SHORTENED_TO)}): set it to the path of an SSH private key"
        )
    return file


def _told(text: str | None) -> str | None:
    return safe(text, limit=SHORTENED_TO) if text else None


def _run_url(environ: Mapping[str, str]) -> str | None:
    server, repository, run = (environ.get(name, "") for name in RUN)
    attempt = environ.get(ATTEMPT, "")
    if not (server and repository and run):
        return None
    again = "" if attempt in {"", "1"} else f"/attempts/{attempt}"
    return _told(f"{server}/{repository}/actions/runs/{run}{again}")


class _Values:
    """Variables by name, shown by name alone: it stands in frames that a traceback may show.

    It is no mapping, because what renders local variables looks into mappings instead of asking for their `repr`.
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


def _chosen(environ: Mapping[str, str], tenant: str) -> tuple[Variables, _Values]:
    """Return the tenant's own set when any of it is set, else the common one. An empty variable is an unset one: CI sets them so."""
    own = Variables.of(tenant)
    variables = own if any(environ.get(name) for name in own.names()) else Variables()
    return variables, _Values(
        {name: environ[name] for name in variables.names() if environ.get(name)}
    )


def _require(values: _Values, tenant: str, variables: Variables) -> None:
    needed = (variables.url, variables.client_id, variables.client_secret)
    missing = [name for name in needed if name not in values]
    if missing:
        are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise AccessError(
            f"tenant {tenant}: {_and(missing)} {are} not set: set {them}, because {_and(needed)} are read as one set"
        )


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


def check_url(environ: Mapping[str, str], tenant_name: str, tenant_url: str) -> None:
    """Refuse a tenant whose `tenant.yaml` names another platform than the environment does; arguments as for `Settings.read`.

    An environment that names none contradicts nothing.

    Raises:
        AccessError: the two contradict each other, or one of them is no tenant's URL.
    """
    variables, values = _chosen(environ, tenant_name)
    del environ  # a traceback that shows local variables must not show the secret
    _agree(tenant_url, values, tenant_name, variables)


def _agree(url: str, values: _Values, tenant: str, variables: Variables) -> None:
    """Refuse a URL in `tenant.yaml` that is not the environment's. A server on this machine may stand in for the embedded platform."""
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
    """Return `url` when it is a tenant's URL, in the one way of writing them; so equal means the same host.

    Raises:
        AccessError: it is not. The message does not quote the whole: whoever mixes up variables puts a secret there.
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
