"""HTML: one page that loads nothing, in which every value is text."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

from hypothesis import given, settings

from reconciler.renderers import html
from reconciler.report import Report, Row, Table, Tone
from tests.renderers.reports import REPORTS
from tests.renderers.sample import HOSTILE, SAMPLE

VOID = {"meta"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "h1", "h2", "h3", "p",
    "dl", "dt", "dd", "div", "span", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "a", "code",
    "figure", "figcaption", "details", "summary", "svg", "path", "desc",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "http-equiv", "class", "scope", "title", "id", "href", "role", "data-label",
    "aria-label", "aria-labelledby", "aria-hidden", "viewbox", "preserveaspectratio", "d",
    "colspan",
}  # fmt: skip
OURS = {"class": r"[a-z -]+", "href": r"#[a-z0-9]+", "id": r"[a-z0-9]+", "d": r"[MLHVhvz0-9 .-]+"}
"""What the page itself writes into attributes."""


class Page(HTMLParser):
    """Collects what a browser would see, and checks that every tag is closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        for name, value in attrs:
            assert name not in OURS or re.fullmatch(OURS[name], value), (name, value)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data) -> None:
        self.text.append(data)


@settings(max_examples=60)
@given(REPORTS)
def test_no_value_becomes_markup(report: Report) -> None:
    page = Page(html.render(report))
    assert set(page.tags) <= ALLOWED
    assert page.attributes <= ATTRIBUTES


def test_hostile_values_are_shown_as_text() -> None:
    assert "<script>alert(1)</script>" in Page(html.render(HOSTILE)).text


def test_a_command_in_backticks_is_code() -> None:
    output = html.render(SAMPLE._replace(notes=("Undo it: `apply <x>`, then ``` `",)))
    assert "<p>Undo it: <code>apply &lt;x&gt;</code>, then ``` `</p>" in output


def test_the_page_loads_nothing_and_says_so() -> None:
    output = html.render(SAMPLE)
    assert "default-src 'none'" in output
    style = output.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in output
    assert "unsafe" not in output
    assert " style=" not in output
    assert "url(" not in output
    assert "http://" not in output.replace("http-equiv", "")
    assert "<script" not in output


def test_the_page_has_a_language_a_title_one_heading_and_named_columns() -> None:
    output = html.render(SAMPLE)
    assert '<html lang="en">' in output
    assert output.count("<h1>") == 1
    assert f"<title>{SAMPLE.title}</title>" in output
    assert output.count("<h3>") == sum(len(table.rows) for table in SAMPLE.tables)
    hostile = html.render(HOSTILE)
    columns = re.findall(r'<th role="columnheader" scope="col">', hostile)
    assert len(columns) == sum(len(table.columns) for table in HOSTILE.tables)


def test_the_last_cell_of_a_short_row_takes_the_place_of_the_rest() -> None:
    table = Table("T", ("name", "since", "then", "now"), (Row(("a", "never applied")),))
    page = html.render(Report("t", "v", Tone.PLAIN, 0, (table,)))
    assert (
        '<td role="cell" class="line" data-label="name">a</td><td role="cell" class="words" colspan="3">never applied</td>'
        in page
    )
