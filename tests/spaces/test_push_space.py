"""Both Spaces on a Hub: what is uploaded installs from its own requirements and runs without the checkout."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from local_hub import LocalHub

from hf_aesthetics.hub import push_space


ROOT = Path(__file__).parents[2]
SPACES = ("image_aesthetics", "image_aesthetics_metric", "pairwise_labelling")
PUSH = """
import sys
from hf_aesthetics.hub import push_space
for name in sys.argv[2:]:
    models = ["alice/nima-tiny-rgb-parks"] if name == "image_aesthetics" else []
    push_space(f"spaces/{name}", f"alice/{name}", wheel=sys.argv[1], models=models)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    given = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "", **environment}
    done = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> dict[str, Path]:
    """What is in the Spaces after they were pushed, and, under `"site"`, what their requirements install of ours."""
    work = tmp_path_factory.mktemp("spaces")
    run("-m", "build", "--wheel", "--no-isolation", "-o", work / "dist", ROOT, cwd=work)
    [wheel] = (work / "dist").glob("*.whl")
    found = {"site": work / "site"}
    with LocalHub() as hub:
        run("-c", PUSH, wheel, *SPACES, cwd=ROOT, **hub.env("hf_write", work))
        for name in SPACES:
            found[name] = work / name
            for path, content in hub.files(f"alice/{name}", "space").items():
                (found[name] / path).parent.mkdir(parents=True, exist_ok=True)
                (found[name] / path).write_bytes(content)
        [own] = re.findall(r"^hf_aesthetics.*$", (found[SPACES[0]] / "requirements.txt").read_text(), re.MULTILINE)
        assert own.startswith(
            f"hf_aesthetics @ {hub.endpoint}/spaces/alice/image_aesthetics/resolve/main/hf_aesthetics-"
        )
        run("-m", "pip", "install", "-q", "--no-deps", "--target", found["site"], own, cwd=work)
    return found


@pytest.mark.parametrize("name", SPACES)
def test_the_space_holds_the_folder_and_the_wheel(published, name):
    folder = ROOT / "spaces" / name
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=folder, capture_output=True, text=True
    )
    uploaded = {path.relative_to(published[name]).as_posix() for path in published[name].rglob("*") if path.is_file()}
    [wheel] = {path for path in uploaded if path.endswith(".whl")}
    assert uploaded - {wheel, ".gitattributes"} == set(listed.stdout.split())
    lines = (published[name] / "requirements.txt").read_text().splitlines()
    assert all(re.search(r"==\S+$| @ http", line) for line in lines), "every requirement is pinned"


@pytest.mark.parametrize("name", SPACES)
def test_the_metadata_says_what_runs_it(published, name):
    metadata = yaml.safe_load((published[name] / "README.md").read_text().split("---")[1])
    assert metadata["sdk"] == "gradio" and metadata["sdk_version"] and metadata["app_file"] == "app.py"
    assert metadata.get("models") == (["alice/nima-tiny-rgb-parks"] if name == "image_aesthetics" else None)
    pinned = dict(re.findall(r"^(\w+)(?:\[\w+\])?==(\S+)$", (published[name] / "requirements.txt").read_text(), re.M))
    assert pinned.get("gradio", metadata["sdk_version"]) == metadata["sdk_version"]


@pytest.mark.parametrize("name", SPACES)
def test_nothing_is_imported_that_the_requirements_do_not_bring(published, name):
    if find_spec("gradio") is None:
        pytest.skip("what gradio brings along is known where it is installed: pip install 'hf_aesthetics[space]'")
    lines = (published[name] / "requirements.txt").read_text().splitlines()
    brought = closure({*lines, "gradio"})
    own = {path.stem for path in published[name].glob("*.py")}
    homes = importlib.metadata.packages_distributions()
    for path in published[name].glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in {module.split(".")[0] for module in modules} - own - sys.stdlib_module_names:
                if module != "spaces":  # there on ZeroGPU alone, and guarded
                    assert {normal(home) for home in homes.get(module, [module])} & brought, (
                        f"{path.name} imports {module}"
                    )


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements: set[str]) -> set[str]:
    """Distributions that requirements bring along, extras included."""
    from packaging.requirements import Requirement

    seen: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        asked = waiting.pop()
        for extra in ("", *asked.extras):
            if (key := f"{normal(asked.name)}[{extra}]") in seen:
                continue
            seen |= {key, normal(asked.name)}
            try:
                lines = importlib.metadata.requires(asked.name) or []
            except importlib.metadata.PackageNotFoundError:
                continue
            needed = [Requirement(line) for line in lines]
            waiting += [each for each in needed if each.marker is None or each.marker.evaluate({"extra": extra})]
    return seen


PAGE = """
import json
import app, hf_aesthetics
print(hf_aesthetics.__file__)
print(json.dumps([part["props"].get("value") for part in app.make_page().get_config_file()["components"]]))
"""


def test_the_uploaded_page_runs_far_from_the_checkout_and_says_what_is_wrong_with_its_model(published, tmp_path):
    if find_spec("gradio") is None:
        pytest.skip("the page needs gradio: pip install 'hf_aesthetics[space]'")
    path = os.pathsep.join([str(published["image_aesthetics"]), str(published["site"])])
    home, values = run("-c", PAGE, cwd=tmp_path, PYTHONPATH=path, MODEL_ID="").splitlines()[-2:]
    assert Path(home).is_relative_to(published["site"])
    [told] = [value for value in json.loads(values) if "alert" in str(value)]
    assert "&#39;alice/nima-tiny-rgb-parks&#39;" in told and "offline mode is on" in told


@pytest.mark.parametrize(
    ("requirements", "told"),
    [("gradio==6.31.0\n", "'hf_aesthetics==<version>'"), ("hf_aesthetics==0.0.9\n", "'hf_aesthetics==0.0.9'")],
)
def test_a_wheel_of_another_version_is_refused(tmp_path, requirements, told):
    (tmp_path / "README.md").write_text("---\nsdk: gradio\n---\n")
    (tmp_path / "requirements.txt").write_text(requirements)
    wheel = tmp_path / "hf_aesthetics-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    with pytest.raises(ValueError, match=re.escape(f"got {told} and {wheel.name!r}")):
        push_space(tmp_path, "alice/space", wheel=wheel)


def test_a_private_space_cannot_install_from_itself(tmp_path):
    (tmp_path / "README.md").write_text("---\nsdk: gradio\n---\n")
    with pytest.raises(ValueError, match="'alice/space', which is to be private"):
        push_space(tmp_path, "alice/space", wheel="hf_aesthetics-0.1.0-py3-none-any.whl", private=True)
