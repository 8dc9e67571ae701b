"""Windows names of time zones, which Personal Connection has on the wire, and the IANA names of manifests.

The table is CLDR's `windowsZones`, as the package `tzlocal` carries it. Many IANA zones share one Windows zone, so the
canonical name of a zone is the IANA name that CLDR gives its Windows zone for the world as a whole: `America/Detroit`
and `America/New_York` are one zone to the platform, and so to us.
"""

from __future__ import annotations

from functools import cache

from reconciler.models.instants import primary_zone, zone


@cache
def windows_name(name: str) -> str:
    """Return the Windows name of an IANA zone.

    Raises:
        ValueError: no IANA zone, or one that has no Windows name.
    """
    from tzlocal.windows_tz import tz_win  # noqa: PLC0415 - only Personal Connection pays for it

    zone(name)
    found = tz_win.get(name) or tz_win.get(primary_zone(name))
    if found is None:
        raise ValueError(
            f"has no Windows name, by which the platform knows zones: {name!r}; write one of a city"
        )
    return found


@cache
def iana_name(received: str) -> str:
    """Return the canonical IANA name of a zone that the platform names: by its Windows name, or by an IANA name.

    A name that CLDR does not know stays as it is.

    >>> iana_name("Eastern Standard Time"), iana_name("US/Central")
    ('America/New_York', 'America/Chicago')
    """
    from tzlocal.windows_tz import tz_win, win_tz  # noqa: PLC0415 - see above

    if not received:  # the table has an entry without a name
        return received
    windows = tz_win.get(received) or tz_win.get(primary_zone(received), received)
    return win_tz.get(received) or win_tz.get(windows, received)


def canonical_zone(name: str) -> str:
    """Return the one name of all zones that are one zone to the platform.

    Raises:
        ValueError: see `windows_name`.

    >>> canonical_zone("America/Detroit")
    'America/New_York'
    """
    return iana_name(windows_name(name))
