"""What all tests share: a clean environment, and examples that are not timed."""

import os

import hypothesis
import pytest

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the tenant, the proxy or the CI of whoever runs it."""
    for name in list(os.environ):
        if (
            name.startswith(("CXONE_", "GITHUB_", "GIT_", "RECONCILE_"))
            or name.lower().endswith("_proxy")
            or name == "CI"
        ):
            monkeypatch.delenv(name)
