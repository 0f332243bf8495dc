"""
Does what a recipe learns of one set of pictures hold for another? A model for every set, tested on all of them.

Knows nothing about how a model is trained.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, concatenate_datasets
from scipy.stats import rankdata

from ..data.columns import RatingScale
from ..data.loading import RatedCollection
from ..data.splits import SPLITS
from ..data.targets import rate_by_means
from ..evaluation.cross_validation import Fold
from ..metrics import bootstrap_interval, paired_bootstrap, spearman_correlation
from .arguments import AestheticTrainingArguments, ModelArguments
from .cross_validation import FoldArguments, all_pictures, make_folds, train_folds


def split_by_column(collection: RatedCollection, column: str) -> dict[str, RatedCollection]:
    """
    The parts of a collection, by the value of a column, such as the category of what is shown.

    Args:
        collection ([`RatedCollection`]):
            On disk, not streamed.
        column (`str`):
            Its column. Pictures without a value are in no part.

    Raises:
        ValueError: If there is no such column.
    """
    names = collection.splits["train"].column_names or []
    if column not in names:
        raise ValueError(f"{collection.name} must have the column to part it by, got {column!r}. It has {names}.")
    values = {split: rows[column][:] for split, rows in collection.splits.items()}
    parts = sorted({value for of_split in values.values() for value in of_split if value is not None})
    return {
        str(part): replace(
            collection,
            name=f"{collection.name}, {column} {part}",
            splits=DatasetDict(
                {
                    split: rows.select([row for row, value in enumerate(values[split]) if value == part])
                    for split, rows in collection.splits.items()
                }
            ),
        )
        for part in parts
    }


def transfer_matrix(
    sets: Mapping[str, RatedCollection],
    model_args: ModelArguments,
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
    equal_sizes: bool = True,
) -> dict[str, Any]:
    """
    Trains a recipe on each of several sets, and tests every model on all sets: SRCC, and the drop.

    All sets are divided at once, each into the folds that its own cross-validation has. The model of a set and a fold
    is trained on the other folds of its set, and predicts this fold of every set. So each cell of the matrix is pooled
    over the same test pictures as the diagonal above or below it, no picture and no group that is tested has been seen
    in training in any cell, and a model costs one training for all columns. The drop of a cell is the SRCC of the
    diagonal of its column minus its own, on the same pictures.

    Scores and ratings are compared as percentiles among the test pictures of a fold. Models of different folds differ
    in level, the more so the fewer pictures they have seen: where the tested pictures of a set are good ones, those
    that are left for training are bad ones. In figures over the pooled scores that would cost the diagonal alone.

    A large set teaches more than a small one, whatever it shows: by default all models are therefore trained on as
    many pictures as the smallest training part has (our choice), drawn at random, and chosen by as many.

    Scales may differ, because only order counts: ratings on another scale never reach a model.

    Args:
        sets (`Mapping[str, RatedCollection]`):
            Two or more, by name: collections, or parts of one by [`split_by_column`].
        model_args ([`ModelArguments`]), args ([`AestheticTrainingArguments`]):
            The recipe; the seed is that of the folding. Under `args.output_dir` lie the predictions of finished
            models, which are not trained again.
        fold_args ([`FoldArguments`]):
            The folds. Where a set does not have the column of the groups, each of its pictures is one. The same value
            is the same group in all sets.
        equal_sizes (`bool`, *optional*, defaults to `True`):
            Whether all models are trained on equally many pictures.

    Returns:
        `dict[str, Any]`: `sets`, for each the number of `pictures`, of `groups`, and of `training_pictures` of a model
        on average; and `cells`, by the set of the training and that of the test: `srcc` as the mean `by_folding`, its
        `interval`, and the `drop`, the fields of a [`~hf_aesthetics.metrics.PairedDifference`]. Intervals are of 95 %,
        over groups.

    Raises:
        ValueError: If there are fewer than two sets, one has too few pictures or other maps than the first, no set has
            the column of the groups, or the folder is of another recipe.
    """
    _check(sets, fold_args)
    group_column = fold_args.groups or "image_id"
    pictures = {name: _with_groups(each, group_column) for name, each in sets.items()}
    groups = {name: np.array(rows[group_column][:]) for name, rows in pictures.items()}
    for name, of_set in groups.items():
        num_groups, needed = len(set(of_set)), 0 if fold_args.fixed_split else 2 * fold_args.num_folds
        if num_groups < needed:
            raise ValueError(
                f"{name!r} must have two groups a fold or more, {needed} for {fold_args.num_folds} folds, but has "
                f"{num_groups}. Leave it out, or choose a smaller --num_folds."
            )
    ends = np.cumsum([len(rows) for rows in pictures.values()])
    rows_of = {name: np.arange(end - len(groups[name]), end) for name, end in zip(sets, ends.tolist(), strict=True)}
    all_groups = np.concatenate([*groups.values()])
    folds = {}
    for seed in fold_args.fold_seeds:
        own = {name: make_folds(sets[name], rows, fold_args, seed) for name, rows in pictures.items()}
        folds[seed] = _divide(own, rows_of, all_groups, equal_sizes, seed)

    scores = _train(sets, pictures, folds, model_args, fold_args, args, equal_sizes)
    figures: dict[str, Any] = {"sets": {}, "cells": {name: {} for name in sets}}
    for tested_on, rows in pictures.items():
        tests = [
            [fold.test[np.isin(fold.test, rows_of[tested_on])] for fold in by_name[tested_on]]
            for by_name in folds.values()
        ]
        tested = np.unique(np.concatenate(tests[0]))  # of a published split, the test part alone
        targets = np.full((len(all_groups), len(folds)), np.nan)
        targets[rows_of[tested_on]] = np.array(rows["score_mean"][:])[:, None]
        compared = {name: _percentiles(each, tests)[tested] for name, each in scores.items()}
        target = _percentiles(targets, tests)[tested]
        sizes = [len(fold.train) for by_name in folds.values() for fold in by_name[tested_on]]
        figures["sets"][tested_on] = {
            "pictures": len(tested),
            "groups": len(set(all_groups[tested])),
            "training_pictures": float(np.mean(sizes)),
        }
        for trained_on in sets:
            predicted = compared[trained_on]
            draws: dict[str, Any] = {"groups": all_groups[tested], "num_resamples": fold_args.num_resamples}
            figures["cells"][trained_on][tested_on] = {
                "srcc": _mean_srcc(predicted, target),
                "by_folding": [spearman_correlation(*each) for each in zip(predicted.T, target.T, strict=True)],
                "interval": bootstrap_interval(_mean_srcc, predicted, target, **draws),
                "drop": paired_bootstrap(_mean_srcc, target, compared[tested_on], predicted, **draws)._asdict(),
            }
    return figures


def _train(
    sets: Mapping[str, RatedCollection],
    pictures: Mapping[str, Dataset],
    folds: Mapping[int, Mapping[str, list[Fold]]],
    model_args: ModelArguments,
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
    equal_sizes: bool,
) -> dict[str, np.ndarray]:
    """Scores by the models of each set, `(num_images, num_foldings)` over the pictures of all sets."""
    output_dir = args.output_dir
    scores = {name: np.full((sum(map(len, pictures.values())), len(folds)), np.nan) for name in sets}
    # sets on one scale go together, because frozen stages run once for all models that start alike
    for scale in dict.fromkeys(each.scale for each in sets.values()):
        names = [name for name in sets if sets[name].scale == scale]
        of_scale = {seed: [fold for name in names for fold in by_name[name]] for seed, by_name in folds.items()}
        args = copy(args)
        args.output_dir = str(Path(output_dir, str(scale).replace(" ", "-")))
        pool = _pool(sets, pictures, scale, equal_sizes)
        files = iter(train_folds(pool, model_args, fold_args, args, folds_of=of_scale.__getitem__))
        for column, by_name in enumerate(folds.values()):
            for name in names:
                for fold in by_name[name]:
                    scores[name][fold.test, column] = pq.read_table(next(files), columns=["score"])["score"]
    return scores


def _percentiles(values: np.ndarray, tests: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Ranks among the test pictures of a fold, from 0 to 1, for every folding; values have one column each."""
    ranks = np.full(values.shape, np.nan)
    for column, of_folding in enumerate(tests):
        for test in of_folding:
            ranks[test, column] = (rankdata(values[test, column]) - 0.5) / len(test)
    return ranks


def transfer_table(figures: Mapping[str, Any]) -> str:
    """
    The matrix in Markdown: a row for each set that was trained on, a column for each that was tested on.

    Args:
        figures (`Mapping[str, Any]`):
            From [`transfer_matrix`].

    Example:
        >>> drop = {"difference": 0.2, "low": 0.1, "high": 0.3}
        >>> cells = {"sea": {"sea": {"srcc": 0.5, "interval": [0.4, 0.6]}, "sky": {"srcc": 0.3, "drop": drop}}}
        >>> sets = {"sea": {"pictures": 90, "training_pictures": 60.0}, "sky": {"pictures": 80}}
        >>> print(transfer_table({"sets": sets, "cells": cells}))
        | trained on | sea (90) | sky (80) |
        |---|---|---|
        | sea (60) | **0.500** [0.400, 0.600] | 0.300, drop 0.200 [0.100, 0.300] |
    """
    headings = [f"{name} ({of_set['pictures']})" for name, of_set in figures["sets"].items()]
    lines = [f"| trained on | {' | '.join(headings)} |", "|---" * (len(headings) + 1) + "|"]
    for trained_on, row in figures["cells"].items():
        cells = [f"{trained_on} ({figures['sets'][trained_on]['training_pictures']:.0f})"]
        for tested_on in figures["sets"]:
            cell = row[tested_on]
            if trained_on == tested_on:
                low, high = cell["interval"]
                cells.append(f"**{cell['srcc']:.3f}** [{low:.3f}, {high:.3f}]")
            else:
                drop = cell["drop"]
                interval = f"[{drop['low']:.3f}, {drop['high']:.3f}]"
                cells.append(f"{cell['srcc']:.3f}, drop {drop['difference']:.3f} {interval}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean_srcc(predicted: np.ndarray, target: np.ndarray) -> float:
    return float(np.mean([spearman_correlation(*each) for each in zip(predicted.T, target.T, strict=True)]))


def _check(sets: Mapping[str, RatedCollection], fold_args: FoldArguments) -> None:
    names, column = list(sets), fold_args.groups
    if len(sets) < 2:
        raise ValueError(f"A transfer needs two sets or more, got {names}. Name another one.")
    for name, each in sets.items():
        if each.is_streaming:
            raise ValueError(f"Sets must be on disk, but {name!r} is streamed. Load it without.")
        if each.modality_column != sets[names[0]].modality_column:
            raise ValueError(
                f"All sets must have the same maps, but {names[0]!r} has {sets[names[0]].modality_column!r} and "
                f"{name!r} {each.modality_column!r}. Load all for one modality."
            )
    if column is not None and not any(column in each.splits["train"].column_names for each in sets.values()):
        raise ValueError(f"A set must have the column {column!r} of the groups, but none of {names} has. Correct it.")


def _with_groups(collection: RatedCollection, group_column: str) -> Dataset:
    """All pictures of a set; where it has no groups, each is one."""
    rows = all_pictures(collection)
    return rows if group_column in rows.column_names else rows.add_column(group_column, rows["image_id"][:])


def _divide(
    own: Mapping[str, list[Fold]],
    rows_of: Mapping[str, np.ndarray],
    groups: np.ndarray,
    equal_sizes: bool,
    seed: int,
) -> dict[str, list[Fold]]:
    """From the folds of each set: its own training and validation parts, and the test parts of all sets."""
    folds: dict[str, list[Fold]] = {name: [] for name in own}
    for of_number in zip(*own.values(), strict=True):
        placed = [Fold(*(rows_of[name][part] for part in fold)) for name, fold in zip(own, of_number, strict=True)]
        test = np.concatenate([fold.test for fold in placed])
        for name, fold in zip(own, placed, strict=True):
            # a group that is tested in another set may be in this one, too
            train, validation = (part[~np.isin(groups[part], groups[test])] for part in fold[:2])
            if min(len(train), len(validation)) < 2:
                raise ValueError(
                    f"{name!r} must have two pictures or more for training and for validation, but a fold leaves "
                    f"{len(train)} and {len(validation)}. Leave it out, or choose a larger --validation_share."
                )
            folds[name].append(Fold(train, validation, test))
    if not equal_sizes:
        return folds
    generator = np.random.default_rng(seed)
    sizes = [(len(fold.train), len(fold.validation)) for of_set in folds.values() for fold in of_set]
    smallest = np.min(sizes, axis=0)

    def reduce(fold: Fold) -> Fold:
        parts = zip(fold[:2], smallest, strict=True)
        return Fold(*(np.sort(generator.permutation(part)[:size]) for part, size in parts), fold.test)

    return {name: [reduce(fold) for fold in of_set] for name, of_set in folds.items()}


def _pool(
    sets: Mapping[str, RatedCollection], pictures: Mapping[str, Dataset], scale: RatingScale, equal_sizes: bool
) -> RatedCollection:
    """All pictures as one collection on a scale, with those columns that all sets have alike."""
    tables = [rows if sets[name].scale == scale else _hide_ratings(rows, scale) for name, rows in pictures.items()]
    shared = [
        column
        for column, feature in tables[0].features.items()
        if all(table.features.get(column) == feature for table in tables)
    ]
    rows = concatenate_datasets([table.select_columns(shared) for table in tables])
    empty = rows.select([])
    name = f"{' + '.join(sets)}, training parts {'of equal sizes' if equal_sizes else 'as they are'}"
    return replace(
        next(iter(sets.values())),
        name=name,
        splits=DatasetDict(dict(zip(SPLITS, (rows, empty, empty), strict=True))),
        scale=scale,
    )


def _hide_ratings(rows: Dataset, scale: RatingScale) -> Dataset:
    """Rows to be predicted by a model for another scale: what it could be told of their ratings means nothing."""
    return rate_by_means(rows, np.full(len(rows), (scale.min_score + scale.max_score) / 2), scale)
