"""Convert between the Windows names of time zones, which Personal Connection uses, and the IANA names of manifests.

The table is CLDR's `windowsZones` in the package `tzlocal`. Many IANA zones share one Windows zone. The canonical name is the
IANA name that CLDR gives the Windows zone for the whole world: `America/Detroit` and `America/New_York` are the same zone to
the platform, and so to reconcile.
"""

from __future__ import annotations

from functools import cache

from reconciler.models.instants import primary_zone, zone


@cache
def windows_name(name: str) -> str:
    """Return the Windows name of an IANA zone.

    Raises:
        ValueError: not an IANA zone, or one without a Windows name.
    """
    from tzlocal.windows_tz import tz_win  # noqa: PLC0415 - needed for Personal Connection only

    zone(name)
    found = tz_win.get(name) or tz_win.get(primary_zone(name))
    if found is None:
        raise ValueError(
            f"has no Windows name, which the platform requires: {name!r}; write the zone of a city"
        )
    return found


@cache
def iana_name(received: str) -> str:
    """Return the canonical IANA name for a Windows name or an IANA name from the platform; unknown names stay unchanged.

    >>> iana_name("Eastern Standard Time"), iana_name("US/Central")
    ('America/New_York', 'America/Chicago')
    """
    from tzlocal.windows_tz import tz_win, win_tz  # noqa: PLC0415 - see above

    if not received:  # the table has an entry without a name
        return received
    windows = tz_win.get(received) or tz_win.get(primary_zone(received), received)
    return win_tz.get(received) or win_tz.get(windows, received)


def canonical_zone(name: str) -> str:
    """Return the canonical name of all zones that are the same to the platform.

    Raises:
        ValueError: see `windows_name`.

    >>> canonical_zone("America/Detroit")
    'America/New_York'
    """
    return iana_name(windows_name(name))
