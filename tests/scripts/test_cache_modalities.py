import runpy
from pathlib import Path

import numpy as np
import pytest

from hf_aesthetics.data.loading import load_collection


SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def cache_modalities():
    return runpy.run_path(str(SCRIPTS / "cache_modalities.py"))["main"]


@pytest.fixture
def ava(tmp_path) -> Path:
    runpy.run_path(str(SCRIPTS / "synthetic_ava.py"))["main"](
        ["--output_dir", str(tmp_path / "ava"), "--num_rows", "400"]
    )
    return tmp_path / "ava"


def test_training_finds_the_maps_that_were_cached(cache_modalities, ava, capsys):
    source = ["--dataset", "ava", "--data_dir", str(ava)]
    before = load_collection("ava", ava, modality="gray", num_proc=1)
    assert before.modality_column is None
    cache_modalities([*source, "--modality", "gray"])
    collection = load_collection("ava", ava, modality="gray")
    assert collection.modality_column == "gray"
    printed = capsys.readouterr().out
    for name, split in collection.splits.items():
        assert f"{name}: {len(split)} gray maps" in printed
        assert split["image_id"][:] == before.splits[name]["image_id"][:]
        for row in split.select(range(3)):
            expected = np.asarray(row["image"]) @ np.array([0.299, 0.587, 0.114])
            np.testing.assert_allclose(np.asarray(row["gray"]), expected, atol=0.51)
    assert load_collection("ava", ava, modality="constant").modality_column is None
    assert load_collection("ava", ava).modality_column is None


def test_an_error_is_one_line(cache_modalities, tmp_path):
    with pytest.raises(SystemExit, match="^error: Expected AVA.txt in .*Fetch it from [^\n]*$"):
        cache_modalities(["--dataset", "ava", "--data_dir", str(tmp_path), "--modality", "gray"])


def test_the_picture_itself_is_no_map(cache_modalities, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cache_modalities(["--dataset", "ava", "--data_dir", str(tmp_path), "--modality", "rgb"])
    assert "invalid choice: 'rgb'" in capsys.readouterr().err
