"""Time zones: the IANA names that manifests use, and the Windows names that Personal Connection uses.

Zones come from the `tzdata` package, never from the machine. So a manifest compiles to the same body everywhere, and a plan's
digest can include the version of the data.

The table of Windows names is CLDR's `windowsZones` in the package `tzlocal`. Many IANA zones share one Windows zone. The
canonical name is the IANA name that CLDR gives the Windows zone for the whole world: `America/Detroit` and
`America/New_York` are the same zone to the platform, and so to reconcile.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pkgutil import get_data
from typing import Final
from zoneinfo import ZoneInfo


@cache
def zone_names() -> frozenset[str]:
    """Return every name in the IANA database, including links, without the placeholder `Factory`."""
    return frozenset(_tzdata("zones").decode("ascii").split()) - {"Factory"}


def is_zone(name: str) -> bool:
    """Return whether the IANA database has a zone of this name."""
    return name in zone_names()


@cache
def zone(name: str) -> ZoneInfo:
    """Return a zone of the `tzdata` package.

    Raises:
        ValueError: the IANA database has no such name.
    """
    if not is_zone(name):
        raise ValueError(f"is not an IANA time zone: {name!r}; {_advice(name)}")
    return ZoneInfo.from_file(BytesIO(_tzdata(f"zoneinfo/{name}")), key=name)


@cache
def primary_zone(name: str) -> str:
    """Return the current IANA name of a zone that was renamed, or is spelled in other case; any other name unchanged.

    The name of a place stays, even if it is a link: Europe/Oslo has the time of Europe/Berlin, but a calling window in Oslo is
    for other contacts than one in Berlin. A name without a region, such as EST or UTC, stays as well.

    Source: the links and the places (`zone.tab`) of the IANA database in `tzdata`.

    >>> primary_zone("US/Central"), primary_zone("Europe/Oslo")
    ('America/Chicago', 'Europe/Oslo')
    """
    name = _spellings().get(name.lower(), name)
    if "/" not in name or name.startswith("Etc/") or name in _places():
        return name
    before, found, _ = _links().partition(f" {name}\n".encode())
    line = before[before.rfind(b"\n") + 1 :].decode() if found else ""
    return line.removeprefix("L ") if line.startswith("L ") and line.count(" ") == 1 else name


@cache
def _spellings() -> dict[str, str]:
    """Return the names of all zones by their lower-case spelling. IANA has no two names that differ in case only."""
    return {each.lower(): each for each in zone_names()}


@cache
def _places() -> frozenset[str]:
    """Return the zones that the database lists as places of a country (`zone.tab`)."""
    lines = _tzdata("zoneinfo/zone.tab").decode().splitlines()
    return frozenset(line.split("\t")[2] for line in lines if not line.startswith("#"))


@cache
def _links() -> bytes:
    """Return the links of the database, one per line: ``L America/Chicago US/Central``."""
    data = _tzdata("zoneinfo/tzdata.zi")
    return data[data.index(b"\nL ") :]


def _advice(name: str) -> str:
    """Return what to write instead of an unknown zone: another spelling, the IANA zone of a Windows name, or a misspelled place."""
    if same := _spellings().get(name.lower().replace(" ", "_")):
        return f"IANA writes it {same}"
    if (iana := iana_name(name)) != name:
        return f"it is a Windows name, for which IANA has {iana}"
    if near := _near(name):
        return f"did you mean {near}?"
    return "write the zone of a city, such as America/New_York"


_LIKE: Final = 0.8
"""Least likeness of two names of cities, so that Boston is not taken for another city."""

_COUNTRIES: Final = ("Australia/", "Brazil/", "Canada/", "Chile/", "Mexico/", "US/")
"""Regions whose links name parts of a country, such as `Brazil/East`, not cities."""


@cache
def _near(name: str) -> str:
    """Return the zone of the same city in another region, or of a similar city in the same region; empty if there is none.

    A zone decides who may be called when, so only the name of a place is guessed: never `Etc/GMT+5`, nor `UTC` for `UTC+5`, nor
    `Pacific/Easter` for `Eastern`, nor `Australia/South` for `South`.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes only

    region, _, city = name.replace(" ", "_").rpartition("/")
    names = [each for each in sorted(zone_names()) if "/" in each and not each.startswith("Etc/")]
    same = [
        each
        for each in names
        if each.lower().endswith(f"/{city.lower()}")
        and (each in _places() or not each.startswith(_COUNTRIES))
    ]
    if len(same) == 1:
        return same[0]
    here = {_city(each): each for each in names if each.startswith(f"{region}/")}
    near = get_close_matches(city, here, n=1, cutoff=_LIKE) if region else []
    return here[near[0]] if near else ""


def _city(place: str) -> str:
    return place.rpartition("/")[2]


def _tzdata(path: str) -> bytes:
    data = get_data("tzdata", path)
    if data is None:
        raise RuntimeError("the package tzdata is not installed")
    return data


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
