"""Training on maps and on pictures with maps, and what is made of the checkpoint: scorer, pipeline, command line."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY_RESNET, TINY_VIT, brightness_collection, rated_pictures, tiny_model, training_arguments
from transformers import pipeline

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.cli import main as run_command
from hf_aesthetics.data.cache_files import cache_folder
from hf_aesthetics.data.modality_columns import ModalityColumn
from hf_aesthetics.evaluation import EvaluationReport
from hf_aesthetics.evaluation.cross_validation import Fold
from hf_aesthetics.scoring import AestheticScorer
from hf_aesthetics.training import ModelArguments, build_scorer, map_collection
from hf_aesthetics.training.__main__ import main
from hf_aesthetics.training.folds import predict_folds


FEW = ["--per_device_train_batch_size", "8", "--use_cpu", "--disable_tqdm", "1", "--license", "cc-by-4.0"]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> list[str]:
    """Flags of a user's own folder and of a tiny backbone."""
    folder = tmp_path_factory.mktemp("mine")
    lines = ["file_name,votes_1,votes_2,votes_3,votes_4,votes_5,split"]
    for split, count, seed in (("train", 16, 1), ("validation", 5, 2), ("test", 6, 3)):
        for row in rated_pictures(count, seed):
            row["image"].save(folder / f"{row['image_id']}.png")
            lines.append(f"{row['image_id']}.png,{','.join(map(str, row['vote_counts']))},{split}")
    (folder / "ratings.csv").write_text("\n".join(lines))
    tiny_model(TINY_VIT).backbone.save_pretrained(folder / "vit")
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "vit")
    return ["--dataset", "folder", "--data_dir", str(folder), "--backbone", str(folder / "vit")]


@pytest.fixture(scope="module")
def fused(source, tiny_depth, tmp_path_factory):
    """A checkpoint for `rgb+depth`, trained and evaluated by the program."""
    output = tmp_path_factory.mktemp("fused") / "nima-fused"
    flags = ["--modality", "rgb+depth", "--extractor", str(tiny_depth), "--num_train_epochs", "1"]
    main([*source, *FEW, *flags, "--freeze_stages", "-1", "--output_dir", str(output)])
    return output


def test_the_checkpoint_names_the_network_that_made_its_maps(fused, tiny_depth):
    saved = json.loads((fused / "preprocessor_config.json").read_text())
    column = ModalityColumn("depth", str(tiny_depth))
    assert saved["modality"] == "rgb+depth" and json.loads((fused / "config.json").read_text())["num_channels"] == 4
    assert (saved["extractor_checkpoint"], saved["extractor_revision"]) == (str(tiny_depth), column.revision)
    card = (fused / "README.md").read_text()
    assert "as a fourth channel, a **depth** map of it: how near each place is" in card
    assert f"made the maps is `{tiny_depth.name}`, `{column.revision}`" in card and str(tiny_depth) not in card
    assert (
        'processor(Image.open("photo.jpg"), modality_maps=Image.open("photo_depth.png"), return_tensors="pt")' in card
    )


def test_scorer_pipeline_and_command_make_the_maps_of_the_training(fused, source, tmp_path, capsys):
    predictions = EvaluationReport.load(fused / "evaluation").predictions.to_pydict()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for row in rated_pictures(6, 3):
        row["image"].save(folder / f"{row['image_id']}.png")
    paths = [folder / image_id for image_id in predictions["image_id"]]
    scorer = AestheticScorer.from_pretrained(fused, device="cpu")
    scores = [record["score"] for record in scorer.score(paths)]
    np.testing.assert_allclose(scores, predictions["score"], atol=0.01)
    maps = scorer.extractor.make_maps([Image.open(path) for path in paths])
    np.testing.assert_allclose([r["score"] for r in scorer.score(paths, modality_maps=maps)], scores, atol=1e-5)
    piped = pipeline("image-aesthetics", model=str(fused), device="cpu")([str(path) for path in paths])
    np.testing.assert_allclose([record["score"] for record in piped], scores, atol=1e-5)
    assert run_command(["score", str(folder), "--model", str(fused), "--device", "cpu"]) == 0
    assert "6 of 6 pictures scored" in capsys.readouterr().out
    arrays = [np.asarray(Image.open(path)) for path in paths]
    np.testing.assert_allclose([record["score"] for record in scorer.score(arrays)], scores, atol=1e-5)


def test_a_network_that_is_gone_is_told_once_not_for_every_picture(fused, photo_folder, tmp_path, capsys):
    scorer = AestheticScorer.from_pretrained(fused, device="cpu")
    scorer.processor.extractor_checkpoint = str(tmp_path / "gone")
    scorer.model.save_pretrained(tmp_path / "moved")
    scorer.processor.save_pretrained(tmp_path / "moved")
    assert run_command(["score", str(photo_folder), "--model", str(tmp_path / "moved")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: `checkpoint` must be a folder or a repository") and "gone" in line
    scorer.processor.extractor_checkpoint = None
    with pytest.raises(ValueError, match="must name the network that makes its maps, but this one names none"):
        scorer.score([Image.new("RGB", (48, 40))])


def test_training_goes_on_with_the_modality_and_the_network_of_before(fused, source, tmp_path):
    main([*source[:4], "--backbone", str(fused), *FEW, "--max_steps", "2", "--output_dir", str(tmp_path / "next")])
    fields = ("modality", "extractor_checkpoint", "extractor_revision")
    before, after = (json.loads((f / "preprocessor_config.json").read_text()) for f in (fused, tmp_path / "next"))
    assert [after[field] for field in fields] == [before[field] for field in fields]


def test_another_modality_starts_from_the_checkpoint_without_its_network(fused):
    collection = brightness_collection(8, 2, 2)
    model, processor = build_scorer(ModelArguments(backbone=str(fused), modality="blur"), collection.scale)
    assert (processor.modality, processor.extractor_checkpoint, model.config.num_channels) == ("blur", None, 3)
    mapped = map_collection(collection, processor)
    assert mapped.modality_column == "blur" and "blur" in mapped.splits["validation"].column_names
    assert list(cache_folder("modality_columns").glob("blur-*/*.arrow"))  # not made anew in every epoch


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--modality", "blur", "--extractor", "org/depth"], "is for maps of a network, got 'org/depth' for 'blur'"),
        (["--modality", "depth", "--extractor", "{vit}"], "Expected a network for depth-estimation"),
        (["--modality", "depth", "--extractor", "no/such@v2"], "got 'no/such'"),
        (["--modality", "saliency_u2net"], "none is named. Give its checkpoint"),
        (["--modality", "rgb+bluur"], "got 'rgb.bluur'"),
    ],
)
def test_a_modality_that_cannot_be_had_is_refused_in_one_line(flags, message, source, tmp_path, capsys):
    flags = [flag.format(vit=source[-1]) for flag in flags]
    with pytest.raises(SystemExit):
        main([*source, *flags, *FEW, "--output_dir", str(tmp_path / "nima")])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line


def test_folds_train_on_pictures_with_maps_though_stages_are_frozen(tiny_depth, tmp_path):
    processor = ModalityImageProcessor(
        modality="rgb+depth", size={"height": 32, "width": 32}, extractor_checkpoint=str(tiny_depth)
    )
    collection = map_collection(brightness_collection(24, 2, 2), processor)

    def build():
        model = tiny_model(TINY_RESNET, num_channels=4)
        model.freeze_stages(1)
        return model, processor

    folds = [Fold(np.arange(12), np.arange(12, 18), np.arange(18, 24))]
    args = training_arguments(tmp_path, max_steps=-1, num_train_epochs=1, eval_strategy="epoch", save_strategy="epoch")
    pictures = collection.splits["train"]
    (prediction,) = predict_folds(build, pictures, collection.scale, folds, args, modality_column="depth")
    assert prediction.distribution.shape == (6, 5) and np.isfinite(prediction.distribution).all()
    assert torch.isfinite(torch.tensor(prediction.validation_srcc))
