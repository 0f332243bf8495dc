"""Cross-validates a recipe of training on a rated collection: every picture is judged by models new to its group.

    python scripts/cross_validate.py --dataset oasis --data_dir PATH --groups theme --backbone mobilenet_v2 \\
        --freeze_stages 12 --freeze_batch_norm --num_train_epochs 8 --output_dir outputs/cv

The recipe is that of `python -m hf_aesthetics.training`, by the same flags; the seed is that of the folding. In each
fold the best checkpoint is chosen on an inner validation part with groups of its own. Frozen stages run once for all
folds. A finished fold is not trained again. In `--output_dir` then lie `predictions.parquet` and `figures.json`.

With `--fixed_split` the published split is the only fold, and each of `--fold_seeds` is a seed of training.
"""

import json
from copy import copy
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, concatenate_datasets
from transformers import HfArgumentParser

from hf_aesthetics.data.cache_files import whole_file
from hf_aesthetics.data.loading import RatedCollection, load_collection
from hf_aesthetics.data.splits import SPLITS
from hf_aesthetics.evaluation.cross_validation import (
    Fold,
    OutOfFoldPredictions,
    compare_recipes,
    cross_validated_figures,
    explained_share,
    figures_table,
    grouped_folds,
)
from hf_aesthetics.training import AestheticTrainingArguments, DataArguments, ModelArguments, build_scorer
from hf_aesthetics.training.folds import FoldPrediction, predict_folds


@dataclass
class FoldArguments:
    """How to divide the collection, and what to start from."""

    groups: str | None = field(default=None, metadata={"help": "column that no fold parts; none for random folds"})
    num_folds: int = field(default=5, metadata={"help": "folds of a folding"})
    fold_seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "one folding each"})
    validation_share: float = field(default=0.15, metadata={"help": "of the groups that are not tested"})
    fixed_split: bool = field(default=False, metadata={"help": "the published split instead of folds"})
    train_share: float = field(default=1.0, metadata={"help": "of the training pictures that are used"})
    initial_weights: Literal["pretrained", "random"] = field(
        default="pretrained", metadata={"help": "of the backbone"}
    )
    reliability: float | None = field(
        default=None, metadata={"help": "correlation of two panels, for the share of the explainable variance"}
    )
    compare_with: list[str] = field(
        default_factory=list, metadata={"help": "output folders of other recipes, over the same folds"}
    )


PREDICTIONS_FILE = "predictions.parquet"
# what may change between two calls that go on with the same folds
_FREE = {"fold_seeds", "compare_with", "reliability", "output_dir", "logging_dir", "run_name", "disable_tqdm"}


def cross_validate(
    collection: RatedCollection,
    model_args: ModelArguments,
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
) -> dict[str, Any]:
    """Trains the folds that are not finished, pools all predictions, and returns the figures."""
    output_dir = Path(args.output_dir)
    recipe = {"collection": collection.name, **asdict(model_args), **asdict(fold_args), **args.to_dict()}
    _claim(output_dir, json.loads(json.dumps({name: recipe[name] for name in recipe if name not in _FREE})))
    pictures = concatenate_datasets([collection.splits[name] for name in SPLITS])
    files: list[Path] = []
    for seed in fold_args.fold_seeds:
        folds = make_folds(collection, pictures, fold_args, seed)
        of_seed = [output_dir / f"seed{seed}-fold{number}.parquet" for number in range(len(folds))]
        files += of_seed
        missing = [number for number, file in enumerate(of_seed) if not file.is_file()]
        if not missing:
            continue
        args = copy(args)
        args.seed = seed
        predictions = predict_folds(
            partial(_build, model_args, fold_args, collection),
            pictures,
            collection.scale,
            [folds[number] for number in missing],
            args,
            model_args.loss,
        )
        for number, prediction in zip(missing, predictions, strict=True):
            rows = _rows(pictures, fold_args.groups, seed, folds[number], prediction)
            with whole_file(of_seed[number]) as file:
                pq.write_table(rows, file)
            print(f"seed {seed}, fold {number}: validation {prediction.validation_srcc}", flush=True)
    parts = [pq.read_table(file) for file in files]
    table = pa.concat_tables(parts)
    with whole_file(output_dir / PREDICTIONS_FILE) as file:
        pq.write_table(table, file)

    bins = collection.scale.bin_scores
    predictions = OutOfFoldPredictions.from_table(table)
    figures: dict[str, Any] = {k: v._asdict() for k, v in cross_validated_figures(predictions, bins).items()}
    if fold_args.reliability is not None:
        figures["explained_share"] = explained_share(figures["srcc"]["value"], fold_args.reliability)
    figures["validation_srcc"] = float(np.mean([part["validation_srcc"][0].as_py() for part in parts]))
    figures["ahead_of"] = {}
    for other in fold_args.compare_with:
        others = OutOfFoldPredictions.from_table(pq.read_table(Path(other, PREDICTIONS_FILE)))
        differences = compare_recipes(predictions, others, bins)
        figures["ahead_of"][other] = {name: difference._asdict() for name, difference in differences.items()}
    _write_json(output_dir / "figures.json", figures)
    return figures


def make_folds(collection: RatedCollection, pictures: Dataset, fold_args: FoldArguments, seed: int) -> list[Fold]:
    """The folds of a seed; a smaller share of the training pictures is part of a larger one."""
    if fold_args.fixed_split:
        ends = np.cumsum([len(collection.splits[name]) for name in SPLITS])
        folds = [Fold(*np.split(np.arange(ends[-1]), ends[:-1]))]
    else:
        groups = pictures[fold_args.groups or "image_id"][:]
        folds = grouped_folds(groups, fold_args.num_folds, seed, fold_args.validation_share)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(fold.train) for fold in folds]
    return [
        fold._replace(train=np.sort(order[: round(fold_args.train_share * len(order))]))
        for fold, order in zip(folds, orders, strict=True)
    ]


def _build(model_args: ModelArguments, fold_args: FoldArguments, collection: RatedCollection) -> tuple[Any, Any]:
    model, processor = build_scorer(model_args, collection.scale)
    if fold_args.initial_weights == "random":
        model = type(model)(model.config)
        model.freeze_stages(model_args.freeze_stages)  # but no batch norms: theirs are statistics of nothing
    return model, processor


def _rows(pictures: Dataset, groups: str | None, seed: int, fold: Fold, prediction: FoldPrediction) -> pa.Table:
    """One row a picture of the test part, as `OutOfFoldPredictions` reads them."""
    votes = np.array(pictures["vote_counts"][:], dtype=np.float64)
    shares = votes / votes.sum(axis=1, keepdims=True)
    test, num_rows = pictures.select(fold.test), len(fold.test)
    return pa.table(
        {
            "image_id": test["image_id"][:],
            "group": test[groups or "image_id"][:],
            "seed": [seed] * num_rows,
            "distribution": prediction.distribution.tolist(),
            "constant": [shares[fold.train].mean(axis=0).tolist()] * num_rows,
            "vote_shares": shares[fold.test].tolist(),
            "validation_srcc": [prediction.validation_srcc] * num_rows,
        }
    )


def _claim(output_dir: Path, recipe: dict[str, Any]) -> None:
    """Makes the folder that of this recipe, so that folds of different ones are never pooled."""
    output_dir.mkdir(parents=True, exist_ok=True)
    file = output_dir / "recipe.json"
    if not file.is_file():
        _write_json(file, recipe)
    found = json.loads(file.read_text(encoding="utf-8"))
    for name in recipe:
        if found.get(name) != recipe[name]:
            raise ValueError(
                f"{output_dir} holds folds of a recipe with {name}={found.get(name)}, got {recipe[name]}. "
                "Choose another --output_dir."
            )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as file:
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def parse_flags(
    argv: list[str] | None = None,
) -> tuple[DataArguments, ModelArguments, FoldArguments, AestheticTrainingArguments]:
    """The flags of this program: those of training, and those of the folds."""
    parser = HfArgumentParser((DataArguments, ModelArguments, FoldArguments, AestheticTrainingArguments))
    return parser.parse_args_into_dataclasses(args=argv)


def main(argv: list[str] | None = None) -> None:
    data_args, *recipe = parse_flags(argv)
    collection = load_collection(data_args.dataset, data_args.data_dir, data_args.scale, data_args.dataset_revision)
    print(figures_table(cross_validate(collection, *recipe)))


if __name__ == "__main__":
    main()
