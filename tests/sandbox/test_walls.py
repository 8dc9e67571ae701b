"""The sandbox is its own product: it knows nothing of what it checks, and costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import sandbox

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "reconciler" / "sandbox").glob("*.py"))
LOOK = "import sys; from reconciler import sandbox; {}; print([m for m in ('fastapi', 'uvicorn', 'sqlite3') if m in sys.modules])"
WITHOUT = """
import sys
sys.modules["fastapi"] = None
from reconciler import sandbox
sandbox.CampaignState.open().close()
try:
    sandbox.{name}
except ImportError as error:
    print(type(error).__name__, error)
"""


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
    ).stdout.strip()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_it_imports_nothing_else_of_the_product(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        assert all(n.startswith("reconciler.sandbox") for n in names if n.startswith("reconciler"))


def test_looking_at_it_imports_nothing_and_a_world_needs_no_web_framework():
    assert run(LOOK.format("pass")) == "[]"
    assert run(LOOK.format("sandbox.CampaignState")) == "['sqlite3']"


@pytest.mark.parametrize("name", ["create_app", "serve"])
def test_without_the_extra_it_says_what_to_install(name):
    assert run(WITHOUT.format(name=name)) == (
        "SandboxMissing the sandbox's HTTP side is not installed: "
        f"run {sys.executable} -m pip install 'cxone-reconcile[sandbox]'"
    )


def test_every_public_name_is_there():
    assert all(getattr(sandbox, name) for name in sandbox.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sandbox.nothing
