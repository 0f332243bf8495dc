import runpy
from pathlib import Path

import numpy as np
import pytest
from tiny import rated_pictures

from hf_aesthetics.data.cache_files import cache_folder
from hf_aesthetics.data.loading import add_maps, load_collection
from hf_aesthetics.data.modality_columns import ModalityColumn


@pytest.fixture(scope="module")
def cache_modalities():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "cache_modalities.py"))["main"]


@pytest.fixture
def rated_folder(tmp_path) -> Path:
    lines = ["file_name,votes_1,votes_2,votes_3,votes_4,votes_5,split"]
    for part, count in (("train", 20), ("validation", 3), ("test", 4)):
        for row in rated_pictures(count, seed=count):
            row["image"].save(tmp_path / f"{row['image_id']}.png")
            lines.append(f"{row['image_id']}.png,{','.join(map(str, row['vote_counts']))},{part}")
    (tmp_path / "ratings.csv").write_text("\n".join(lines))
    return tmp_path


def test_training_finds_the_maps_that_were_cached(cache_modalities, rated_folder, tiny_depth, capsys):
    def made() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in cache_folder("modality_columns").rglob("*.arrow")}

    flags = ["--modality", "gray", "depth", "--extractor", f"depth={tiny_depth}"]
    cache_modalities(["--dataset", "folder", "--data_dir", str(rated_folder), *flags])
    printed, before = capsys.readouterr().out, made()
    collection = load_collection("folder", rated_folder)
    gray = add_maps(collection, ModalityColumn("gray"))
    depth = add_maps(collection, ModalityColumn("depth", str(tiny_depth)))
    assert made() == before
    assert (gray.modality_column, depth.modality_column) == ("gray", "depth")
    for name, split in collection.splits.items():
        assert f"{name}: {len(split)} gray maps" in printed and f"{name}: {len(split)} depth maps" in printed
        assert gray.splits[name]["image_id"][:] == depth.splits[name]["image_id"][:] == split["image_id"][:]
        for index in range(3):
            expected = np.asarray(split[index]["image"]) @ np.array([0.299, 0.587, 0.114])
            np.testing.assert_allclose(np.asarray(gray.splits[name][index]["gray"]), expected, atol=0.51)
            assert depth.splits[name][index]["depth"].size == split[index]["image"].size


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--modality", "gray", "--data_dir", "{tmp}"], "Expected AVA.txt in .*Fetch it from "),
        (["--modality", "gray", "--extractor", "depth=here"], "for one of gray, got depth"),
        (["--modality", "gray", "--extractor", "gray=here"], "'gray' come from no network, got 'here'"),
        (["--modality", "saliency_u2net"], "a network for image-segmentation, and none is named"),
    ],
)
def test_an_error_is_one_line(flags, message, cache_modalities, tmp_path):
    with pytest.raises(SystemExit, match=f"^error: [^\n]*{message}[^\n]*$"):
        cache_modalities(["--dataset", "ava", *(flag.format(tmp=tmp_path) for flag in flags)])


def test_the_picture_itself_is_no_map(cache_modalities, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cache_modalities(["--dataset", "ava", "--data_dir", str(tmp_path), "--modality", "rgb"])
    assert "invalid choice: 'rgb'" in capsys.readouterr().err
