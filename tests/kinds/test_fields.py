"""Each managed field stands in the table of its kind, and what the engine reads follows from the table."""

from __future__ import annotations

import pytest

from reconciler.dialects import DIALECTS, kinds_for
from reconciler.kinds import audit_labels
from reconciler.kinds.base import AUDITED
from reconciler.models import MANIFESTS
from tests.support.bodies import make_body, make_skill_body
from tests.support.factories import KIND, SKILL

BODIES = {KIND.name: make_body(), SKILL.name: make_skill_body()}
KINDS = [kind for api in DIALECTS for kind in kinds_for(api).values()]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@each_kind
def test_the_table_has_the_fields_of_the_model_and_no_others(kind):
    spec = MANIFESTS[kind.name].model_fields["spec"].annotation
    assert set(kind.fields) == set(spec.model_fields)


@each_kind
def test_every_field_of_the_audit_is_shown_and_has_a_name_of_its_own(kind):
    audited = [field for field in kind.fields.values() if field.audit]
    shown = {field.audit for field in audited}
    assert shown <= audit_labels().keys()
    names = [field.audit for field in audited]
    assert len(set(names)) == len(names)
    assert kind.audit_fields({}).keys() == {*AUDITED, *names}


@each_kind
def test_what_the_table_declares_is_what_the_engine_reads(kind):
    body = BODIES[kind.name]
    fields = kind.fields.values()
    assert kind.ceilings(body) == {
        field.name: body[field.name] for field in fields if field.ceiling
    }
    assert kind.fixed == {field.name for field in fields if field.fixed}
    assert kind.immediate == {field.name for field in fields if field.immediate}
    assert kind.rules == {field.name: field.meet for field in fields}


@each_kind
def test_the_end_is_that_of_the_hours(kind):
    body = BODIES[kind.name]
    assert kind.end(body) == kind.hours(body).end


def test_the_rate_is_the_field_in_calls_per_second():
    assert {kind.name: kind.rate for kind in KINDS} == {KIND.name: "dial_rate", SKILL.name: None}
