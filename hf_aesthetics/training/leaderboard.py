"""The entries of a leaderboard: recipes of cross-validation, over one collection and the same folds, and their speed.

Knows nothing about what becomes of the figures.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from transformers import PreTrainedModel

from ..analysis.findings import Estimate
from ..analysis.input_sets import InputSetFigures, input_set_figures
from ..analysis.leaderboard import (
    SHUFFLED,
    DuplicatePair,
    LeaderboardRow,
    Leakage,
    Transfer,
    TransferCell,
    read_figures,
)
from ..data.columns import RatingScale
from ..data.loading import RatedCollection
from ..data.near_duplicates import find_leaks, find_near_duplicates
from ..data.training_rows import IndexedRows
from ..data.transforms import EvaluationTransform
from ..evaluation.cross_validation import OutOfFoldPredictions, cross_validated_figures
from ..models.image_features import CRITERIA, IMAGE_FEATURES
from ..scoring import AestheticScorer
from .arguments import AestheticTrainingArguments, ModelArguments
from .cross_validation import FoldArguments, all_pictures, cross_validate, make_folds
from .feature_statistics import measure_features, set_feature_statistics
from .preparation import BACKBONE_ARGUMENTS, build_scorer
from .transfer import split_by_column, transfer_matrix


CLOSED_FORM = {"linear_probe": True, "num_train_epochs": 0.0, "crop_fraction": 1.0, "random_flip": False}


@dataclass(frozen=True)
class Entry:
    """
    A way to a score, as what it changes of the recipe that is given for all.

    Args:
        features (`str`), output (`str`):
            See [`~hf_aesthetics.analysis.leaderboard.LeaderboardRow`].
        model (`dict[str, Any]`), training (`dict[str, Any]`), folds (`dict[str, Any]`):
            Fields of [`ModelArguments`], [`AestheticTrainingArguments`] and [`FoldArguments`].
        has_backbone (`bool`):
            Whether it has one. What is said of backbones in the recipe is nothing to those that have none.
    """

    features: str
    output: str
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    folds: dict[str, Any] = field(default_factory=dict)
    has_backbone: bool = True


def _classical(features: str, **model: Any) -> Entry:
    return Entry(features, "distribution", model, CLOSED_FORM, has_backbone=False)


def _baseline(objective: str) -> Entry:
    return Entry("deep", objective, {"model_type": "aesthetic_baseline", "objective": objective})


ENTRIES: dict[str, Entry] = {
    "handcrafted": _classical("hand-crafted", model_type="handcrafted"),
    "bag_of_words": _classical("generic", model_type="fisher_vector", encoding="bag_of_words"),
    "fisher_vector": _classical("generic", model_type="fisher_vector"),
    "frozen_backbone": Entry("generic", "distribution", {}, CLOSED_FORM),
    "nima": Entry("deep", "distribution"),
    "nima_random_weights": Entry(
        "deep", "distribution", {"freeze_stages": 0}, {"linear_probe": False}, {"initial_weights": "random"}
    ),
    "aadb_net": Entry("deep", "distribution, attributes", {"model_type": "aadb_net"}),
    **{objective: _baseline(objective) for objective in ("binary", "classes", "regression", "ranking")},
    SHUFFLED: Entry("deep", "distribution", folds={"shuffle_ratings": True}),
}
"""All entries by name. What they do not say is as the recipe says."""


@dataclass
class Recipe:
    """Everything that [`cross_validate`] needs of an entry."""

    model: ModelArguments
    folds: FoldArguments
    training: AestheticTrainingArguments


def entry_recipe(name: str, given: Recipe) -> Recipe:
    """
    The recipe of an entry.

    Args:
        name (`str`):
            One of [`ENTRIES`]. Its folds lie in a folder of that name in the given `output_dir`.
        given ([`Recipe`]):
            What is given for all entries.

    Raises:
        ValueError: If there is no such entry.

    Example:
        >>> given = Recipe(
        ...     ModelArguments(backbone="resnet50", freeze_stages=3),
        ...     FoldArguments(),
        ...     AestheticTrainingArguments(output_dir="outputs/board", use_cpu=True),
        ... )
        >>> recipe = entry_recipe("handcrafted", given)
        >>> recipe.model.backbone, recipe.model.freeze_stages, recipe.training.num_train_epochs
        (None, 0, 0.0)
        >>> recipe.training.output_dir
        'outputs/board/handcrafted'
    """
    if name not in ENTRIES:
        raise ValueError(f"An entry must be one of {', '.join(ENTRIES)}, got {name!r}.")
    entry = ENTRIES[name]
    model = given.model
    others = ("backbone", *BACKBONE_ARGUMENTS) if not entry.has_backbone else ()
    others = others if entry.model.get("model_type") == "aadb_net" else (*others, "attributes")
    model = replace(model, **{each.name: each.default for each in fields(model) if each.name in others})
    training = {"output_dir": str(Path(given.training.output_dir, name)), **entry.training}
    return Recipe(
        replace(model, **entry.model),
        replace(given.folds, **entry.folds),
        replace(given.training, **training),
    )


def run_entry(name: str, recipe: Recipe, collection: RatedCollection) -> LeaderboardRow:
    """
    Trains the folds of an entry that are not finished, and returns its row, without its place among others.

    Args:
        name (`str`), recipe ([`Recipe`]):
            From [`entry_recipe`].
        collection ([`RatedCollection`]):
            The collection, with the maps that the models see.
    """
    figures = cross_validate(collection, recipe.model, recipe.folds, recipe.training)
    entry, train_srcc = ENTRIES[name], figures["train_srcc"]
    found = read_figures(figures)
    return LeaderboardRow(name, entry.features, entry.output, found, None if np.isnan(train_srcc) else train_srcc)


def find_leakage(
    collection: RatedCollection, fold_args: FoldArguments, predictions: Mapping[str, OutOfFoldPredictions]
) -> Leakage:
    """
    Looks for near-duplicates of test pictures in the training part of their fold, and measures without them.

    Args:
        collection ([`RatedCollection`]), fold_args ([`FoldArguments`]):
            What was divided, and how.
        predictions (`Mapping[str, OutOfFoldPredictions]`):
            Of the entries that are measured without them.
    """
    pictures = all_pictures(collection)
    ids = pictures["image_id"][:]
    pairs = find_near_duplicates(pictures)
    folds = [fold for seed in fold_args.fold_seeds for fold in make_folds(collection, pictures, fold_args, seed)]
    leaked = {ids[leak.second] for fold in folds for leak in find_leaks(fold.train, fold.test, pairs)}
    srcc = {}
    for name, each in predictions.items() if leaked else ():
        bins = collection.scale.bin_scores
        figure = cross_validated_figures(each.without(leaked), bins, fold_args.num_resamples, names=["srcc"])["srcc"]
        srcc[name] = Estimate(figure.value, *figure.interval)
    listed = [DuplicatePair(ids[pair.first], ids[pair.second], pair.similarity) for pair in pairs]
    return Leakage(len(leaked), listed, srcc)


def measure_transfer(name: str, recipe: Recipe, collection: RatedCollection, column: str) -> Transfer:
    """
    Trains an entry on each part of the collection, and tests it on all: see [`transfer_matrix`].

    Args:
        name (`str`), recipe ([`Recipe`]):
            From [`entry_recipe`]. The models lie in a folder beside that of its folds.
        collection ([`RatedCollection`]):
            The collection, with the maps that the models see.
        column (`str`):
            What parts it.
    """
    parts = split_by_column(collection, column)
    args = replace(recipe.training, output_dir=f"{recipe.training.output_dir}-by-{column}")
    figures = transfer_matrix(parts, recipe.model, recipe.folds, args)
    cells = {
        trained_on: {tested_on: _transfer_cell(cell) for tested_on, cell in row.items()}
        for trained_on, row in figures["cells"].items()
    }
    sets = figures["sets"]
    sizes = {part: of_part["pictures"] for part, of_part in sets.items()}
    return Transfer(name, column, sizes, round(next(iter(sets.values()))["training_pictures"]), cells)


def _transfer_cell(cell: Mapping[str, Any]) -> TransferCell:
    drop = cell["drop"]
    estimates = (cell["srcc"], *cell["interval"]), (drop["difference"], drop["low"], drop["high"])
    return TransferCell(*(None if np.isnan(values).any() else Estimate(*values) for values in estimates))


def explain_by_class(
    rows: Sequence[LeaderboardRow], predictions: Mapping[str, OutOfFoldPredictions], scale: RatingScale
) -> list[InputSetFigures]:
    """
    What the best entry of each class of features tells that those of the others do not.

    Args:
        rows (`Sequence[LeaderboardRow]`):
            Best first, those with a rank.
        predictions (`Mapping[str, OutOfFoldPredictions]`):
            Of the entries.
        scale ([`RatingScale`]):
            Of the ratings.
    """
    best: dict[str, OutOfFoldPredictions] = {}
    for row in rows:
        best.setdefault(row.features, predictions[row.name])
    if len(best) < 2:
        return []
    first = next(iter(best.values()))
    sets = {name: each.mean_scores(scale.bin_scores).mean(axis=0) for name, each in best.items()}
    return input_set_figures(sets, first.target @ scale.bin_scores, first.groups)


def explain_by_criterion(
    recipe: Recipe, collection: RatedCollection, deep: OutOfFoldPredictions | None
) -> list[InputSetFigures]:
    """
    What the hand-crafted features that stand for each criterion tell, alone, beside the others, and beyond a network.

    Args:
        recipe ([`Recipe`]):
            Of hand-crafted features.
        collection ([`RatedCollection`]):
            The pictures. How unusual one is follows from all of them; their ratings are not looked at.
        deep (`OutOfFoldPredictions`, *optional*):
            Of the network.
    """
    model, processor = build_scorer(recipe.model, collection.scale)
    pictures = all_pictures(collection)
    rows = IndexedRows(pictures, EvaluationTransform(processor, collection.scale.bin_scores.tolist()))
    measured = measure_features(model, rows)
    set_feature_statistics(model, measured)
    features = model.statistics(model.statistics.complete(measured)).numpy()
    ids, groups = (np.array(pictures[name][:]) for name in ("image_id", recipe.folds.groups or "image_id"))
    order = np.argsort(ids)
    criteria = np.array([feature.criterion for feature in IMAGE_FEATURES.values()])
    sets = {name: features[order][:, criteria == name] for name in CRITERIA}
    known = None if deep is None else deep.mean_scores(collection.scale.bin_scores).mean(axis=0)
    return input_set_figures(sets, np.array(pictures["score_mean"][:])[order], groups[order], known)


class Cost(NamedTuple):
    """
    What an entry takes.

    Args:
        num_values (`int`):
            Numbers that a checkpoint holds: weights, and statistics of pictures.
        images_per_second (`float`):
            From pictures in memory to scores.
    """

    num_values: int
    images_per_second: float


def measure_costs(
    recipes: Mapping[str, Recipe], scale: RatingScale, pictures: Sequence[Image.Image], num_repeats: int = 5
) -> dict[str, Cost]:
    """
    Size and speed of each entry. The entries take turns, and the medians count.

    Args:
        recipes (`Mapping[str, Recipe]`):
            By entry. What was learnt changes neither, so that models need not be trained.
        scale ([`RatingScale`]):
            Of the ratings.
        pictures (`Sequence[PIL.Image.Image]`):
            They go through each model together.
        num_repeats (`int`, *optional*, defaults to 5):
            How often each has its turn, after one that does not count.
    """
    scorers = {}
    for name, recipe in recipes.items():
        model, processor = build_scorer(recipe.model, scale)
        scorers[name] = AestheticScorer(model, processor, name=name, device=recipe.training.device)
    seconds: dict[str, list[float]] = {name: [] for name in scorers}
    for _ in range(num_repeats + 1):
        for name, scorer in scorers.items():
            start = time.perf_counter()
            scorer.score(list(pictures))
            seconds[name].append(time.perf_counter() - start)
    return {
        name: Cost(_count_values(scorer.model), len(pictures) / median(seconds[name][1:]))
        for name, scorer in scorers.items()
    }


def _count_values(model: PreTrainedModel) -> int:
    return sum(tensor.numel() for tensor in model.state_dict().values() if tensor.is_floating_point())
