"""Programs run in this process, on a collection of thirty pictures."""

import importlib
import sys
from pathlib import Path

import pytest
from tiny import TINY_RESNET, rated_pictures
from transformers import ResNetConfig, ResNetModel, set_seed

from hf_aesthetics import ModalityImageProcessor


SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def run():
    """Runs a program in a folder, in this process, which has imported everything already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)

        def run(folder: Path, script: str, *flags: str) -> None:
            patch.chdir(folder)
            importlib.import_module(script).main([*flags])

        yield run
        for script in SCRIPTS.glob("*.py"):
            sys.modules.pop(script.stem, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Thirty pictures rated by their brightness, and a tiny backbone."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / "pictures").mkdir()
    lines = ["file_name,split,place," + ",".join(f"votes_{rating}" for rating in range(1, 6))]
    for index, row in enumerate(rated_pictures(30, seed=5)):
        row["image"].save(folder / "pictures" / f"{index}.png")
        split = "train" if index < 18 else "validation" if index < 24 else "test"
        lines.append(f"{index}.png,{split},{('sea', 'sky')[index % 2]}," + ",".join(map(str, row["vote_counts"])))
    (folder / "pictures" / "ratings.csv").write_text("\n".join(lines) + "\n")
    set_seed(0)
    ResNetModel(ResNetConfig(**{k: v for k, v in TINY_RESNET.items() if k != "model_type"})).save_pretrained(
        folder / "backbone"
    )
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "backbone")
    return folder
