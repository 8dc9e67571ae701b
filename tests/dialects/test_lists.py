"""A list is read to its end, whatever a server's pages look like; one that contradicts itself is an error, and never a short list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.dialects.answers import Answer
from reconciler.dialects.calls import Call, Reply
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.pages import by_number, by_skip
from reconciler.dialects.personal_connection import api as pc
from reconciler.errors import ApiError, IncompleteList
from tests.support.factories import NOW

SIZE = 10


def converse(exchange, answer, most=10_100):
    """Answer every call of a conversation by a function; return its value and the calls."""
    made = []
    try:
        calls = next(exchange)
        while True:
            made += calls
            assert len(made) <= most, "an endless loop"
            calls = exchange.send(tuple(map(answer, calls)))
    except StopIteration as end:
        return end.value, made


class Server:
    """A list of `count` rows, paged by `skip` or by `page`, at most `caps` rows at a time (the last cap stays)."""

    def __init__(self, count, caps=(SIZE,), *, total="total", text=False, links=False, shape=None):
        self.rows = [{"id": n if n % 2 else str(n)} for n in range(count)]
        self.caps, self.total, self.text, self.links = caps, total, text, links
        self.shape = shape or (lambda body: body)
        self.pages: dict[int, int] = {}

    def __call__(self, call):
        if "skip" in call.params:
            start, cap = (
                int(call.params["skip"]),
                self.caps[min(len(self.pages), len(self.caps) - 1)],
            )
            self.pages[start] = cap
        else:
            number = int(call.params["page"])
            caps = [self.caps[min(n, len(self.caps) - 1)] for n in range(number)]
            start, cap = sum(caps[:-1]), caps[-1]
        rows = self.rows[start : start + cap]
        body = {"things": rows}
        if self.total:
            body[self.total] = str(len(self.rows)) if self.text else len(self.rows)
        if self.links and start + cap < len(self.rows):
            body["_links"] = {"next": "/things"}
        return Reply(200, {}, self.shape(body), NOW)


def read(server, how, **options):
    params = {"skip": "0", "top": "10"} if how is by_skip else {"page": "1", "page_size": "10"}
    call = Call("GET", "/things", params=params)
    more = {("top" if how is by_skip else "size"): SIZE, **options}
    return converse(how(Answer(call, server(call)), "id", "things", **more), server)


HOW = pytest.mark.parametrize("how", [by_skip, by_number])


@HOW
@given(
    st.integers(0, 60),
    st.lists(st.integers(1, SIZE), min_size=1, max_size=5),
    st.sampled_from([None, "total", "totalRecords"]),
    st.booleans(),
    st.booleans(),
)
def test_every_row_is_read_whatever_the_pages_are(how, count, caps, total, text, links):
    server = Server(count, caps, total=total, text=text, links=links)
    rows, _ = read(server, how)
    assert [*rows] == [str(n) for n in range(count)]


@HOW
@given(st.integers(0, 60))
def test_where_the_total_is_said_and_reached_nothing_more_is_asked(how, count):
    _, made = read(Server(count), how)
    assert len(made) == max(0, -(-count // SIZE) - 1)


def test_full_pages_of_a_known_number_are_asked_for_at_once():
    call = Call("GET", "/things", params={"page": "1"})
    server = Server(45)
    exchange = by_number(Answer(call, server(call)), "id", "things", size=SIZE)
    assert [each.params["page"] for each in next(exchange)] == ["2", "3", "4", "5"]


def test_skip_counts_the_rows_received():
    _, made = read(Server(12, (3, 10)), by_skip)
    assert [call.params["skip"] for call in made] == ["3"]


@HOW
@pytest.mark.parametrize(
    ("said", "pages"),
    [
        ("5 rows of 6", [[0, 1, 2], [3, 4], []]),
        ("4 rows of 3", [[0, 1], [2, 3]]),
        ("repeats a row", [[0, 1, 2], [2, 3]]),
        ("repeats a row", [[0, 0, 1]]),
        ("its total moved", [[0, 1, 2], [3, 4, 5]]),
        ("two different values", [[0]]),
        ("links is empty", [[0, 1], []]),
        ("links is empty", [[]]),
        ("not an id", [[None]]),
    ],
)
def test_a_list_that_contradicts_itself_is_an_error(how, said, pages):
    totals = {"5 rows of 6": 6, "4 rows of 3": 3, "its total moved": 6, "two different values": 1}

    def answer(call):
        if call.params.get("skip") == "0":
            asked[0] = 0  # the list is read once more
        index = min(asked[0], len(pages) - 1)
        asked[0] += 1
        body = {"things": [{"id": n} for n in pages[index]]}
        if said in totals:
            body["total"] = totals[said] + ("moved" in said and index)
        if said == "two different values":
            body["totalRecords"] = 2
        if "links" in said and pages[index] == pages[0]:
            body["_links"] = {"next": "/things?page=2"}
        return Reply(200, {}, body, NOW)

    asked = [0]
    with pytest.raises(ApiError, match=said):
        read(answer, how)


def test_a_list_that_moves_while_it_is_read_is_read_again():
    """Our own writes beside the reading move the members of a group."""
    readings = [0]

    def answer(call):
        readings[0] += call.params["skip"] == "0"
        added = readings[0] > 1 or call.params["skip"] != "0"
        ids = ["0", "1", "2", "3"][: 4 if added else 3]
        skip = int(call.params["skip"])
        return Reply(
            200, {}, {"things": [{"id": n} for n in ids[skip : skip + 2]], "total": len(ids)}, NOW
        )

    rows, made = read(answer, by_skip)
    assert [*rows] == ["0", "1", "2", "3"]
    assert len(made) == 3


ANY_READER = pytest.mark.parametrize("on_page", [None, lambda *_: None], ids=["", "stop"])


@HOW
@ANY_READER
def test_a_server_that_ignores_its_pages_is_no_endless_loop(how, on_page):
    with pytest.raises(IncompleteList, match="repeats a row"):
        read(lambda _: Reply(200, {}, {"things": [{"id": 1}]}, NOW), how, on_page=on_page)


@HOW
@ANY_READER
def test_a_list_without_an_end_is_given_up(how, on_page, monkeypatch):
    monkeypatch.setattr("reconciler.dialects.pages.MAX_PAGES", 5)
    numbers = iter(range(1000))

    def pages(_):
        return Reply(200, {}, {"things": [{"id": next(numbers)}]}, NOW)

    with pytest.raises(IncompleteList, match="no end after 5 pages"):
        read(pages, how, on_page=on_page)


@HOW
@given(
    st.integers(0, 60),
    st.dictionaries(
        st.integers(0, 59),
        st.sampled_from([None, 7, {}, {"id": None}, {"id": ["1"]}, {"id": "0"}]),
        max_size=SIZE - 1,
    ),
    st.sampled_from([None, "total"]),
)
def test_a_stop_is_shown_every_page_whatever_rows_are_broken(how, count, broken, total):
    server, shown = Server(count, total=total), []
    broken = {at: row for at, row in broken.items() if 0 < at < count}
    good = [str(n) for n in range(count) if n not in broken]
    server.rows = [broken.get(at, row) for at, row in enumerate(server.rows)]

    def take(answer, rows):
        shown.extend(str(row["id"]) for row in rows if isinstance(row.get("id"), str | int))

    try:
        read(server, how, on_page=take)
    except IncompleteList:
        assert broken
    else:
        assert not broken
    assert {*shown} == {*good}


@HOW
@pytest.mark.parametrize("said", [7, 15, 10**9, "many"])
def test_a_stop_is_shown_every_page_whatever_the_total_is(how, said):
    shown = []
    server = Server(25, shape=lambda body: {**body, "total": said})
    with pytest.raises(IncompleteList):
        read(server, how, on_page=lambda _, rows: shown.extend(rows))
    assert {str(row["id"]) for row in shown} == {str(n) for n in range(25)}


@HOW
@pytest.mark.parametrize(
    "shape",
    [
        lambda body: {"resultSet": body},
        lambda body: {"resultSet": body["things"], "total": body["total"]},
        lambda body: {"things": {"resultSet": body["things"]}, "total": body["total"]},
        lambda body: {"things": {"things": body["things"], "totalRecords": str(body["total"])}},
        lambda body: {
            "resultSet": {"things": {"resultSet": body["things"]}},
            **body,
            "things": None,
        },
    ],
)
def test_a_wrapped_list_is_the_list(how, shape):
    rows, _ = read(Server(25, shape=shape), how)
    assert len(rows) == 25


@HOW
@pytest.mark.parametrize("body", [None, {}, [], "x", {"others": []}, {"things": 7}])
def test_an_answer_that_is_no_list_is_an_error_and_no_empty_list(how, body):
    if body == []:
        assert read(lambda _: Reply(200, {}, body, NOW), how)[0] == {}
        return
    with pytest.raises(ApiError, match="not a list"):
        read(lambda _: Reply(200, {}, body, NOW), how)


@HOW
@pytest.mark.parametrize(
    "reply", [Reply(204, {}, None, NOW), Reply(200, {}, None, NOW, empty=True)]
)
def test_204_and_200_without_a_body_are_an_empty_list(how, reply):
    assert read(lambda _: reply, how) == ({}, [])


# --- every list of both dialects ------------------------------------------------------------------------------------------

UNIT = {"businessUnits": [{"defaultTimeZone": "Eastern Standard Time"}]}


def skill(number):
    return {
        "skillId": number,
        "skillName": f"S{number}",
        "isOutbound": "True",
        "outboundStrategy": "Personal Connection",
        "isRunning": "true",
    }


def blocks(path):
    from reconciler.sandbox import skill_state as skills  # noqa: PLC0415 - the sandbox's own values

    return {
        "schedule-settings": skills.a_week(),
        "time-zones": [skills.a_zone("Eastern Standard Time", "09:00", "20:00")],
        "general-settings": skills.a_pace(),
    }[path.rpartition("/")[2]]


class Tenant:
    """A tenant of the personal-connection API whose lists say no total and come three rows at a time."""

    def __init__(self, skills=7, groups=4, members=5):
        self.skills, self.groups, self.members = skills, groups, members
        self.hidden: set[int] = set()
        self.paged_groups = True

    def __call__(self, call):
        skip = int(call.params.get("skip", 0))
        fixed = {"/business-unit": (200, UNIT), "/skills/parameters": (404, None)}
        if call.path in fixed:
            status, body = fixed[call.path]
            return Reply(status, {}, body, NOW)
        if call.path == "/skills":
            shown = [skill(n) for n in range(self.skills) if n not in self.hidden]
            return Reply(200, {}, {"skills": shown[skip : skip + 3]}, NOW)
        if call.path == "/dnc-groups":
            rows = [{"dncGroupId": 70 + n, "isActive": "true"} for n in range(self.groups)]
            return Reply(200, {}, rows[skip : skip + 3] if self.paged_groups else rows, NOW)
        if call.path.endswith("scrubbed-skills"):
            rows = [{"skillId": str(n)} for n in range(self.members)]
            return Reply(200, {}, {"resultSet": rows[skip : skip + 3]}, NOW)
        if "/parameters/" in call.path:
            return Reply(200, {}, blocks(call.path), NOW)
        number = int(call.path.rpartition("/")[2])
        known = number < self.skills
        return Reply(200 if known else 404, {}, {"skills": [skill(number)]} if known else {}, NOW)


@pytest.mark.parametrize("paged_groups", [True, False])
def test_skills_groups_and_members_are_read_to_the_end_of_short_pages_without_a_total(paged_groups):
    tenant = Tenant()
    tenant.paged_groups = paged_groups
    found, _ = converse(pc.read(), tenant)
    assert [*found.objects] == [str(n) for n in range(7)]
    assert all(live.running for live in found.objects.values())
    assert [*found.lists] == ["70", "71", "72", "73"]
    assert {len(found.scrubs[str(n)]) for n in range(5)} == {4}


def test_a_skill_that_the_list_does_not_show_yet_is_read_by_itself():
    tenant = Tenant()
    tenant.hidden = {3}
    found, made = converse(pc.read(["3", "5", "99"]), tenant)
    assert found.objects["3"].running
    assert "99" not in found.objects
    alone = {call.path for call in made if call.path.rpartition("/")[0] == "/skills"}
    assert alone == {"/skills/3", "/skills/99", "/skills/parameters"}


def test_a_404_of_something_else_makes_no_skill_absent():
    tenant = Tenant()

    def answer(call):
        lost = call.path.endswith("general-settings")
        return Reply(404, {}, {}, NOW) if lost else tenant(call)

    with pytest.raises(ApiError) as caught:
        converse(pc.read(["3"]), answer)
    assert "general-settings" in caught.value.where


def campaign(key):
    return {"id": key, "name": "C", "status": "RUNNING", "schedule": None, "dialer": None}


def platform(call):
    """Show campaigns 1 to 5 two at a time, and hide 9; every list says no total."""
    page = int(call.params.get("page", 1))
    if call.path == "/api/campaigns":
        rows = [campaign(n) for n in range(1, 6)]
        return Reply(200, {}, {"campaigns": rows[2 * page - 2 : 2 * page]}, NOW)
    if call.path == "/api/dnc/lists":
        rows = [{"id": n, "status": "active", "campaign_ids": [9, "1"]} for n in range(3)]
        return Reply(200, {}, {"lists": rows[2 * page - 2 : 2 * page]}, NOW)
    if call.path == "/api/dialer/settings":
        return Reply(200, {}, {"max_dial_rate": "40.5"}, NOW)
    if call.path == "/api/campaigns/9":
        return Reply(200, {}, {**campaign(9), "dialer": {"active_schedule_id": 8}}, NOW)
    if call.path == "/api/campaigns/9/schedule":
        return Reply(200, {"etag": '"8"'}, {"id": 8, "campaign_id": "9"}, NOW)
    return Reply(404, {}, {"error": "no such campaign"}, NOW)


def test_campaigns_and_lists_are_read_to_the_end_of_short_pages_without_a_total():
    found, _ = converse(campaigns.read(), platform)
    assert [*found.objects] == ["1", "2", "3", "4", "5"]
    assert [each.status for each in found.scrubs["1"]] == ["ACTIVE"] * 3
    assert found.ceilings["dial_rate"] == 40.5


def test_a_campaign_that_the_list_does_not_show_yet_is_read_by_itself():
    found, made = converse(campaigns.read(["9", "1", "77"]), platform)
    assert (found.objects["9"].stored_id, found.objects["9"].active_id) == ("8", "8")
    assert found.objects["9"].settled
    assert len(found.scrubs["9"]) == 3
    assert "77" not in found.objects
    assert [call.path for call in made if call.path.startswith("/api/campaigns/")] == [
        "/api/campaigns/9",
        "/api/campaigns/77",
        "/api/campaigns/9/schedule",
    ]
