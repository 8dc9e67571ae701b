"""How text becomes HTML, and the style of the page. Colours are checked for contrast in a browser, in light and dark."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from reconciler.errors import safe

_CODE: Final = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def inline(text: str) -> str:
    """Return text as HTML, with text in backticks as code. Everything that is not the page's own passes here."""
    return _CODE.sub(r"<code>\1</code>", escape(safe(text)))


STYLE: Final = """
:root {
  --page: #fbfbfa; --card: #fff; --text: #1b1f24; --dim: #565d66; --line: #d9dce0; --grid: #e6e8eb;
  --good: #17692f; --change: #7a4a00; --bad: #b3261e; --info: #0a5a83; --mixed: #6a3d9a;
  --kept: #8d97a3; --opened: #c25700; --closed: #0a6ea3; --skip: #cfd3d8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1c2024; --text: #e8eaed; --dim: #a6adb6; --line: #383e45; --grid: #2a2f35;
    --good: #76d391; --change: #f2b865; --bad: #ff9a90; --info: #7cc4f0; --mixed: #cfb1ff;
    --kept: #717b87; --opened: #f59a3c; --closed: #5cb8ee; --skip: #4a5058;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .75rem; font-weight: 600; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; font-weight: 600; }
h3 { font-size: 1rem; margin: 0; font-weight: 400; }
p { margin: .5rem 0; }
ul, ol { margin: 0; padding: 0; }
code, dd, .id, .place { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .875em; }
.count { color: var(--dim); font-weight: 400; margin-left: .25rem; }
.verdict { font-size: 1.15rem; font-weight: 600; margin: 0; padding: .25rem 0 .25rem .9rem; border-left: .3rem solid; }
.dim, .place, .id, .said, .axis, .total { color: var(--dim); }
.good, .add { color: var(--good); }
.change, .warn { color: var(--change); }
.remove, .bad { color: var(--bad); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-top: 1rem; font-size: .9rem; }
a { color: var(--info); text-underline-offset: .15em; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-top: 1.25rem; color: var(--dim); font-size: .875rem; }
.legend svg { width: 1.5rem; height: 1.25rem; vertical-align: -.25rem; margin-right: .4rem; }
.cards { list-style: none; display: grid; gap: .75rem; }
.card {
  color: inherit; background: var(--card); border: 1px solid var(--line); border-left: .25rem solid var(--edge, var(--line));
  border-radius: .4rem; padding: .8rem 1rem;
}
.card h3 { display: grid; gap: .15rem; }
.card .change { color: var(--text); font-size: 1.05rem; font-weight: 600; line-height: 1.4; }
.plain .change { font-size: .9375rem; font-weight: 400; color: var(--dim); }
.plain .name { font-size: 1.05rem; font-weight: 600; }
.plain.change .change { color: var(--change); font-weight: 600; }
.card .about { display: flex; flex-wrap: wrap; gap: 0 .75rem; align-items: baseline; }
.card .name { font-weight: 500; }
.card > ul { list-style: none; margin-top: .5rem; font-size: .9rem; color: var(--dim); }
.card > ul li + li { margin-top: .15rem; }
.finding { margin-left: 1.5rem; }
.finding .change { font-size: .9375rem; font-weight: 400; }
.badge { color: var(--edge, var(--dim)); font-size: .875rem; font-weight: 600; letter-spacing: .01em; }
.action { color: var(--dim); font-size: .875rem; margin-left: .35rem; }
.shape { display: inline-block; min-width: 1em; }
.card.loosen { --edge: var(--change); }
.card.tighten { --edge: var(--info); }
.card.mixed { --edge: var(--mixed); }
.card.add { --edge: var(--good); }
.card.loosen.add { --edge: var(--change); }
.card.warn { --edge: var(--change); }
.card.bad { --edge: var(--bad); }
.card.dim { --edge: var(--line); }
.card.dim .badge { color: var(--dim); }
.strips { margin-top: .8rem; display: grid; gap: 1rem; }
details.strips { display: block; }
details.strips > .strip, details.strips > p { margin-top: .8rem; }
summary { cursor: pointer; color: var(--info); font-size: .9rem; padding: .25rem 0; }
summary:focus-visible, a:focus-visible { outline: .15rem solid var(--info); outline-offset: .15rem; border-radius: .2rem; }
.names { font-size: .875rem; color: var(--dim); margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th { text-align: left; font-weight: 500; }
.week { table-layout: fixed; font-size: .8125rem; line-height: 1.35; }
.strip > p { margin: .25rem 0 0; }
.week caption { text-align: left; font-weight: 500; font-size: .875rem; padding-bottom: .2rem; }
.total { font-weight: 400; margin-left: .4rem; }
.week th, .week td { padding: .1rem 0; vertical-align: middle; }
.date { white-space: nowrap; }
.week tbody th { overflow: hidden; }
.week tr > :first-child { width: 8rem; padding-right: .5rem; }
.week tr > :last-child { width: 8.5rem; padding-left: .6rem; }
.week td span { white-space: nowrap; }
.week tbody th { font-weight: 400; color: var(--dim); }
.week thead th { font-weight: 400; color: var(--dim); font-size: .75rem; }
.week thead th:first-child, .week thead th:last-child { text-indent: -999rem; overflow: hidden; }
.scale { display: flex; justify-content: space-between; }
.scale span { white-space: nowrap; width: 0; display: flex; justify-content: center; }
.week svg {
  display: block; width: 100%; height: 1.25rem; overflow: visible;
  background: linear-gradient(to right, var(--line) 1px, transparent 1px) 0 0 / 25% 100%, linear-gradient(var(--grid), var(--grid)) 0 50% / 100% 1px no-repeat;
  border-right: 1px solid var(--line);
}
.k { fill: var(--kept); }
.o { fill: var(--opened); }
.c { fill: none; stroke: var(--closed); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.s { fill: var(--skip); }
.charts { display: grid; gap: 2rem; }
figure { margin: 0; }
.chart h3 { font-weight: 500; }
.chart .said, .chart .bad, .plots .said { margin: 0; font-size: .9rem; }
.chart > svg, .plot > svg {
  display: block; width: 100%; height: 8rem; border: solid var(--line); border-width: 1px 0;
}
.axis { margin: .25rem 0; font-size: .8125rem; }
.axis.columns { display: flex; }
.axis.columns span { flex: 1; min-width: 0; overflow: hidden; }
.axis.ends { display: flex; justify-content: space-between; }
.g { fill: none; stroke: var(--line); vector-effect: non-scaling-stroke; }
.a { fill: var(--kept); }
.x { fill: var(--bad); }
.b, .m { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; stroke: var(--text); }
.b { stroke: var(--closed); stroke-width: 1.5; }
.m { stroke: var(--bad); }
.plots { margin-top: .8rem; display: grid; gap: 1.25rem; }
.plot figcaption, .measures caption { text-align: left; font-weight: 500; font-size: .875rem; }
.plot .legend { margin-top: .25rem; }
.week.rates svg { height: 2rem; background: linear-gradient(to right, var(--line) 1px, transparent 1px) 0 0 / 25% 100%; border-bottom: 1px solid var(--line); }
.week.rates tr > :first-child { width: 2.75rem; }
.week.rates tr > :last-child { width: 5.5rem; }
.t, .e { fill: none; stroke: var(--text); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.f { fill: none; stroke: var(--dim); stroke-width: 1.5; stroke-dasharray: 4 3; vector-effect: non-scaling-stroke; }
.h { fill: var(--opened); opacity: .35; }
.r { fill: var(--kept); opacity: .4; }
.dot { fill: none; stroke: var(--text); stroke-width: 12; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.dot.n { stroke: var(--card); stroke-width: 8; }
.dot.p { stroke: var(--opened); stroke-width: 8; }
.measures th, .measures td { font-weight: 400; vertical-align: top; padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--line); }
.measures thead th { border: 0; color: var(--dim); font-size: .8125rem; }
.measures { font-size: .875rem; table-layout: fixed; }
.measures tr > :first-child { width: 36%; }
.measures .place { display: block; }
.measures td span { display: block; color: var(--dim); font-size: .8125rem; white-space: nowrap; }
.measures svg { display: block; width: 100%; height: 1.5rem; }
.loads { width: auto; }
.loads th, .loads td { padding: .15rem 1.5rem .15rem 0; font-weight: 400; }
.rows th, .rows td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--line); }
.rows thead th { border: 0; color: var(--dim); font-weight: 500; }
.rows thead td { border: 0; }
.rows ul { list-style: none; color: var(--dim); }
.mark { width: 1.5rem; font-family: ui-monospace, monospace; font-weight: 600; }
.notes { margin-top: 2.5rem; }
footer { margin-top: 2rem; padding-top: 1rem; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: minmax(0, max-content) minmax(0, 1fr); gap: .2rem 1.25rem; margin: 0; font-size: .9rem; }
dt { color: var(--dim); }
dd { margin: 0; }
@media (min-width: 60rem) {
  .loosen, .tighten, .mixed, .neutral {
    display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1.15fr); column-gap: 2rem; align-content: start;
  }
  .card > * { grid-column: 1; }
  .card > .strips { grid-column: 2; grid-row: 1 / span 4; margin-top: 0; align-self: start; }
  .card > .plots { grid-column: 1 / -1; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.25rem 2.5rem; align-items: start; }
  .plots > .strip { grid-column: 2; grid-row: 1 / span 2; }
  .plain > .strips { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem 2.5rem; margin-top: .8rem; }
  .week.compared tr > :last-child { width: 12.6rem; }
  .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@media (min-width: 40rem) {
  .rows th, .rows .words { overflow-wrap: normal; }
  .rows .line { white-space: nowrap; }
}
@media (max-width: 40rem) {
  body { padding: 1.25rem 1rem 3rem; }
  .week tr > :first-child { width: 5.2rem; padding-right: .3rem; }
  .year { display: none; }
  .measures { font-size: .8125rem; }
  .measures td span { white-space: normal; }
  .measures th, .measures td { padding-right: .4rem; }
  .week tr > :last-child { width: 6.2rem; padding-left: .4rem; }
  .rows, .rows tbody, .rows tr, .rows td { display: block; }
  .rows thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; white-space: nowrap; }
  .rows tr { border-top: 1px solid var(--line); padding: .5rem 0; }
  .rows td { border: 0; padding: .1rem 0; }
  .rows td:not(.mark) { margin-left: 1.25rem; }
  .rows .mark { float: left; width: 1.25rem; }
  .rows td[data-label]::before { content: attr(data-label) ": "; color: var(--dim); }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
"""
"""CSS of the page. The page's policy allows exactly this text, by its hash."""
