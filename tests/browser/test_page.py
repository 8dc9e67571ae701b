"""The HTML page in a real browser: it loads nothing, fits a phone, can be read in both themes, by keyboard and by screen reader."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from reconciler.renderers import html
from reconciler.report import Report, Row, Table, Tone
from tests.browser.pages import hostile, many, plan, timeline
from tests.renderers.plotted import plotted

PAGES = {"plan": plan, "timeline": timeline, "hostile": hostile, "proposals": plotted}

CONTRASTS = """() => {
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("svg") || !element.getClientRects().length) continue;
    const pair = [parse(getComputedStyle(element).color), behind(element)].map(light).sort((a, b) => b - a);
    found.push([(pair[0] + 0.05) / (pair[1] + 0.05), walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""
"""Contrast of each visible text with what is behind it, by WCAG 2.2."""


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_loads_nothing_fits_and_can_be_read(opened: Any, name: str) -> None:
    found = opened(html.render(PAGES[name]()))
    for width in (360, 800, 1280):
        for theme in ("light", "dark"):
            found.page.set_viewport_size({"width": width, "height": 900})
            found.page.emulate_media(color_scheme=theme)
            assert found.ask("document.documentElement.scrollWidth") <= width
            narrow = "[...document.querySelectorAll('svg')].filter(e => e.checkVisibility() && !e.getBoundingClientRect().width)"
            clipped = "[...document.querySelectorAll('.scale')].filter(e => getComputedStyle(e).overflow !== 'visible')"
            assert found.ask(f"[{narrow}.length, {clipped}.length]") == [0, 0]
            contrasts = found.ask(CONTRASTS)
            assert len(contrasts) > 20
            assert [each for each in contrasts if each[0] < 4.5] == []
            behind = found.ask("getComputedStyle(document.body).backgroundColor")
            is_dark = sum(map(int, re.findall(r"\d+", behind)[:3])) < 384
            assert is_dark is (theme == "dark")
    assert found.said == []
    assert len(found.requests) == 1  # the page itself


def test_hostile_values_are_text_and_run_nothing(opened: Any) -> None:
    found = opened(html.render(hostile()))
    assert (
        found.ask(
            "document.querySelectorAll('script, img, iframe, link, object, embed, form').length"
        )
        == 0
    )
    handlers = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on')))"
    assert found.ask(f"{handlers}.length") == 0
    assert "<script>alert(1)</script>" in found.ask("document.body.innerText")


def test_the_policy_stops_what_an_escaping_error_would_let_in(opened: Any) -> None:
    bad = '<script>document.title = "owned"</script><img src="http://127.0.0.1:9/x.png"><p style="color: red">x</p></main>'
    found = opened(html.render(plan()).replace("</main>", bad))
    assert found.ask("document.title") == plan().title
    assert (
        found.ask("getComputedStyle(document.querySelector('main > p')).color") != "rgb(255, 0, 0)"
    )
    assert len(found.said) == 3
    assert all("Content Security Policy" in each for each in found.said)


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_long_details_of_a_row_break_no_short_word_of_its_other_cells(
    opened: Any, width: int
) -> None:
    cells = ("2027-03-01T12:00:00.000Z", "unmanaged", "warranty-reminders", "10031", "console, Mon")
    long = Row(cells, details=("last written by reconcile " * 12, "d" * 64))
    columns = ("time", "drift", "manifest", "id", "stored by")
    found = opened(
        html.render(Report("t", "v", Tone.PLAIN, 0, (Table("T", columns, (long,)),))), width
    )
    lines = """[...document.querySelectorAll('.rows tbody td:not(.mark)')].map(cell => {
      const range = document.createRange();
      range.selectNodeContents(cell.firstChild);
      return range.getClientRects().length;
    })"""
    assert found.ask(lines) == [1] * len(cells)
    assert found.ask("document.documentElement.scrollWidth") <= width


def test_on_a_phone_cells_stack_and_the_change_comes_first(opened: Any) -> None:
    found = opened(html.render(plan()), 360)
    tops = found.ask(
        "[...document.querySelectorAll('.card:not(.finding)')].map(card => ['.badge', '.change', '.name', '.strips']"
        ".map(part => card.querySelector(part)).filter(Boolean).map(each => each.getBoundingClientRect().top))"
    )
    assert len(tops) == 12
    for card in tops:
        assert all(above < below for above, below in pairwise(card))
    found = opened(html.render(hostile()), 360)
    cells = found.ask(
        "[...document.querySelectorAll('.rows tbody tr')].map(row => [...row.children].slice(1).map(each => each.getBoundingClientRect().left))"
    )
    assert cells
    assert all(len(set(row)) == 1 for row in cells)


def test_a_keyboard_reaches_every_link_and_opens_every_fold_in_order(opened: Any) -> None:
    found = opened(html.render(many()))
    stops = found.ask("document.querySelectorAll('a, summary').length")
    assert stops > 5
    reached = []
    for _ in range(8):
        found.page.keyboard.press("Tab")
        reached.append(
            found.ask(
                "(e => [e.tagName, e.getBoundingClientRect().top + scrollY, getComputedStyle(e).outlineStyle])(document.activeElement)"
            )
        )
    assert {tag for tag, _, _ in reached} == {"A", "SUMMARY"}
    assert [top for _, top, _ in reached] == sorted(top for _, top, _ in reached)
    assert all(style not in {"none", ""} for _, _, style in reached)
    found.page.keyboard.press("Enter")
    assert found.ask("document.activeElement.parentElement.open") is True


def test_a_screen_reader_finds_landmarks_headings_tables_and_named_pictures(opened: Any) -> None:
    found = opened(html.render(plan()), 360)
    tree = found.page.locator("body").aria_snapshot()
    for part in ("- main", "- banner", "- contentinfo", '- navigation "Sections"'):
        assert part in tree
    levels = found.ask(
        "[...document.querySelectorAll('h1, h2, h3')].map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    assert '- heading "▲' not in tree  # the shape is for the eye; the word says it
    assert re.search(r'- heading "loosen update .*renewals-1002', tree)
    assert re.search(r'- row "Sun 02-28 opens 3 h 09:00-20:00 → 09:00-23:00"', tree)
    assert '- columnheader "Open"' in tree
    names = found.ask(
        "[...document.querySelectorAll('svg[role=img]')].map(each => (each.querySelector('title') || {}).textContent)"
    )
    assert len(names) > 20
    assert all(names)
    charts = found.ask(
        "[...document.querySelectorAll('.chart > svg')].map(each => each.querySelector('desc').textContent)"
    )
    assert all("capacity" in each.lower() for each in charts)
    assert len(charts) == 2


def test_a_screen_reader_finds_the_numbers_of_every_plot(opened: Any) -> None:
    found = opened(html.render(plotted()), 360)
    tree = found.page.locator("body").aria_snapshot()
    for part in (
        r'- row "Abandonment cap 3.0 % 5.1 % \(3.2 to 7.3 %\) 2.0 % \(1.2 to 2.9 %\)"',
        r'row "Tue highest at 14:00: 19 % \(16 to 22 %\), binding hour 18:00 16 to 19 %"',
        r'- row "Sun no open hour closed"',
        r'img "Predicted abandonment on Tue 18:00 with 45 agents: 0.95 calls/s 7.8 %, 0.78 calls/s 1.5 %; cap 3.0 %"',
        r"- listitem: \"?proposed: 0.78 calls/s, 1.5 % \(0.3 to 5.0 %\)",
    ):
        assert re.search(part, tree), part
    names = found.ask(
        "[...document.querySelectorAll('.plots svg:not([aria-hidden])')].map(each => each.getAttribute('role') + (each.querySelector('title') || {}).textContent)"
    )
    assert len(names) == 2 * 8
    assert all(name.startswith("img") and len(name) > 10 for name in names)
    found.page.locator("summary", has_text="By hour").first.focus()
    found.page.keyboard.press("Enter")
    assert found.page.locator("tr", has_text="Tue 18:00 binding").first.is_visible()


def test_three_hundred_changes_stay_small_and_readable(opened: Any) -> None:
    output = html.render(many())
    assert len(output.encode()) < 2_000_000
    found = opened(output, 360)
    assert found.said == []
    assert found.ask("document.documentElement.scrollWidth") <= 360
    assert found.ask("document.querySelectorAll('.card').length") == 300
    unfolded = (
        "[...document.querySelectorAll('.week')].filter(each => each.checkVisibility()).length"
    )
    assert 0 < found.ask(unfolded) <= 40


def test_loosen_and_tighten_differ_by_shape_word_and_colour(opened: Any) -> None:
    found = opened(html.render(plan()))
    badges = found.ask(
        "[...document.querySelectorAll('.badge')].map(each => [each.innerText, getComputedStyle(each).color])"
    )
    looks = {text.split()[-1]: (text.split()[0], colour) for text, colour in badges}
    assert looks["loosen"][0] == "▲"
    assert looks["tighten"][0] == "▼"
    assert len({colour for _, colour in looks.values()}) == len(looks) >= 3
