"""What may stand in a tenant's folder, and which links lead to one: none that a commit can hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifests import find_tenants
from reconciler.manifests.folders import list_files

LINK = "is a link, and links are not followed: put the file itself here"
LIKE_A_REPOSITORY = "is named like a part of a git repository"
NO_MANIFEST = "is not a manifest: a tenant's folder holds *.yaml and *.yml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the tenant acme in a repository, seen from its top."""
    root = tmp_path / "repo"
    here = root / "schedules" / "acme"
    (here / "emea").mkdir(parents=True)
    (root / ".git").mkdir()
    for name in ("tenant.yaml", "a.yaml", "emea/b.yml"):
        (here / name).touch()
    monkeypatch.chdir(root)
    return here.relative_to(root)


def refused(path: Path) -> list[str]:
    """Return what is said of a path and of all that its tenants hold."""
    try:
        found = find_tenants(path)
    except ManifestError as error:
        return list(map(str, error.problems))
    return [str(problem) for tenant in found for problem in list_files(tenant)[1]]


def put(path: Path) -> None:
    """Make a file, or a folder with one in it for a name that ends with `/`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


# --- what may stand there ---------------------------------------------------------------------------------------------------


MANIFEST = "# yaml-language-server: ...\napiVersion: cxone.reconciler/v1\nkind: CampaignSchedule\n"


@pytest.mark.parametrize("name", [".b.yaml", ".B.YML", "emea/.tenant.yaml"])
def test_a_manifest_in_a_hidden_file_is_refused_because_nothing_would_apply_it(
    folder: Path, name: str
) -> None:
    (folder / name).write_text(MANIFEST)
    (said,) = refused(folder)
    assert said.startswith(f"{folder / name}: is a manifest in a hidden file")
    assert "rename it to a name without the leading dot" in said


@pytest.mark.parametrize("content", ["extends: default\n", "", "\0\5\26\7 apiVersion: cxone"])
def test_a_hidden_file_of_another_program_may_stand_there(folder: Path, content: str) -> None:
    (folder / ".yamllint.yaml").write_text(content)
    (folder / ".#a.yaml").symlink_to("somebody@here.1234")  # a lock of Emacs
    assert refused(folder) == []


@pytest.mark.parametrize("below", ["", "emea/"])
@pytest.mark.parametrize(
    "name", ["README.md", "notes.TXT", ".gitattributes", ".gitignore", ".gitkeep", ".a.yaml.swp"]
)
def test_notes_and_the_files_of_editors_may_stand_beside_manifests(
    folder: Path, below: str, name: str
) -> None:
    put(folder / below / name)
    put(folder.parent / name)
    assert refused(folder) == refused(folder.parent) == []
    (tenant,) = find_tenants(folder)
    assert list_files(tenant)[0] == [f"{folder}/a.yaml", f"{folder}/emea/b.yml"]


@pytest.mark.parametrize("below", ["", "emea/"])
@pytest.mark.parametrize(
    "name",
    [
        *("HEAD", "config", "packed-refs", "commondir", "head", "hooks/post-checkout", "objects/x"),
        *(
            "refs/heads/main",
            "Refs/a.yaml",
            ".gitmodules",
            ".gitconfig",
            ".GIT/x",
            "objects/a.yaml",
        ),
    ],
)
def test_what_git_could_take_for_a_repository_is_refused(
    folder: Path, below: str, name: str
) -> None:
    put(folder / below / name)
    (said,) = refused(folder)
    assert said.startswith(f"{folder}/{below}{name.partition('/')[0]}: {LIKE_A_REPOSITORY}")


@pytest.mark.parametrize("name", ["HEAD", "objects/x", ".gitmodules"])
@pytest.mark.parametrize("below", ["", "notes/"])
def test_so_it_is_beside_the_tenants_folders(folder: Path, below: str, name: str) -> None:
    put(folder.parent / below / name)
    (said,) = refused(folder.parent)
    assert LIKE_A_REPOSITORY in said
    assert refused(Path()) == [said]


@pytest.mark.parametrize("name", ["a.yaml.bak", "b.ymal", "c.json", "Makefile", "d.yaml~"])
def test_a_file_that_is_no_manifest_is_refused_and_not_left_out(folder: Path, name: str) -> None:
    put(folder / name)
    put(folder.parent / name)
    (said,) = refused(folder)
    assert said.startswith(f"{folder}/{name}: {NO_MANIFEST}")
    (said,) = refused(folder.parent)
    assert said.startswith(f"{folder.parent}/{name}: {NO_MANIFEST}")


def test_a_repository_in_a_folder_of_manifests_is_refused(folder: Path) -> None:
    put(folder / "emea" / ".git" / "HEAD")
    (said,) = refused(folder)
    assert said.startswith(f"{folder}/emea/.git: {LIKE_A_REPOSITORY}")


def test_a_tenants_folder_may_be_the_top_of_its_repository(folder: Path) -> None:
    for name in (".git/HEAD", ".github/x.yml", ".gitmodules"):
        put(folder / name)
    assert refused(folder) == []


def test_a_folder_of_another_name_may_hold_what_a_repository_holds(folder: Path) -> None:
    folder.parent.rename("tenants")
    for name in ("config/x.ini", "pyproject.toml", "src/main.py"):
        put(Path("tenants") / name)
    assert refused(Path("tenants")) == []


# --- links ------------------------------------------------------------------------------------------------------------------


def _the_usual_folder(folder: Path) -> tuple[Path, Path]:
    return folder.parent, folder


def _above_it(folder: Path) -> tuple[Path, Path]:
    Path("a/b").mkdir(parents=True)
    folder.parent.rename("a/b/schedules")
    return Path("a"), Path("a/b/schedules/acme")


def _the_tenant(folder: Path) -> tuple[Path, Path]:
    return folder, folder


def _a_part(folder: Path) -> tuple[Path, Path]:
    return folder / "emea", folder / "emea" / "b.yml"


def _a_manifest(folder: Path) -> tuple[Path, Path]:
    return folder / "a.yaml", folder / "a.yaml"


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize(
    "chosen", [_the_usual_folder, _above_it, _the_tenant, _a_part, _a_manifest]
)
def test_a_link_between_the_repository_and_a_manifest_is_refused(
    folder: Path,
    tmp_path: Path,
    chosen: Callable[[Path], tuple[Path, Path]],
    *,
    absolute: bool,
    inside: bool,
) -> None:
    """Also one into the base's checkout beside it (`.tool`), which is a repository of its own."""
    link, named = chosen(folder)
    target = (Path(".tool") if inside else tmp_path / "away") / link
    put(target.parent / ".git" / "HEAD")
    link.rename(target)
    link.symlink_to(target.absolute())
    start = Path.cwd() if absolute else Path()
    assert refused(start / named) == [f"{start / link}: {LINK}"]


def test_a_link_to_a_whole_repository_is_refused(folder: Path) -> None:
    """The walk upwards meets the `.git` behind the link first."""
    put(Path(".tool/.git/HEAD"))
    folder.parent.rename(".tool/other")
    Path("schedules").symlink_to(".tool")
    put(Path(".tool/acme/tenant.yaml"))
    assert refused(Path("schedules/acme")) == [f"schedules: {LINK}"]


def test_a_link_is_seen_behind_two_dots_too(folder: Path) -> None:
    Path("x").symlink_to("schedules")
    assert refused(Path("x/../schedules/acme")) == [f"x: {LINK}"]


def test_a_link_above_the_repository_is_the_users_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").symlink_to(Path.cwd())
    assert refused(tmp_path / "work" / folder) == []
    monkeypatch.chdir(tmp_path)
    assert refused(Path("work") / folder) == []


def test_a_link_is_refused_from_a_folder_within_the_repository_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.parent.rename(tmp_path / "away")
    Path("a").mkdir()
    monkeypatch.chdir("a")
    Path("schedules").symlink_to(tmp_path / "away")
    assert refused(Path("schedules/acme")) == [f"schedules: {LINK}"]


def test_a_part_that_is_a_link_is_refused_outside_a_repository_too(
    folder: Path, tmp_path: Path
) -> None:
    Path(".git").rmdir()
    (folder / "emea").rename(tmp_path / "away")
    (folder / "emea").symlink_to(tmp_path / "away")
    assert refused(folder / "emea" / "b.yml") == [f"{folder}/emea: {LINK}"]
