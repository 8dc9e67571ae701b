"""What a body means before a dialect reads it: a BOM is no content, and no body is not the same as one that is not JSON."""

from __future__ import annotations

import httpx
import pytest

from reconciler.dialects.calls import Call, NotJSON
from tests.support.fake_platform import Platform, converse

JSON = {"content-type": "application/json"}


def answered(content, status=200, headers=JSON):
    response = httpx.Response(status, content=content, headers=headers)
    (reply,) = converse(Platform([response]), Call("GET", "/x", expects=frozenset({200, 204})))
    return reply


def test_a_bom_before_json_is_no_part_of_it():
    reply = answered(b'\xef\xbb\xbf{"fine": true}')
    assert (reply.json, reply.empty) == ({"fine": True}, False)


@pytest.mark.parametrize("content", [b"", b" ", b"\r\n"])
@pytest.mark.parametrize("status", [200, 204])
def test_no_body_is_told_from_one_that_is_not_json(content, status):
    reply = answered(content, status)
    assert (reply.json, reply.empty) == (None, True)


@pytest.mark.parametrize("content", [b"<html>sign in</html>", b"OK"])
def test_a_page_of_a_proxy_is_no_empty_answer(content):
    reply = answered(content, headers={"content-type": "text/html"})
    assert (type(reply.json), reply.empty) == (NotJSON, False)


def test_null_is_a_body():
    reply = answered(b"null")
    assert (reply.json, reply.empty) == (None, False)
