"""The plan of the house, checked: floors without cycles, one folder that travels, rooms that a newcomer finds."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_aesthetics"
MODULES = sorted(PACKAGE.rglob("*.py"))

# a module imports from lower floors, or from its own sub-package
FLOORS = {
    "extras": 1,
    "models": 1,
    "hub_faults": 1,
    "licensing": 1,
    "whole_files": 1,
    "worker_processes": 1,
    "images": 2,
    "picture_edits": 2,
    "strict_loading": 2,
    "extraction": 3,
    "sources": 3,
    "data": 4,
    "metrics": 4,
    "pipelines": 4,
    "registration": 5,
    "explain": 5,
    "labelling": 5,
    "scoring": 5,
    "advice": 6,
    "evaluation": 6,
    "competition": 6,
    "series": 6,
    "analysis": 7,
    "cards": 8,
    "reports": 8,
    "hub": 9,
    "training": 10,
    "cli": 10,
    "study": 11,
}


def room_of(path: Path) -> str:
    """`hf_aesthetics/data/oasis.py` lies in `data`, `hf_aesthetics/hub.py` in `hub`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms of the package that a module imports, at its top or inside its functions."""
    package = path.relative_to(ROOT).parts[:-1]
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            parts = (*base, *(node.module or "").split("."))
            names = [parts] if node.module else [(*base, alias.name) for alias in node.names]
            rooms |= {name[1] for name in names if name[0] == "hf_aesthetics" and len(name) > 1 and name[1]}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            rooms |= {name[1] for name in names if name[0] == "hf_aesthetics" and len(name) > 1}
    return rooms & FLOORS.keys()


@pytest.mark.parametrize("path", [p for p in MODULES if p != PACKAGE / "__init__.py"], ids=lambda p: p.stem)
def test_imports_go_down(path):
    room = room_of(path)
    assert room in FLOORS, f"{path} lies on no floor: give it one, or a better room"
    upwards = {other for other in imported_rooms(path) - {room} if FLOORS[other] >= FLOORS[room]}
    assert not upwards, f"{path} on floor {FLOORS[room]} imports {upwards}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=lambda p: p.stem)
def test_files_that_travel_import_only_siblings(path):
    source = path.read_text()
    siblings = {p.stem for p in path.parent.glob("*.py")}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1 and node.module in siblings, ast.unparse(node)
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            assert not any(m.split(".")[0] == "hf_aesthetics" for m in modules), ast.unparse(node)
    # the Hub's scanner is a regular expression that also reads docstrings
    for name in re.findall(r"^\s*from\s+\.(\w+)\s+import", source, re.MULTILINE):
        assert name in siblings, name


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_one_room(path):
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in ("utils", "helpers", "common", "misc")


def test_configurations_keep_their_type_checks():
    # the future import turns annotations into strings, after which nothing is checked
    for path in (PACKAGE / "models").glob("configuration_*.py"):
        assert "from __future__ import annotations" not in path.read_text(), path


def test_importing_the_package_touches_nothing():
    program = """
import logging, socket, sys
def refuse(*args, **kwargs):
    raise OSError("network at import")
socket.socket.connect = refuse
before = logging.getLogger().level, list(logging.getLogger().handlers)
import hf_aesthetics
assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before
heavy = {"datasets", "accelerate", "gradio", "evaluate", "scipy", "pyarrow", "timm"} & set(sys.modules)
ours = {name for name in heavy if name not in WITH_TRANSFORMERS}
assert not ours, ours
"""
    # what transformers itself imports where it is installed is not our doing
    probe = "import sys, torch, torchvision, transformers; from transformers import AutoModelForImageClassification, "
    probe += "AutoImageProcessor, Pipeline, PreTrainedModel; print([m for m in sys.modules if '.' not in m])"
    probed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    program = f"WITH_TRANSFORMERS = {probed.stdout.strip()}\n{program}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_map_of_the_readme_is_the_tree():
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- tree -->\n```\n(.*?)```", readme, re.DOTALL)
    assert block, "README.md must hold the map of the tree after the mark <!-- tree -->"
    listed, stack = set(), []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        stack[depth:] = [line.split()[0].rstrip("/")]
        listed.add("/".join(stack))
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(name) for name in tracked.stdout.splitlines() if (ROOT / name).exists()]
    described = {p for p in files if p.parts[0] in ("hf_aesthetics", "scripts", "model_cards")}
    wanted = {
        str(p.parent if p.name == "__init__.py" else p)
        for p in described
        if p.suffix in (".py", ".md") and p != Path("hf_aesthetics/__init__.py")
    } | {f"spaces/{p.parts[1]}" for p in files if p.parts[0] == "spaces"}
    assert wanted <= listed, f"not in the map: {sorted(wanted - listed)}"
    gone = {name for name in listed if not (ROOT / name).exists()}
    assert not gone, f"in the map, but not in the tree: {sorted(gone)}"
