"""`.github/ARCHITECTURE.md` says which rooms there are and what each imports: it must be what the code does."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parents[2]
PAGE = (HERE / ".github" / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROOMS = HERE / "reconciler"


def written() -> dict[str, set[str]]:
    """Return the rooms of the page, each with what it imports."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", PAGE, re.MULTILINE)
    return {room: set(re.findall(r"\w+", imports)) for room, imports in rows}


def imported(file: Path) -> set[str]:
    """Return the rooms that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "reconciler":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reconciler."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == "reconciler" and name[1:]}
    return found


def coded() -> dict[str, set[str]]:
    """Return the rooms of the code, each with what it imports."""
    rooms: dict[str, set[str]] = {}
    for file in ROOMS.rglob("*.py"):
        room = file.relative_to(ROOMS).parts[0].removesuffix(".py")
        rooms.setdefault(room, set()).update(imported(file))
    return {
        room: imports - {room, "_version"}
        for room, imports in rooms.items()
        if not room.startswith("_")
    }


def test_the_table_of_rooms_is_what_the_code_does():
    assert written() == coded()


def test_every_file_that_the_page_names_is_there():
    tables = PAGE.partition("## Where the promises are kept")[2]
    for name in re.findall(r"`([\w/*]+(?:\.py|/))`", tables):
        found = [
            *ROOMS.glob(name.rstrip("/")),
            *(HERE / "tests").glob(name.rstrip("/")),
            *HERE.glob(name.rstrip("/")),
        ]
        assert found, name
