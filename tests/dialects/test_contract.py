"""What every dialect must be, whichever API it speaks."""

from __future__ import annotations

import pytest

from reconciler.dialects import DIALECTS, dialect_for
from reconciler.errors import UsageError
from reconciler.models import MANIFESTS
from tests.factories import make_body

BODIES = {"CampaignSchedule": make_body()}
"""A canonical body of each kind."""


@pytest.fixture(params=sorted(DIALECTS))
def dialect(request):
    return dialect_for(request.param)


def kinds_of(dialect):
    return [(kind, BODIES[name]) for name, kind in dialect.KINDS.items()]


def test_a_dialect_is_found_by_its_own_name(dialect):
    assert dialect_for(dialect.NAME) is dialect


def test_every_kind_of_a_dialect_is_a_kind_of_manifest(dialect):
    assert set(dialect.KINDS) <= set(MANIFESTS)
    assert all(name == kind.name for name, kind in dialect.KINDS.items())


def test_canonical_is_canonical_already(dialect):
    for kind, body in kinds_of(dialect):
        assert kind.canonical(body) == body
        assert kind.canonical(kind.canonical(body)) == kind.canonical(body)


def test_every_field_but_the_key_has_a_direction(dialect):
    for kind, body in kinds_of(dialect):
        assert set(body) - set(kind.rules) == {"campaign_id"}
        assert set(kind.rules) <= set(body)


def test_what_the_engine_knows_of_a_kind_is_plain(dialect):
    for kind, body in kinds_of(dialect):
        hours = kind.hours(body)
        assert hours.start < hours.end
        assert hours.start.utcoffset() == hours.end.utcoffset() == hours.start.utcoffset() * 0
        assert hours.windows == tuple(sorted(hours.windows))
        assert all(value > 0 for value in kind.ceilings(body).values())
        assert kind.scrubs(body) is True
        assert kind.scrubs({**body, "dnc_verification": False}) is False


def test_an_audit_entry_has_the_names_of_the_brief_and_never_fails(dialect):
    for kind, body in kinds_of(dialect):
        entry = kind.audit_fields(body)
        assert set(entry) == {"campaign_id", "compliance_windows", "dial_rate", "max_concurrent"}
        assert entry["max_concurrent"] == body["max_concurrent_calls"]
        assert set(kind.audit_fields({})) == set(entry)


def test_an_api_that_nobody_speaks_is_unknown():
    with pytest.raises(UsageError, match="does not speak api: fax; it speaks campaigns"):
        dialect_for("fax")
