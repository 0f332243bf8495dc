"""Attributes beside the ratings: columns of a collection on their way to a model that learns both."""

import csv
import json

import numpy as np
import pytest
import torch
from scipy import stats
from tiny import PROCESSOR, SCALE, TINY_RESNET, brightness_collection, rated_pictures, training_arguments
from transformers import ResNetConfig, ResNetModel, set_seed

from hf_aesthetics import AadbNetConfig, AadbNetForAestheticAssessment
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.data.training_rows import IndexedRows, transform_rows
from hf_aesthetics.data.transforms import EvaluationTransform
from hf_aesthetics.scoring import AestheticScorer
from hf_aesthetics.training import (
    AestheticTrainingArguments,
    DataArguments,
    ModelArguments,
    build_scorer,
    train_scorer,
)
from hf_aesthetics.training.__main__ import main as train
from hf_aesthetics.training.content_clusters import fit_aadb_net
from hf_aesthetics.training.cross_validation import FoldArguments, cross_validate, load_mapped
from hf_aesthetics.training.frozen_features import FrozenFeatureRows
from hf_aesthetics.training.linear_probe import fit_linear_probe


ATTRIBUTES = ("light", "decoy")


def with_attributes(pictures):
    """How bright pictures are, in its own unit, of which every fifth is unknown; and what no picture shows."""
    light = [np.asarray(picture).mean() for picture in pictures["image"]]
    light = [None if row % 5 == 4 else value for row, value in enumerate(light)]
    decoy = np.random.default_rng(0).normal(size=len(pictures)).tolist()
    return pictures.add_column("light", light).add_column("decoy", decoy)


def tiny_net(**fields) -> AadbNetForAestheticAssessment:
    set_seed(0)
    fields = {"attribute_names": [*ATTRIBUTES], "max_score": 5, "num_labels": 5, "head_dropout": 0.0, **fields}
    return AadbNetForAestheticAssessment(AadbNetConfig(backbone_config=dict(TINY_RESNET), **fields)).eval()


def rows_of(pictures, attributes=ATTRIBUTES) -> IndexedRows:
    transform = EvaluationTransform(PROCESSOR, SCALE.bin_scores.tolist(), attribute_columns=attributes)
    return IndexedRows(pictures, transform)


@pytest.fixture(scope="module")
def rows():
    return [rows_of(with_attributes(rated_pictures(count, seed))) for seed, count in enumerate((60, 40, 50))]


def pictures_of(rows) -> torch.Tensor:
    return torch.stack([rows[row]["pixel_values"] for row in range(len(rows))])


# ---- statistics, gate and closed form ----


def test_attributes_travel_with_their_pictures_and_unknown_ones_are_nan(rows):
    found = torch.stack([rows[0][row]["attribute_labels"] for row in range(10)])
    columns = rows[0].rows.with_format(None)[:10]
    expected = torch.tensor([[np.nan if v is None else v for v in columns[name]] for name in ATTRIBUTES]).T
    torch.testing.assert_close(found, expected.float(), equal_nan=True)
    assert found.isnan().sum() == 2


def test_mean_and_spread_are_those_of_the_training_pictures(rows):
    model = tiny_net()
    fit_aadb_net(model, rows[0])
    known = np.array([v for v in rows[0].rows.with_format(None)["light"] if v is not None])
    assert model.score_head.attribute_mean[0].item() == pytest.approx(known.mean(), rel=1e-5)
    assert model.score_head.attribute_scale[0].item() == pytest.approx(known.std(), rel=1e-5)
    with torch.no_grad():
        features = model(pictures_of(rows[0])).features
    torch.testing.assert_close(model.score_head.feature_mean, features.mean(dim=0), atol=1e-5, rtol=1e-5)


def test_the_gate_is_the_posterior_of_clusters_that_are_there():
    model = tiny_net(num_content_clusters=3, attribute_names=None)
    generator = torch.Generator().manual_seed(0)
    kinds = torch.eye(3).view(3, 3, 1, 1)  # red, green and blue pictures
    pictures = kinds.repeat_interleave(8, dim=0).expand(24, 3, 32, 32) + 0.05 * torch.rand(
        24, 3, 32, 32, generator=generator
    )
    fit_aadb_net(model, FrozenFeatureRows(pictures[None], {}))
    with torch.no_grad():
        outputs = model(pictures)
    found = outputs.content_probabilities.argmax(dim=1).view(3, 8)
    assert (found == found[:, :1]).all() and len(set(found[:, 0].tolist())) == 3
    # on the way between two centres the logarithm of their odds is a straight line through 0
    x = outputs.features.view(3, 8, -1).mean(dim=1)
    middle = model.score_head.gate((x[0] + x[1]) / 2)[found[:2, 0]]
    assert (middle[0] - middle[1]).abs() < 0.1 * (model.score_head.gate(x[0])[found[:2, 0]].diff()).abs()


def test_the_probe_finds_the_attribute_that_carries_the_score(rows):
    model = tiny_net(num_content_clusters=2)
    fit_aadb_net(model, rows[0])
    fit_linear_probe(model, *rows[:2])
    with torch.no_grad():
        outputs = model(pictures_of(rows[2]))
        contributions = model.attribute_contributions(outputs.features).contributions
    truth = rows[2].rows.with_format(None)
    light = np.array([np.nan if v is None else v for v in truth["light"]])
    known = ~np.isnan(light)
    assert stats.spearmanr(outputs.attributes[known, 0], light[known]).statistic > 0.95
    assert stats.spearmanr(outputs.score, truth["score_mean"]).statistic > 0.9
    spread = contributions.std(dim=0)
    assert spread[0] > 2 * spread[1], spread
    assert stats.spearmanr(contributions[:, 0], outputs.score).statistic > 0.9


def colored_rows(count: int, generator: torch.Generator) -> tuple[FrozenFeatureRows, torch.Tensor]:
    """Pictures of random colours and contrasts, rated by one person each for how red and not blue they are."""
    colors, contrasts = (torch.rand(count, 3, 1, 1, generator=generator) for _ in range(2))
    pictures = colors + contrasts * torch.rand(count, 3, 32, 32, generator=generator)
    truth = (pictures[:, 0] - pictures[:, 2]).mean(dim=(1, 2))
    opinions = truth + 0.6 * torch.randn(count, generator=generator)
    labels = torch.eye(5)[(2 + 2 * opinions).round().clamp(0, 4).long()]
    return FrozenFeatureRows(pictures[None], {"labels": labels, "attribute_labels": truth[:, None]}), truth


def test_an_attribute_that_carries_the_score_helps_where_pictures_are_few_and_votes_fewer():
    gains = []
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        (train_rows, _), (validation_rows, _), (test_rows, truth) = (colored_rows(n, generator) for n in (30, 30, 100))
        found = []
        for names in (["redness"], None):
            model = tiny_net(attribute_names=names)
            fit_aadb_net(model, train_rows)
            fit_linear_probe(model, train_rows, validation_rows)
            with torch.no_grad():
                found.append(stats.spearmanr(model(test_rows.features[0]).score, truth).statistic)
        gains.append(found[0] - found[1])
    assert np.mean(gains) > 0.05 and np.min(gains) > -0.05


# ---- the programs ----


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures rated by their brightness in a user's own table, with attributes, and a tiny backbone."""
    folder = tmp_path_factory.mktemp("rated")
    (folder / "pictures").mkdir()
    with (folder / "pictures" / "ratings.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "split", *(f"votes_{rating}" for rating in range(1, 6)), *ATTRIBUTES, "place"])
        for number, row in enumerate(with_attributes(rated_pictures(60, seed=7))):
            row["image"].save(folder / "pictures" / f"{number}.png")
            split = "train" if number < 36 else "validation" if number < 48 else "test"
            light = "" if row["light"] is None else row["light"]
            table.writerow([f"{number}.png", split, *row["vote_counts"], light, row["decoy"], "Rome"])
    backbone = ResNetConfig(**{name: value for name, value in TINY_RESNET.items() if name != "model_type"})
    set_seed(0)
    ResNetModel(backbone).save_pretrained(folder / "backbone")
    PROCESSOR.save_pretrained(folder / "backbone")
    return folder


def flags_of(folder, *more: str) -> list[str]:
    data = ["--dataset", "folder", "--data_dir", str(folder / "pictures"), "--model_type", "aadb_net"]
    return [*data, "--num_train_epochs", "1", "--use_cpu", "--disable_tqdm", "1", *more]


def test_one_command_trains_attributes_and_score_and_its_checkpoint_goes_on(folder, tmp_path):
    more = ["--attributes", *ATTRIBUTES, "--num_content_clusters", "2", "--ranking_loss_weight", "0.1"]
    start = ["--backbone", str(folder / "backbone"), "--linear_probe", "--output_dir", str(tmp_path / "first")]
    train(flags_of(folder, *start, *more))
    model = AestheticScorer.from_pretrained(tmp_path / "first", device="cpu").model
    assert model.config.attribute_names == [*ATTRIBUTES] and model.config.num_content_clusters == 2
    assert model.score_head.attribute_mean[0] > 20  # of pixels
    metrics = json.loads((tmp_path / "first" / "evaluation" / "report.json").read_text())["metrics"]
    assert metrics["srcc"] > 0.8
    card = (tmp_path / "first" / "README.md").read_text()
    assert "2 attributes: `light`, `decoy`" in card and "2 kinds of content" in card and "a margin of 0.05" in card
    # the checkpoint says which attributes there are
    again, _ = build_scorer(ModelArguments("aadb_net", str(tmp_path / "first")), SCALE)
    assert again.config.attribute_names == [*ATTRIBUTES] and again.config.num_content_clusters == 2
    assert torch.equal(again.score_head.attribute_mean, model.score_head.attribute_mean)
    collection = load_collection("folder", folder / "pictures")
    args = training_arguments(tmp_path / "second", max_steps=1, eval_steps=1, save_steps=1)
    train_scorer(again, PROCESSOR, collection, args)
    assert torch.equal(again.score_head.attribute_mean, model.score_head.attribute_mean)
    assert not torch.equal(again.score_head.attributes.weight, model.score_head.attributes.weight)


def test_folds_carry_attributes_with_cached_features(folder, tmp_path):
    data_args = DataArguments("folder", data_dir=str(folder / "pictures"))
    model_args = ModelArguments(
        "aadb_net", str(folder / "backbone"), attributes=["light"], freeze_stages=1, head_dropout=0.0
    )
    args = AestheticTrainingArguments(
        str(tmp_path), linear_probe=True, num_train_epochs=1, use_cpu=True, disable_tqdm=True, crop_fraction=1.0
    )
    fold_args = FoldArguments(num_folds=2, fold_seeds=[0])
    figures = cross_validate(load_mapped(data_args, model_args), model_args, fold_args, args)
    assert figures["srcc"]["value"] > 0.8


def refusal_of(argv: list[str], capsys) -> str:
    with pytest.raises(SystemExit):
        train(argv)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        (["valence"], "of pictures are its columns of numbers, light, decoy, but 'valence' is not there."),
        (["light", "place"], "'place' holds string."),
        (["score_mean"], "'score_mean' is a part of the ratings."),
    ],
)
def test_an_attribute_that_is_no_column_of_numbers_is_one_line(attributes, told, folder, capsys):
    error = refusal_of(flags_of(folder, "--attributes", *attributes), capsys)
    assert told in error and error.count("\n") == 1


def test_a_model_with_nothing_to_tell_it_from_nima_is_refused(folder, capsys):
    error = refusal_of(flags_of(folder, "--backbone", str(folder / "backbone")), capsys)
    assert "is 'nima', got none of them. Name columns of numbers with --attributes" in error


def test_another_structure_than_that_of_the_checkpoint_is_refused(tmp_path):
    tiny_net(num_content_clusters=2).save_pretrained(tmp_path)
    PROCESSOR.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="num_content_clusters=2, got 3. Leave it out"):
        build_scorer(ModelArguments("aadb_net", str(tmp_path), num_content_clusters=3), SCALE)
    with pytest.raises(ValueError, match=r"attribute_names=\['light', 'decoy'\], got \['light'\]"):
        build_scorer(ModelArguments("aadb_net", str(tmp_path), attributes=["light"]), SCALE)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model_type": "nima", "attributes": ["light"]}, "`attributes` is no option of 'nima'"),
        ({"model_type": "handcrafted", "num_content_clusters": 2}, "`num_content_clusters` is no option"),
        ({"model_type": "aadb_net", "attributes": ["light"], "loss": "mse"}, "`loss` is no option of 'aadb_net'"),
    ],
)
def test_options_of_other_models_are_refused(fields, named):
    with pytest.raises(ValueError, match=named):
        build_scorer(ModelArguments(**fields), SCALE)


def test_a_stream_brings_the_attributes_of_the_disk(tmp_path):
    for name, split in brightness_collection(12, 5, 5).splits.items():
        with_attributes(split).to_parquet(tmp_path / f"{name}-00000-of-00001.parquet")
    transform = EvaluationTransform(PROCESSOR, SCALE.bin_scores.tolist(), attribute_columns=ATTRIBUTES)
    found = []
    for streaming in (False, True):
        splits = load_collection(str(tmp_path), attributes=ATTRIBUTES, streaming=streaming).splits
        labels = [row["attribute_labels"] for row in iter(transform_rows(splits["train"], transform, 12))]
        found.append(torch.stack(labels[:12]))
    torch.testing.assert_close(*found, equal_nan=True)
    with pytest.raises(ValueError, match="'sharpness' is not there"):
        load_collection(str(tmp_path), attributes=["sharpness"], streaming=True)
