"""One headless Chromium of the system for all tests of a module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "needs Chromium: install Debian's package chromium (apt-get install --no-install-recommends chromium)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a network: every name is unknown, and no test serves anything.

    It ends with the module, not with the session: playwright keeps an event loop running in this thread, and then no other test
    of the process can start one.
    """
    if CHROMIUM is None:
        pytest.skip(MISSING)
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (pip install -e '.[dev]')"
    )
    options = ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-gpu"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium's own sandbox refuses root
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


class Opened:
    """A page that is open, and all that the browser said about it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def ask(self, script: str) -> Any:
        """Return what a script of the test finds; the page itself has none."""
        return self.page.evaluate(script)


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open HTML at a width."""
    contexts = []

    def open_page(html: str, width: int = 1280) -> Opened:
        file = tmp_path / "page.html"
        file.write_text(html, "utf-8")
        # `bypass_csp` stays off: the page is under its own policy.
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.goto(file.as_uri())
        return found

    yield open_page
    for context in contexts:
        context.close()
