"""A recipe of training, measured by cross-validation: one model for each fold of a collection, predictions pooled.

Knows nothing about how a model is trained, or what the predictions are used for.
"""

import json
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import Dataset, concatenate_datasets
from safetensors.torch import load_model, save_model
from transformers import PreTrainedModel

from ..data.columns import RATING_COLUMNS
from ..data.loading import RatedCollection, load_collection
from ..data.splits import SPLITS
from ..data.transforms import make_labels
from ..evaluation.cross_validation import (
    Fold,
    OutOfFoldPredictions,
    compare_recipes,
    cross_validated_figures,
    explained_share,
    grouped_folds,
)
from ..models.image_processing_modality import ModalityImageProcessor
from ..whole_files import whole_file
from .arguments import AestheticTrainingArguments, DataArguments, ModelArguments
from .folds import FoldPrediction, predict_folds
from .preparation import build_scorer, map_collection
from .recipe_folders import claim_folder


@dataclass
class FoldArguments:
    """How to divide the collection, and what to start from."""

    groups: str | None = field(default=None, metadata={"help": "column that no fold parts; none for random folds"})
    num_folds: int = field(default=5, metadata={"help": "folds of a folding"})
    fold_seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "one folding each"})
    validation_share: float = field(default=0.15, metadata={"help": "of the groups that are not tested"})
    fixed_split: bool = field(default=False, metadata={"help": "the published split instead of folds"})
    train_share: float = field(default=1.0, metadata={"help": "of the training pictures that are used"})
    shuffle_ratings: bool = field(
        default=False, metadata={"help": "give each picture the ratings of another one: a control"}
    )
    initial_weights: Literal["pretrained", "random"] = field(
        default="pretrained", metadata={"help": "of the backbone"}
    )
    reliability: float | None = field(
        default=None, metadata={"help": "correlation of two panels, for the share of the explainable variance"}
    )
    num_resamples: int = field(default=1000, metadata={"help": "draws of the bootstrap"})
    compare_with: list[str] = field(
        default_factory=list, metadata={"help": "output folders of other recipes, over the same folds"}
    )


PREDICTIONS_FILE = "predictions.parquet"
# what may change between two calls that go on with the same folds
_FREE = {"fold_seeds", "compare_with", "reliability", "num_resamples"}
_FREE |= {"output_dir", "logging_dir", "run_name", "disable_tqdm"}


def load_for_modality(data_args: DataArguments, model_args: ModelArguments) -> RatedCollection:
    """
    Loads a collection, with its own maps of the modality where no network is named that makes others.

    Args:
        data_args ([`DataArguments`]), model_args ([`ModelArguments`]):
            The collection and the models.
    """
    return load_collection(
        data_args.dataset,
        data_args.data_dir,
        data_args.scale,
        data_args.dataset_revision,
        modality=model_args.modality if model_args.extractor is None else None,
        exclude_ids=data_args.exclude_ids,
        attributes=model_args.attributes or (),
        target=data_args.target,
    )


def load_mapped(data_args: DataArguments, model_args: ModelArguments) -> RatedCollection:
    """The same, with the maps that the models need."""
    collection = load_for_modality(data_args, model_args)
    _, processor = build_scorer(model_args, collection.scale)
    return map_collection(collection, processor)


def cross_validate(
    collection: RatedCollection,
    model_args: ModelArguments,
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
) -> dict[str, Any]:
    """
    Trains the folds that are not finished, pools all predictions, and returns the figures.

    Args:
        collection ([`RatedCollection`]), model_args ([`ModelArguments`]), args ([`AestheticTrainingArguments`]):
            See [`train_folds`]. In `args.output_dir` then lie `predictions.parquet` and `figures.json`, too.
        fold_args ([`FoldArguments`]):
            The folds, and what to compare with.

    Returns:
        `dict[str, Any]`: What [`~hf_aesthetics.evaluation.cross_validation.figures_table`] shows.

    Raises:
        ValueError: If the folder holds folds of another recipe.
    """
    files = train_folds(collection, model_args, fold_args, args)
    predictions = pool_folds(files)
    bins, draws = collection.scale.bin_scores, fold_args.num_resamples
    measured = cross_validated_figures(predictions, bins, draws)
    figures: dict[str, Any] = {name: figure._asdict() for name, figure in measured.items()}
    if fold_args.reliability is not None:
        figures["explained_share"] = explained_share(figures["srcc"]["value"], fold_args.reliability)
    for name in ("train_srcc", "validation_srcc"):
        figures[name] = float(np.mean([_of_fold(file, name) for file in files]))
    figures["ahead_of"] = {}
    for other in fold_args.compare_with:
        differences = compare_recipes(predictions, read_predictions(other), bins, draws)
        figures["ahead_of"][other] = {name: difference._asdict() for name, difference in differences.items()}
    _write_json(Path(args.output_dir, "figures.json"), figures)
    return figures


def train_folds(
    collection: RatedCollection,
    model_args: ModelArguments,
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
    start: str | Path | None = None,
    keep_weights: bool = False,
    only_first: bool = False,
    label: str = "",
    folds_of: Callable[[int], list[Fold]] | None = None,
) -> list[Path]:
    """
    Trains the folds that are not finished.

    Args:
        collection ([`RatedCollection`]):
            The pictures, and maps where the model sees some.
        model_args ([`ModelArguments`]), fold_args ([`FoldArguments`]), args ([`AestheticTrainingArguments`]):
            The recipe; the seed is that of the folding. The folder is `args.output_dir`.
        start (`str` or `Path`, *optional*):
            Folder of another recipe over the same folds, with `keep_weights`: each model starts from the one of its
            fold, but for what that one does not have, the early fusion.
        keep_weights (`bool`, *optional*, defaults to `False`):
            Whether to write the weights of every model.
        only_first (`bool`, *optional*, defaults to `False`):
            Whether to train the first fold of each folding only.
        label (`str`, *optional*):
            Begins every line that is printed.
        folds_of (`Callable[[int], list[Fold]]`, *optional*):
            The folds of a seed, by default [`make_folds`]; positions in all splits, one below the other. A test part
            may have any pictures.

    Returns:
        `list[Path]`: A table for each fold, its rows as
        [`~hf_aesthetics.evaluation.cross_validation.OutOfFoldPredictions.from_table`] reads them, and with the
        `train_srcc` and `validation_srcc` of its model.

    Raises:
        ValueError: If the folder holds folds of another recipe, or `start` does not fit.
    """
    output_dir = Path(args.output_dir)
    recipe = {"collection": collection.name, **asdict(model_args), **asdict(fold_args), **args.to_dict()}
    recipe["start"] = None if start is None else Path(start).name
    claim_folder(output_dir, {name: recipe[name] for name in recipe if name not in _FREE})
    pictures = all_pictures(collection)
    if fold_args.shuffle_ratings:
        pictures = _shuffle_ratings(pictures)
    files: list[Path] = []
    for seed in fold_args.fold_seeds:
        folds = make_folds(collection, pictures, fold_args, seed) if folds_of is None else folds_of(seed)
        folds = folds[: 1 if only_first else None]
        of_seed = [output_dir / f"seed{seed}-fold{number}.parquet" for number in range(len(folds))]
        files += of_seed
        kept = [[file, weights_file(file)] if keep_weights else [file] for file in of_seed]
        missing = [number for number, parts in enumerate(kept) if not all(part.is_file() for part in parts)]
        if not missing:
            continue
        args = copy(args)
        args.seed = seed
        shares = _vote_shares(pictures, collection.scale.bin_scores)
        # frozen stages run once for all models that start alike
        for together in [missing] if start is None else [[number] for number in missing]:
            origin = None if start is None else weights_file(Path(start, of_seed[together[0]].name))
            predictions = predict_folds(
                partial(_build, model_args, fold_args, collection, origin),
                pictures,
                collection.scale,
                [folds[number] for number in together],
                args,
                model_args.loss,
                collection.modality_column,
            )
            for number, prediction in zip(together, predictions, strict=True):
                if keep_weights:
                    with whole_file(weights_file(of_seed[number])) as file:
                        save_model(prediction.model, str(file))
                rows = _rows(pictures, shares, fold_args.groups, seed, folds[number], prediction)
                with whole_file(of_seed[number]) as file:
                    pq.write_table(rows, file)
                print(f"{label}seed {seed}, fold {number}: validation {prediction.validation_srcc}", flush=True)
    return files


def weights_file(fold_file: Path) -> Path:
    """Where the weights of a fold's model lie, beside its predictions."""
    return fold_file.with_suffix(".safetensors")


def validation_srcc(fold_file: Path) -> float:
    """SRCC of a fold's model on its inner validation part; NaN where nothing varies."""
    return _of_fold(fold_file, "validation_srcc")


def _of_fold(fold_file: Path, name: str) -> float:
    return pq.read_table(fold_file, columns=[name])[name][0].as_py()


def pool_folds(fold_files: Sequence[Path]) -> OutOfFoldPredictions:
    """
    Puts the predictions of all folds together, into `predictions.parquet` beside them.

    Args:
        fold_files (`Sequence[Path]`):
            From [`train_folds`].
    """
    table = pa.concat_tables([pq.read_table(file) for file in fold_files])
    with whole_file(fold_files[0].with_name(PREDICTIONS_FILE)) as file:
        pq.write_table(table, file)
    return OutOfFoldPredictions.from_table(table)


def read_predictions(output_dir: str | Path) -> OutOfFoldPredictions:
    """
    The predictions that [`pool_folds`] left in a folder.

    Raises:
        ValueError: If there are none.

    Example:
        >>> read_predictions("outputs/none")
        Traceback (most recent call last):
        ...
        ValueError: Expected outputs/none/predictions.parquet of a finished cross-validation, found none. Run it first.
    """
    file = Path(output_dir, PREDICTIONS_FILE)
    if not file.is_file():
        raise ValueError(f"Expected {file} of a finished cross-validation, found none. Run it first.")
    return OutOfFoldPredictions.from_table(pq.read_table(file))


def all_pictures(collection: RatedCollection) -> Dataset:
    """The pictures of all splits, to which the positions of the folds refer."""
    return concatenate_datasets([collection.splits[name] for name in SPLITS])


def make_folds(collection: RatedCollection, pictures: Dataset, fold_args: FoldArguments, seed: int) -> list[Fold]:
    """The folds of a seed; a smaller share of the training pictures is part of a larger one."""
    if fold_args.fixed_split:
        ends = np.cumsum([len(collection.splits[name]) for name in SPLITS])
        folds = [Fold(*np.split(np.arange(ends[-1]), ends[:-1]))]
    else:
        column = fold_args.groups or "image_id"
        if column not in pictures.column_names:
            raise ValueError(
                f"--groups must be a column of {collection.name}, {', '.join(pictures.column_names)}, got {column!r}."
            )
        groups = pictures[column][:]
        folds = grouped_folds(groups, fold_args.num_folds, seed, fold_args.validation_share)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(fold.train) for fold in folds]
    return [
        fold._replace(train=np.sort(order[: round(fold_args.train_share * len(order))]))
        for fold, order in zip(folds, orders, strict=True)
    ]


def _build(
    model_args: ModelArguments, fold_args: FoldArguments, collection: RatedCollection, origin: Path | None
) -> tuple[PreTrainedModel, ModalityImageProcessor]:
    model, processor = build_scorer(model_args, collection.scale)
    if fold_args.initial_weights == "random":
        model = type(model)(model.config)
        model.freeze_stages(model_args.freeze_stages)  # but no batch norms: theirs are statistics of nothing
    if origin is not None:
        if not origin.is_file():
            raise ValueError(f"Expected the weights {origin} to start from, found none. Train those folds first.")
        missing, unexpected = load_model(model, str(origin), strict=False)
        if unexpected or any(not name.startswith("early_fusion.") for name in missing):
            odd = sorted({*missing, *unexpected})[0]
            raise ValueError(f"{origin} must hold weights of the same network, but {odd!r} does not match.")
    return model, processor


def _rows(
    pictures: Dataset,
    shares: np.ndarray,
    groups: str | None,
    seed: int,
    fold: Fold,
    prediction: FoldPrediction,
) -> pa.Table:
    """One row a picture of the test part, as `OutOfFoldPredictions` reads them."""
    test, num_rows = pictures.select(fold.test), len(fold.test)
    return pa.table(
        {
            "image_id": test["image_id"][:],
            "group": test[groups or "image_id"][:],
            "seed": [seed] * num_rows,
            "distribution": pa.array(
                [None] * num_rows if prediction.distribution is None else prediction.distribution.tolist(),
                pa.list_(pa.float64()),
            ),
            "score": prediction.scores.tolist(),
            "constant": [shares[fold.train].mean(axis=0).tolist()] * num_rows,
            "vote_shares": shares[fold.test].tolist(),
            "train_srcc": [prediction.train_srcc] * num_rows,
            "validation_srcc": [prediction.validation_srcc] * num_rows,
        }
    )


def _shuffle_ratings(pictures: Dataset) -> Dataset:
    """Pictures with the ratings of others, whatever theme these are of."""
    order = np.random.default_rng(0).permutation(len(pictures))
    others = pictures.select_columns([*RATING_COLUMNS]).select(order)
    return concatenate_datasets([pictures.remove_columns([*RATING_COLUMNS]), others], axis=1)


def _vote_shares(pictures: Dataset, bin_scores: np.ndarray) -> np.ndarray:
    """What the models are trained on, in float64 where there are votes."""
    labels = pictures.select_columns(["vote_counts", "score_mean", "score_std"])[:]
    shares = torch.stack(make_labels(labels, bin_scores.tolist())).double().numpy()
    for row, votes in enumerate(labels["vote_counts"]):
        if votes is not None:
            shares[row] = np.array(votes) / np.sum(votes)
    return shares


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as file:
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
