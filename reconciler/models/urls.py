"""URLs of tenants, and the identity of the platform that a URL names."""

import re
from ipaddress import IPv4Address

EMBEDDED = "sandbox:"
"""The URL of the embedded platform."""

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_URL = re.compile(
    r"(?s)(?P<scheme>[^:/]*)://(?P<host>\[[^\]]*\]|[^:/?#\\]*)(?::(?P<port>[^/?#]*))?(?P<path>.*)"
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def tenant_url(text: str) -> str:
    """Return a valid URL of a tenant: `sandbox:`, or scheme, host and optional port.

    There is only one way to write it, because the URL in tenant.yaml must equal the one beside the secret.

    Raises:
        ValueError: anything else; the message says what to write.
    """
    if text == EMBEDDED:
        return text
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError(f'must be "https://" and a host, or "{EMBEDDED}", not {text!r}')
    scheme, host, port, path = match.group("scheme", "host", "port", "path")
    plain = f"{scheme}://{host}" + (f":{port}" if port is not None else "")
    if "@" in text.removesuffix(path) or "@" in path:
        raise ValueError("must not contain a user or a password: write only scheme and host")
    loopback = _check_host(host)
    if scheme != "https" and not (scheme == "http" and loopback):
        raise ValueError(
            f"must begin with https:// (http:// is for loopback alone), not {scheme}://"
        )
    _check_port(port, scheme)
    if path.rstrip("/").endswith("/api"):
        raise ValueError(f"ends in /api, which the client adds itself: write {plain}")
    if path:
        raise ValueError(f"must end after the host: write {plain}")
    return text


def platform_of(api: str, url: str, folder: str) -> str:
    """Return the identity of a tenant's platform: the names of its ledger, lock and idempotency keys contain it.

    It depends on the platform only, so a renamed folder keeps its records. An embedded platform belongs to its folder, because
    its state file has the folder's name. The identity has two path components that git accepts in a ref:
    `campaigns/acme.cxonecloud.com`, `campaigns/localhost_8765`, `sandbox/acme`.

    Args:
        api: `api` of its `tenant.yaml`.
        url: a URL that `tenant_url` accepts.
        folder: the folder's name.
    """
    if url == EMBEDDED:
        return f"sandbox/{folder}"
    scheme, host, port = _parts(url)
    if is_loopback(url):
        host = "localhost"  # all names of this machine mean the same
    if port is None and (scheme == "http" or host.endswith(".lock")):  # no ref may end so
        port = "80" if scheme == "http" else "443"
    return f"{api}/{host}" if port is None else f"{api}/{host}_{port}"


def is_loopback(url: str) -> bool:
    """Return whether a valid URL of a tenant points to this machine."""
    return url != EMBEDDED and _check_host(_parts(url)[1])


def _parts(url: str) -> tuple[str, str, str | None]:
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f"{url!r} is not a tenant's URL")
    return match["scheme"], match["host"], match["port"]


def _check_host(host: str) -> bool:
    """Return whether a host is loopback; refuse anything but a plain lower-case name."""
    if host in {"localhost", "[::1]"}:
        return True
    try:
        loopback = IPv4Address(host).is_loopback
    except ValueError:
        if host.startswith("["):
            raise ValueError(f"may not be an IP address: {host}; write the host's name") from None
        if _HOST.fullmatch(host) is None or host.rpartition(".")[2][0].isdigit():
            raise ValueError(
                f"has an invalid host: {host!r}; write it in lower-case ASCII, without a dot at its end"
            ) from None
        return False
    if not loopback:
        raise ValueError(f"may not be an IP address: {host}; write the host's name")
    return True


def _check_port(port: str | None, scheme: str) -> None:
    if port is None:
        return
    if _PORT.fullmatch(port) is None or int(port) > 65535:  # noqa: PLR2004 - the last TCP port
        raise ValueError(f"has an invalid port: {port!r}")
    if (scheme, port) in {("https", "443"), ("http", "80")}:
        raise ValueError(f"names the default port of {scheme}: remove :{port}")
