"""What is learnt of one set, tested on others: panels that look at the same, and at something else."""

import json
from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Value
from PIL import Image
from tiny import PROCESSOR, SCALE, TINY_RESNET, training_arguments
from transformers import AutoConfig, AutoModel, set_seed

from hf_aesthetics.data.columns import DatasetFacts, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.training import ModelArguments
from hf_aesthetics.training.cross_validation import FoldArguments
from hf_aesthetics.training.transfer import split_by_column, transfer_matrix, transfer_table


FOLDS = FoldArguments(groups="place", num_folds=3, fold_seeds=[0, 1], num_resamples=100)


def rated(cause: str, seed: int, scale: RatingScale = SCALE, count: int = 48) -> RatedCollection:
    """Plain pictures of three in a place, rated by how light they are, or how red; the seed makes the pictures."""
    generator = np.random.default_rng(seed)
    rows = []
    for number, (light, red) in enumerate(generator.uniform(0, 1, (count, 2))):
        colour = 40 + 120 * light + 60 * np.array([red, -red / 2, -red / 2])
        pixels = np.clip(colour + generator.normal(0, 8, (32, 32, 3)), 0, 255).astype(np.uint8)
        bins = np.linspace(0, 1, scale.num_bins)
        votes = np.round(50 * np.exp(-(((bins - (light if cause == "light" else red)) / 0.2) ** 2))).astype(int)
        name = f"{seed}-{number}"
        labels = vote_statistics(votes, scale, name)
        where = {"place": f"{seed}, place {number // 3}", "kind": "garden" if number % 4 else None}
        rows.append({"image": Image.fromarray(pixels), "image_id": name, **labels, **where})
    extra = {"place": Value("string"), "kind": Value("string")}
    pictures = Dataset.from_list(rows, features=rating_features(scale.num_bins, extra))
    ends = {"train": range(count - 8), "validation": range(count - 8, count - 4), "test": range(count - 4, count)}
    splits = DatasetDict({name: pictures.select(each) for name, each in ends.items()})
    return RatedCollection(f"{cause} {seed}", splits, scale, DatasetFacts(name=cause, license="CC0-1.0"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The last layer over a random network, in closed form."""
    backbone = tmp_path_factory.mktemp("backbone")
    set_seed(0)
    AutoModel.from_config(AutoConfig.for_model(**TINY_RESNET)).save_pretrained(backbone)
    PROCESSOR.save_pretrained(backbone)
    recipe = ModelArguments(backbone=str(backbone), image_size=32, freeze_stages=2, freeze_batch_norm=True)

    def matrix(sets, folder, fold_args=FOLDS, **options):
        arguments = training_arguments(
            folder, max_steps=-1, num_train_epochs=0, linear_probe=True, crop_fraction=1, random_flip=False
        )
        return transfer_matrix(sets, recipe, fold_args, arguments, **options)

    return matrix


@pytest.fixture(scope="module")
def planted(run, tmp_path_factory):
    """Two panels that like light, one of them on another scale and in other places, and one that likes red."""
    sets = {
        "light": rated("light", 0),
        "light of others": rated("light", 1, RatingScale(0, 1, 9), count=60),
        "red": rated("red", 0),
    }
    folder = tmp_path_factory.mktemp("transfer")
    return sets, folder, run(sets, folder)


def test_equal_causes_transfer_and_others_do_not(planted):
    _, _, figures = planted
    cells = figures["cells"]
    for name in cells:
        assert cells[name][name]["srcc"] > 0.8
        assert cells[name][name]["drop"]["difference"] == 0
    for first, second in (("light", "light of others"), ("light of others", "light")):
        assert cells[first][second]["srcc"] > 0.8
        assert abs(cells[first][second]["drop"]["difference"]) < 0.1
    for first, second in (("light", "red"), ("red", "light"), ("light of others", "red"), ("red", "light of others")):
        assert abs(cells[first][second]["srcc"]) < 0.4
        assert cells[first][second]["drop"]["low"] > 0.4


def test_all_models_are_trained_on_equally_many_pictures(planted, run, tmp_path):
    sets, _, figures = planted
    assert len({of_set["training_pictures"] for of_set in figures["sets"].values()}) == 1
    assert [of_set["pictures"] for of_set in figures["sets"].values()] == [48, 60, 48]
    as_they_are = run(sets, tmp_path, replace(FOLDS, fold_seeds=[0]), equal_sizes=False)["sets"]
    assert as_they_are["light of others"]["training_pictures"] > as_they_are["light"]["training_pictures"]


def test_no_group_that_is_tested_in_one_set_is_trained_on_in_another(run, tmp_path):
    whole, fold_args = rated("light", 0), replace(FOLDS, fold_seeds=[0], validation_share=0.4)
    half = replace(whole, splits=DatasetDict({**whole.splits, "train": whole.splits["train"].select(range(18))}))
    sizes = [
        run({"whole": whole, "other": other}, tmp_path / name, fold_args, equal_sizes=False)["sets"]["whole"]
        for name, other in (("apart", rated("red", 1)), ("same", rated("red", 0)), ("half", half))
    ]
    apart, same, of_half = (each["training_pictures"] for each in sizes)
    assert apart == same > of_half  # the same places are folded alike, half of them otherwise


def test_what_is_finished_is_not_trained_again(planted, run):
    sets, folder, figures = planted
    files = sorted(folder.glob("*/seed*.parquet"))
    assert len(files) == 3 * 3 * 2  # sets, folds, seeds
    written = [file.stat().st_mtime_ns for file in files]
    files[4].unlink()
    assert json.loads(json.dumps(run(sets, folder))) == json.loads(json.dumps(figures))
    changed = [file for file, time in zip(files, written, strict=True) if file.stat().st_mtime_ns != time]
    assert changed == [files[4]]


def test_the_folder_of_other_sets_is_refused(planted, run):
    sets, folder, _ = planted
    with pytest.raises(ValueError, match=r"collection=light \+ light of others \+ red, .* got light \+ red, "):
        run({name: sets[name] for name in ("light", "red")}, folder)


def test_parts_of_a_collection_by_a_column():
    collection = rated("light", 0)
    assert list(split_by_column(collection, "place"))[:2] == ["0, place 0", "0, place 1"]
    (garden,) = split_by_column(collection, "kind").values()  # a picture without a value is in no part
    assert {name: len(rows) for name, rows in garden.splits.items()} == {"train": 30, "validation": 3, "test": 3}
    with pytest.raises(ValueError, match=r"light 0 must have the column .* got 'them'. It has .*'place'"):
        split_by_column(collection, "them")


def test_sets_that_cannot_be_compared_are_named(run, tmp_path):
    light, few = rated("light", 0), rated("red", 1, count=12)
    with pytest.raises(ValueError, match=r"two sets or more, got \['light'\]"):
        run({"light": light}, tmp_path)
    with pytest.raises(ValueError, match=r"'few' must have two groups a fold or more, 6 for 3 folds, but has 4"):
        run({"light": light, "few": few}, tmp_path)
    with pytest.raises(ValueError, match=r"column 'them' of the groups, but none of \['light', 'few'\]"):
        run({"light": light, "few": few}, tmp_path, replace(FOLDS, groups="them"))
    with pytest.raises(ValueError, match=r"same maps, but 'light' has None and 'few' 'depth'"):
        run({"light": light, "few": replace(few, modality_column="depth")}, tmp_path)


def test_table_has_a_row_for_each_training_set(planted):
    _, _, figures = planted
    lines = transfer_table(figures).splitlines()
    assert lines[0] == "| trained on | light (48) | light of others (60) | red (48) |"
    assert len(lines) == 5 and lines[2].count("**") == 2 and lines[2].count("drop") == 2
