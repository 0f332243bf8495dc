"""The whole way in a few minutes on a CPU, without any download: render, train, measure, publish, use, explain.

    make demo
    python scripts/demo.py --num_pictures 300 --num_train_epochs 2   # a quick look, which learns little

Scenes are rendered and rated by a simulated panel whose taste mixes five causes (`hf_aesthetics/data/rater_panel.py`).
A small ResNet learns that taste from random weights. Then one network for each modality learns it from its map alone,
the depth being the renderer's own, and a report says what they explain. Those that can be asked about any picture are
kept, with one of named features, for the page that `make space` serves. Nothing of it is about photographs.
"""

import argparse
import os
import shutil
import sys
import time
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from datasets import DatasetDict
from PIL import Image, ImageDraw, ImageOps
from safetensors.torch import load_model
from transformers import set_seed

from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
from hf_aesthetics.analysis.findings import StudyFindings
from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.data.rater_panel import RaterPanel, split_half_ceiling
from hf_aesthetics.data.rendering import CAUSES
from hf_aesthetics.data.synthetic import FACTS, load_synthetic
from hf_aesthetics.evaluation import EvaluationReport, report_table
from hf_aesthetics.evaluation.cross_validation import OutOfFoldPredictions
from hf_aesthetics.extraction import needs_network
from hf_aesthetics.images import find_images
from hf_aesthetics.metrics import spearman_correlation
from hf_aesthetics.scoring import AestheticScorer, find_companions, score_pictures
from hf_aesthetics.study import (
    StudiedModality,
    describe_method,
    find_all,
    findings_table,
    map_modality,
    train_modality,
    write_study,
)
from hf_aesthetics.training import (
    AestheticTrainingArguments,
    ModelArguments,
    build_scorer,
    describe_training,
    finish_checkpoint,
    train_scorer,
)
from hf_aesthetics.training.cross_validation import FoldArguments


BACKBONE = {
    "model_type": "resnet",
    "embedding_size": 16,
    "hidden_sizes": [16, 32, 64, 128],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
IMAGE_SIZE = 160
NUM_EPOCHS = 20
CUES, CONTROLS = ("saliency", "blur", "depth"), ("gray", "constant")
CUE_EPOCHS = 4  # they start from the model that sees the picture
NUM_MEASURED = 320  # training pictures whose features with names are measured, which takes long
NAMES = ("1_best", "2_good", "3_middling", "4_poor", "5_worst")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/demo"))
    parser.add_argument("--num_pictures", type=int, default=1600, help="scenes, a fifth of them for the test")
    parser.add_argument("--num_train_epochs", type=float, default=NUM_EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started, folder = time.monotonic(), arguments.output_dir / "nima"
    # one core computes while another reads pictures; more threads would only wait for each other on so small a network
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))

    print("1. Rendering scenes, and letting a simulated panel rate them")
    panel = RaterPanel(seed=arguments.seed)
    num_test, num_validation = arguments.num_pictures // 5, arguments.num_pictures // 10
    splits = load_synthetic(
        arguments.num_pictures - num_test - num_validation,
        num_validation,
        num_test,
        seed=arguments.seed,
        num_proc=os.cpu_count(),
        panel=panel,
    )
    splits = splits.rename_column("true_depth", "depth").remove_columns(["true_saliency", "true_blur"])
    collection = RatedCollection("rendered scenes", splits, panel.scale, FACTS)

    print("2. Training NIMA over a small ResNet from random weights")
    args = AestheticTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=arguments.num_train_epochs,
        learning_rate=3e-3,
        head_learning_rate=3e-3,
        weight_decay=0.05,
        dataloader_num_workers=1,
        dataloader_persistent_workers=True,
        logging_strategy="no",
        seed=arguments.seed,
        use_cpu=True,
    )
    set_seed(arguments.seed)
    model = NimaForAestheticAssessment(NimaConfig(backbone_config=BACKBONE, head_dropout=0.1, notice=FACTS.notice))
    processor = ModalityImageProcessor(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    trainer = train_scorer(model, processor, collection, args)

    print("3. Measuring on pictures that it never saw; weights, code, card and report go into one folder")
    report = finish_checkpoint(
        trainer.model,
        processor,
        collection,
        folder,
        training=describe_training(trainer, collection),
        license="apache-2.0",
        command="make demo",
        seed=arguments.seed,
    )
    print(f"\n{report_table(report)}")
    srcc = report.metrics["srcc"]
    ceiling, floor = split_half_ceiling(rate_again(collection, panel)), ridge_on_colour(collection)
    print(
        f"{'panel against itself':<22}{ceiling:>7.3f}   the model reaches {srcc / ceiling:.0%} of it (at least 80 %)"
    )
    print(f"{'ridge on colour':<22}{floor:>7.3f}   the model is {srcc - floor:+.3f} above it (at least +0.150)")

    print("\n4. Scoring a handful of pictures as anyone would")
    pictures = save_pictures(collection, arguments.output_dir / "pictures")
    scorer = AestheticScorer.from_pretrained(folder)
    print(f"Note: {scorer.notice}")
    for row in score_pictures(scorer, find_images([pictures])):
        print(f"  {row.score:.1f} ± {row.score_std:.1f} of 10, percentile {row.percentile:3.0f}  {row.path}")

    sheet = draw_sheet(collection, report, arguments.output_dir / "scenes.jpg")

    print("\n5. One network for each modality, and what they explain")
    studied, findings = study_modalities(collection, report, args, folder, arguments.output_dir)
    print(f"\n{findings_table(findings)}")

    print("\n6. What the page needs beside the model, to say why")
    finish_cues(studied, args, arguments.output_dir)
    finish_named_features(collection, args, arguments.output_dir / "handcrafted")
    for name, companion in find_companions(folder).items():
        error = EvaluationReport.load(Path(companion, "evaluation")).metrics["mae"]
        print(f"  {name}: off by {error:.2f} on average  {arguments.output_dir / Path(companion).name}")

    print(f"\ncheckpoint, card, evaluation: {folder}\npictures: {pictures}, {sheet}\npage: make space")
    print(f"report: {arguments.output_dir / 'report.html'}")
    print(f"{time.monotonic() - started:.0f} s in all")
    if arguments.num_train_epochs >= NUM_EPOCHS and (srcc < 0.8 * ceiling or srcc < floor + 0.15):
        sys.exit("error: the demonstration learnt less than it should, see the figures above")


def study_modalities(
    collection: RatedCollection,
    report: EvaluationReport,
    args: AestheticTrainingArguments,
    checkpoint: Path,
    output_dir: Path,
) -> tuple[list[StudiedModality], StudyFindings]:
    """Trains a network on each map, from the one that sees the picture, and reports what the test pictures say."""
    studied = []
    for name in ("rgb", *CUES, *CONTROLS):
        own = replace(collection, modality_column="depth" if name == "depth" else None)  # the renderer's
        studied.append(map_modality(own, ModelArguments(backbone=str(checkpoint), modality=name)))
    args = copy(args)
    args.output_dir, args.num_train_epochs = str(output_dir / "study"), min(CUE_EPOCHS, args.num_train_epochs)
    shutil.rmtree(args.output_dir, ignore_errors=True)  # of another model
    fold_args = FoldArguments(fixed_split=True, fold_seeds=[args.seed])
    predictions, choices = {"rgb": predictions_of(report, collection, args.seed)}, {}
    for each in studied[1:]:
        print(f"  {each.name}: {each.source}", flush=True)
        predictions[each.name], choices[each.name] = train_modality(
            each, fold_args, args, depths=[0], keep_weights=True
        )
    method = describe_method(studied, choices, fold_args, args, command="make demo")
    method |= {"network": "NIMA over a small ResNet", "start": "rgb from random weights, the others from rgb"}
    findings = find_all(studied, predictions, method)
    write_study(output_dir, findings, studied)
    return studied, findings


def finish_cues(studied: list[StudiedModality], args: AestheticTrainingArguments, output_dir: Path) -> None:
    """Makes checkpoints of the study's models of cues; but not of depth, which of other pictures nobody renders."""
    for each in studied:
        if each.name not in CUES or needs_network(each.name):
            continue
        model, processor = build_scorer(each.model_args, each.collection.scale)
        load_model(model, output_dir / "study" / each.name / f"seed{args.seed}-fold0.safetensors")
        epochs = min(CUE_EPOCHS, args.num_train_epochs)
        training = {"start": "the model that sees the picture", "epochs": f"{epochs:g}", "seed": args.seed}
        finish_checkpoint(
            model,
            processor,
            each.collection,
            output_dir / f"nima-{each.name}",
            training=training,
            license="apache-2.0",
            command="make demo",
            seed=args.seed,
        )


def finish_named_features(collection: RatedCollection, args: AestheticTrainingArguments, folder: Path) -> None:
    """Fits the model of named features in closed form, to some of the training pictures."""
    train = collection.splits["train"]
    some = train.select(range(min(NUM_MEASURED, len(train))))
    collection = replace(collection, splits=DatasetDict({**collection.splits, "train": some}))
    args = copy(args)
    args.output_dir, args.linear_probe, args.num_train_epochs = str(folder), True, 0
    args.crop_fraction, args.random_flip = 1.0, False
    model, processor = build_scorer(ModelArguments(model_type="handcrafted"), collection.scale)
    model.config.notice = FACTS.notice
    trainer = train_scorer(model, processor, collection, args)
    finish_checkpoint(
        trainer.model,
        processor,
        collection,
        folder,
        training=describe_training(trainer, collection),
        license="apache-2.0",
        command="make demo",
        seed=args.seed,
    )


def predictions_of(report: EvaluationReport, collection: RatedCollection, seed: int) -> OutOfFoldPredictions:
    """What a checkpoint was found to predict of the test pictures, beside which those of other models are put."""
    rows = report.predictions.select(["image_id", "distribution", "vote_shares"])
    constant = collection.constant_distribution.tolist()
    columns = {"group": rows["image_id"], "seed": [seed] * len(rows), "constant": [constant] * len(rows)}
    return OutOfFoldPredictions.from_table(pa.table({**{name: rows[name] for name in rows.column_names}, **columns}))


def rate_again(collection: RatedCollection, panel: RaterPanel) -> np.ndarray:
    """The single ratings of the test pictures, `(num_pictures, num_raters)`, of which the votes tell only the sums."""
    test = collection.splits["test"]
    seeds = [int(image_id.removeprefix("scene-")) for image_id in test["image_id"]]
    return panel.rate({name: test[f"cause_{name}"][:] for name in CAUSES}, seeds).ratings


def global_statistics(image: Image.Image) -> np.ndarray:
    """What colour and brightness say without any place: means, spreads and percentiles of the channels, mean hue."""
    small = image.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    rgb, hsv = np.asarray(small, dtype=float) / 255, np.asarray(small.convert("HSV"), dtype=float) / 255
    luma = rgb @ [0.299, 0.587, 0.114]
    channels = np.concatenate([rgb, hsv, luma[..., None]], axis=2).reshape(-1, 7)
    hue = 2 * np.pi * channels[:, 3]
    percentiles = np.percentile(channels, [5, 25, 50, 75, 95], axis=0).ravel()
    return np.concatenate([channels.mean(0), channels.std(0), percentiles, [np.cos(hue).mean(), np.sin(hue).mean()]])


def ridge_on_colour(collection: RatedCollection) -> float:
    """Test SRCC of a ridge regression on the global statistics, its strength chosen on the validation pictures."""
    features, means = {}, {}
    for name, split in collection.splits.items():
        features[name] = np.stack([global_statistics(row["image"]) for row in split.select_columns(["image"])])
        means[name] = np.asarray(split["score_mean"][:])
    center, spread = features["train"].mean(0), features["train"].std(0) + 1e-9
    x = {name: (values - center) / spread for name, values in features.items()}
    found = []
    for strength in np.logspace(-1, 4, 11):
        gram = x["train"].T @ x["train"] + strength * np.eye(len(center))
        weights = np.linalg.solve(gram, x["train"].T @ (means["train"] - means["train"].mean()))
        found.append([spearman_correlation(x[name] @ weights, means[name]) for name in ("validation", "test")])
    return max(found)[1]


def save_pictures(collection: RatedCollection, folder: Path) -> Path:
    """Writes five test pictures, from the best to the worst twentieth by the panel."""
    test = collection.splits["test"]
    order = np.argsort(test["score_mean"][:])[::-1]
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in zip(NAMES, np.linspace(0.05, 0.95, len(NAMES)) * len(order), strict=True):
        test[int(order[int(place)])]["image"].save(folder / f"{name}.jpg", quality=95)
    return folder


def draw_sheet(collection: RatedCollection, report: EvaluationReport, path: Path) -> Path:
    """Draws twelve test pictures, from the lowest to the highest predicted score, with both scores under each."""
    columns, rows, side, line = 6, 2, 200, 22
    test, predictions = collection.splits["test"], report.predictions.to_pydict()
    place = {image_id: index for index, image_id in enumerate(test["image_id"])}
    order = np.argsort(predictions["score"])
    sheet = Image.new("RGB", (columns * (side + 8) + 8, rows * (side + line + 8) + 8), "white")
    draw = ImageDraw.Draw(sheet)
    for cell, rank in enumerate(np.linspace(0, len(order) - 1, columns * rows).astype(int)):
        row = int(order[rank])
        left, top = 8 + cell % columns * (side + 8), 8 + cell // columns * (side + line + 8)
        picture = test[place[predictions["image_id"][row]]]["image"].convert("RGB")
        sheet.paste(ImageOps.fit(picture, (side, side)), (left, top))
        text = f"predicted {predictions['score'][row]:.1f}, panel {predictions['true_score'][row]:.1f}"
        draw.text((left + side / 2, top + side + 4), text, fill="black", anchor="ma", font_size=14)
    sheet.save(path, quality=90)
    return path


if __name__ == "__main__":
    main()
