"""Any rated collection by its name."""

import dataclasses

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets
from PIL import Image

from hf_aesthetics.data import folder, synthetic
from hf_aesthetics.data.columns import LABEL_COLUMNS, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.loading import add_maps, load_collection
from hf_aesthetics.data.modality_columns import ModalityColumn


SCALE = RatingScale(1, 5, 9)


def rows(count: int, prefix: str = "p") -> Dataset:
    generator = np.random.default_rng(0)
    image = Image.new("RGB", (8, 8), "gray")
    return Dataset.from_list(
        [
            {
                "image": image,
                "image_id": f"{prefix}{index}",
                **vote_statistics(generator.multinomial(20, np.ones(9) / 9), SCALE, prefix),
            }
            for index in range(count)
        ],
        features=rating_features(9),
    )


def save(splits: dict[str, Dataset], where) -> str:
    for name, split in DatasetDict(splits).items():
        split.to_parquet(where / f"{name}-00000-of-00001.parquet")
    return str(where)


def test_parquet_tells_its_own_scale_and_its_missing_splits_follow_from_the_ids(tmp_path):
    collection = load_collection(save({"train": rows(200)}, tmp_path))
    assert collection.scale == SCALE and collection.revision is None
    ids = {part: set(split["image_id"]) for part, split in collection.splits.items()}
    assert set.union(*ids.values()) == {f"p{index}" for index in range(200)}
    assert sum(map(len, ids.values())) == 200 and min(len(ids["validation"]), len(ids["test"])) > 5
    shares = np.array([np.array(votes) / sum(votes) for votes in collection.splits["train"]["vote_counts"]])
    np.testing.assert_allclose(collection.constant_distribution, shares.mean(axis=0))


def test_a_published_test_split_stays_and_costs_no_training_picture(tmp_path):
    collection = load_collection(save({"train": rows(100), "test": rows(20, "t")}, tmp_path))
    assert set(collection.splits["test"]["image_id"]) == {f"t{index}" for index in range(20)}
    assert len(collection.splits["train"]) + len(collection.splits["validation"]) == 100


def test_rendered_scenes_bring_their_notice():
    collection = load_collection("synthetic", num_pictures=20)
    assert [len(collection.splits[part]) for part in ("train", "validation", "test")] == [16, 2, 2]
    assert collection.scale == RatingScale(1, 10, 10)
    assert (
        collection.facts is synthetic.FACTS and collection.facts.notice == "demonstration, trained on rendered scenes"
    )


def test_a_folder_is_called_by_its_name(tmp_path):
    where = tmp_path / "holiday"
    where.mkdir()
    lines = ["file_name,votes_1,votes_2,votes_3,split"]
    for index, part in enumerate(["train", "train", "validation", "test"]):
        Image.new("RGB", (8, 8), (60 * index, 0, 0)).save(where / f"{index}.png")
        lines.append(f"{index}.png,{index},2,1,{part}")
    (where / "ratings.csv").write_text("\n".join(lines))
    collection = load_collection("folder", data_dir=where)
    assert collection.name == "holiday" and collection.facts is folder.FACTS
    assert collection.scale == RatingScale(1, 3, 3) and len(collection.splits["train"]) == 2
    (where / "ratings.csv").write_text("\n".join(lines[:3]))
    with pytest.raises(ValueError, match="holiday must have pictures for train, validation, test.*'validation'"):
        load_collection("folder", data_dir=where)


def test_a_scale_that_contradicts_the_votes_is_refused(tmp_path):
    where = save({"train": rows(30)}, tmp_path)
    with pytest.raises(ValueError, match="scale 1..5 in 9 bins, but the scale 1..10 in 9 bins was given"):
        load_collection(where, scale=RatingScale(1, 10, 9))


def test_means_without_votes_need_a_scale(tmp_path):
    means = [{**row, "vote_counts": None} for row in rows(60)]
    where = save({"train": Dataset.from_list(means, features=rating_features(9))}, tmp_path)
    with pytest.raises(ValueError, match="--min_score, --max_score and --num_bins"):
        load_collection(where)
    collection = load_collection(where, scale=SCALE)
    assert collection.scale == SCALE and collection.constant_distribution is None


def test_constant_votes_need_a_scale_that_fits_them(tmp_path):
    same = [{**row, "vote_counts": [0, 0, 2, 0, 2, 0, 0, 0, 0], "score_mean": 2.5} for row in rows(60)]
    where = save({"train": Dataset.from_list(same, features=rating_features(9))}, tmp_path)
    with pytest.raises(ValueError, match="or votes of one mean, so its scale is unknown"):
        load_collection(where)
    assert load_collection(where, scale=RatingScale(1, 5, 9)).scale == RatingScale(1, 5, 9)
    for wrong in (RatingScale(1, 9, 9), RatingScale(1, 5, 5)):
        with pytest.raises(ValueError, match=f"9 bins with the mean 2.5, .* the scale {wrong} that was given"):
            load_collection(where, scale=wrong)


def test_columns_that_lack_are_named(tmp_path):
    where = save({"train": rows(5).remove_columns(["num_votes", "score_std"])}, tmp_path)
    with pytest.raises(ValueError, match="but lacks score_std, num_votes"):
        load_collection(where)


def test_a_stream_has_the_rows_and_the_splits_of_the_disk(tmp_path):
    where = save({"train": rows(60)}, tmp_path)
    on_disk, stream = load_collection(where), load_collection(where, streaming=True)
    assert stream.is_streaming and not on_disk.is_streaming and stream.scale == on_disk.scale
    for part, split in on_disk.splits.items():
        assert [row["image_id"] for row in stream.splits[part]] == split["image_id"][:] != []
        assert stream.labels[part].to_list() == on_disk.labels[part].to_list()
        assert "image" not in stream.labels[part].column_names
    np.testing.assert_array_equal(stream.constant_distribution, on_disk.constant_distribution)
    with pytest.raises(ValueError, match="Only a Hub repository can be streamed, got 'synthetic'"):
        load_collection("synthetic", streaming=True)


def test_maps_that_a_collection_has_are_what_is_trained_on(tmp_path):
    assert load_collection("synthetic", num_pictures=20, modality="depth").modality_column == "depth"
    assert load_collection("synthetic", num_pictures=20, modality="rgb+depth").modality_column == "depth"
    assert load_collection("synthetic", num_pictures=20, modality="saliency").modality_column is None
    maps = rows(60).select_columns(["image"]).rename_column("image", "gray")
    wide = concatenate_datasets([rows(60), maps], axis=1)
    where = save({"train": wide}, tmp_path)
    assert load_collection(where).modality_column is None
    assert load_collection(where, modality="gray").modality_column == "gray"
    stream = load_collection(where, modality="gray", streaming=True)
    assert stream.splits["test"].column_names == [*LABEL_COLUMNS, "gray"]  # the pictures do not travel


def test_maps_of_a_configuration_join_the_pictures_of_another(tmp_path):
    def host(where, maps: Dataset) -> str:
        card = "configs:\n"
        for name, table in (("default", rows(60)), ("gray", maps)):
            (where / name).mkdir(parents=True)
            save({"train": table}, where / name)
            card += f"- config_name: {name}\n  data_dir: {name}\n"
        (where / "README.md").write_text(f"---\n{card}---\n")
        return str(where)

    maps = rows(60).rename_column("image", "gray")
    where = host(tmp_path / "good", maps)
    both = load_collection(where, modality="rgb+gray")
    assert both.modality_column == "gray" and {"image", "gray"} <= set(both.splits["train"].column_names)
    alone = load_collection(where, modality="gray")
    assert alone.modality_column == "gray" and "image" not in alone.splits["train"].column_names
    stream = load_collection(where, modality="rgb+gray", streaming=True)  # the processor makes the maps
    assert stream.modality_column is None and "image" in stream.splits["train"].column_names
    with pytest.raises(ValueError, match="got 'p59' for 'p0' in row 0"):
        load_collection(host(tmp_path / "bad", maps.select(range(59, -1, -1))), modality="rgb+gray")


def test_maps_are_added_to_every_split_and_to_rows_that_were_picked(tmp_path):
    column = ModalityColumn("gray")
    collection = load_collection(save({"train": rows(60)}, tmp_path))  # whose splits are picked by a hash
    mapped = add_maps(add_maps(collection, ModalityColumn("constant")), column)
    assert mapped.modality_column == "gray"
    for part, split in mapped.splits.items():
        assert {"image", "constant", "gray"} <= set(split.column_names)
        assert split["image_id"][:] == collection.splits[part]["image_id"][:]
    again = add_maps(mapped, column)
    assert again.splits["train"].column_names.count("gray") == 1
    with pytest.raises(ValueError, match="are streamed"):
        add_maps(load_collection(str(tmp_path), streaming=True), column)
    without = DatasetDict({part: split.remove_columns("image") for part, split in mapped.splits.items()})
    with pytest.raises(ValueError, match="made of pictures, but .* has none"):
        add_maps(dataclasses.replace(mapped, splits=without), column)


def test_pictures_that_were_left_out_are_counted(tmp_path):
    lines = ["file_name,votes_1,votes_2,votes_3,split", "gone.png,1,2,3,train"]
    for index, part in enumerate(["train", "train", "validation", "test"]):
        Image.new("RGB", (8, 8), (60 * index, 0, 0)).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{index},2,1,{part}")
    (tmp_path / "ratings.csv").write_text("\n".join(lines))
    assert load_collection("folder", data_dir=tmp_path).left_out == {"missing": 1}
