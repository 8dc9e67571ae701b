"""The gate's last step: both commands of the README in one fresh clone of HEAD, in the README's order."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import readme
from tests.support.gitfakes import commit, git

GATE = readme.README.parent / ".ci" / "run"
PYTHON = """#!/bin/sh
case "$*" in
*readme.py*) [ "$2" != "$FAILS" ] || echo "exit 3"; echo "echo $2 \\${TMPDIR-on disk}; touch $2; ls run >/dev/null" ;;
*"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; for name in pip ruff mypy lint-imports zizmor reconcile; do printf '#!/bin/sh\\n[ "$1" != schema ] || mkdir -p "$3"\\n' >.venv/bin/$name; chmod +x .venv/bin/$name; done ;;
*--version*) echo Python 3.11.0 ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the gate in it, and a Python that only says what it is asked."""
    root = tmp_path / "repository"
    (root / ".ci").mkdir(parents=True)
    shutil.copyfile(GATE, root / ".ci" / "run")
    (root / "schemas").mkdir()
    (root / "tests").mkdir()
    (root / "tests" / "readme.py").write_text("")
    (root / ".gitignore").write_text("/.venv/\n")
    git(root, "init", "-q", "-b", "main")
    commit(root, "begin")
    return root


def script(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


def gate(
    root: Path, tmp_path: Path, fails: str = "", path: str | None = None, *, place: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the gate with a browser on the PATH, or with another PATH; `place`: `TMPDIR` is set."""
    python = script(tmp_path / "fake-python", PYTHON)
    browser = script(tmp_path / "browser" / "chromium", "#!/bin/sh\n")
    there = path or f"{browser.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PYTHON": str(python), "TMPDIR": str(tmp_path), "FAILS": fails, "PATH": there}
    environment = {**os.environ, **environment}
    if not place:
        del environment["TMPDIR"]
    return subprocess.run(
        ["bash", str(root / ".ci" / "run")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_gate_runs_both_commands_in_order_in_one_clone_that_is_not_the_checkout(
    clone: Path, tmp_path: Path
) -> None:
    """The second finds what the first left (`ls run`); the checkout has nothing of either."""
    ran = gate(clone, tmp_path)
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert said[-4:] == [
        "echo run ${TMPDIR-on disk}; touch run; ls run >/dev/null",
        f"run {tmp_path}",
        "echo test ${TMPDIR-on disk}; touch test; ls run >/dev/null",
        f"test {tmp_path}",
    ]
    assert "note:" not in ran.stdout
    assert not (clone / "run").exists()


MEMORY = Path("/dev/shm")  # noqa: S108 - a file system, not a file


@pytest.mark.skipif(
    not os.access(MEMORY, os.W_OK) or bool(os.statvfs(MEMORY).f_flag & os.ST_NOEXEC),
    reason="no program may be run in a folder in memory here",
)
@pytest.mark.parametrize(("room", "there"), [("4000", True), ("3999", False), ("", False)])
def test_the_files_of_tests_are_kept_in_memory_that_has_room(
    clone: Path, tmp_path: Path, room: str, *, there: bool
) -> None:
    script(tmp_path / "tools" / "df", f"#!/bin/sh\necho Avail; echo '{room}'\n")
    script(tmp_path / "tools" / "chromium", "#!/bin/sh\n")
    path = f"{tmp_path / 'tools'}{os.pathsep}{os.environ['PATH']}"
    ran = gate(clone, tmp_path, path=path, place=False)
    assert ran.returncode == 0, ran.stderr
    _, _, kept = ran.stdout.splitlines()[-1].partition(" ")
    assert Path(kept).is_relative_to(MEMORY) is there
    assert kept == "on disk" or not Path(kept).exists()
    assert "run on disk" in ran.stdout


def test_the_files_of_tests_stay_on_disk_where_memory_cannot_be_written(
    clone: Path, tmp_path: Path
) -> None:
    script(tmp_path / "tools" / "df", "#!/bin/sh\necho Avail; echo 4000\n")
    script(tmp_path / "tools" / "chromium", "#!/bin/sh\n")
    refuses = f'case "$*" in *{MEMORY}*) echo refused >&2; exit 1 ;; esac'
    script(
        tmp_path / "tools" / "mktemp",
        f'#!/bin/sh\n{refuses}\nexec {shutil.which("mktemp")} "$@"\n',
    )
    path = f"{tmp_path / 'tools'}{os.pathsep}{os.environ['PATH']}"
    ran = gate(clone, tmp_path, path=path, place=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[-1] == "test on disk"


def test_the_gate_says_what_it_does_not_test(clone: Path, tmp_path: Path) -> None:
    (clone / "new").write_text("")
    ran = gate(clone, tmp_path)
    assert "note: what is not committed is not in the clone" in ran.stdout


def test_the_gate_fails_where_a_command_of_the_readme_fails(clone: Path, tmp_path: Path) -> None:
    first = gate(clone, tmp_path, "run")
    assert first.returncode == 1
    assert "the README's first command failed in the clone" in first.stderr
    assert "touch test" not in first.stdout
    assert gate(clone, tmp_path, "test").returncode == 3
    assert not list(tmp_path.glob("tmp.*")), "the clone is removed"


@pytest.mark.parametrize(
    ("user", "apt_get", "says"),
    [
        ("0", "exit 0", "install -qq --yes --no-install-recommends chromium"),
        ("0", "exit 1", "chromium cannot be installed"),
        ("1000", "exit 0", "install Debian's package chromium"),
    ],
)
def test_the_gate_installs_a_browser_as_root_and_says_what_is_not_tested_without(
    clone: Path, tmp_path: Path, user: str, apt_get: str, says: str
) -> None:
    """The PATH holds what the gate calls, and no browser."""
    tools = tmp_path / "tools"
    for name in "bash sh git mktemp rm mkdir cp chmod cat dirname diff touch ls".split():  # noqa: SIM905 - a list of commands
        found = shutil.which(name)
        assert found
        script(tools / name, f'#!{shutil.which("sh")}\nexec {found} "$@"\n')
    calls = tmp_path / "calls"
    script(tools / "apt-get", f'#!/bin/sh\necho "$@" >>{calls}\n{apt_get}\n')
    script(tools / "id", f"#!/bin/sh\necho {user}\n")
    ran = gate(clone, tmp_path, path=str(tools))
    assert ran.returncode == 0, ran.stderr
    called = calls.read_text() if calls.exists() else ""
    assert says in ran.stdout + called
    assert bool(called) is (user == "0")
