"""Fixtures shared by all tests: a clean environment."""

import pytest


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the tenant, the proxy or the CI of whoever runs it."""
    import os

    for name in list(os.environ):
        if name.startswith(("CXONE_", "GITHUB_", "GIT_")) or name.lower().endswith("_proxy") or name == "CI":
            monkeypatch.delenv(name)
