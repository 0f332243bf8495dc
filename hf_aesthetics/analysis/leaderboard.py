"""Every way to a score beside the others, on one collection and the same folds: the rows, and what they say together.

Knows nothing about how models are trained, or how a page looks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import ArrayLike

from ..evaluation.cross_validation import OutOfFoldPredictions, compare_recipes, cross_validated_figures
from .findings import Estimate
from .input_sets import InputSetFigures


COLUMNS = ("srcc", "plcc", "krcc", "accuracy", "f1", "emd_skill")
"""The figures of a row, by their names in [`~hf_aesthetics.evaluation.cross_validation.FIGURES`]."""
CONSTANT, SHUFFLED = "constant", "shuffled_ratings"
"""Rows that are there to compare with, and have no rank."""


@dataclass(frozen=True)
class LeaderboardRow:
    """
    One way to a score.

    Args:
        name (`str`):
            What it is called.
        features (`str`):
            What it sees of a picture: `"none"`, `"hand-crafted"`, `"generic"` (learnt for something else, or without
            ratings) or `"deep"` (learnt with the ratings), as surveys of the field divide it.
        output (`str`):
            What it is taught, such as `"distribution"`.
        figures (`dict[str, Estimate | None]`):
            By the names of [`COLUMNS`]; `None` where undefined. Intervals are over groups of pictures.
        train_srcc (`float`, *optional*):
            SRCC on the pictures that each model was trained on.
        num_values (`int`, *optional*):
            Fitted numbers that a checkpoint holds: weights and statistics.
        images_per_second (`float`, *optional*):
            From pictures in memory to scores.
        ahead_of_next (`Estimate`, *optional*):
            Difference in SRCC to the next row, over the same draws of groups.
        p_value (`float`, *optional*):
            Of that difference.
    """

    name: str
    features: str
    output: str
    figures: dict[str, Estimate | None]
    train_srcc: float | None = None
    num_values: int | None = None
    images_per_second: float | None = None
    ahead_of_next: Estimate | None = None
    p_value: float | None = None

    @property
    def srcc(self) -> float:
        """SRCC on new pictures, by which rows are ordered; below all others where it is undefined."""
        estimate = self.figures.get("srcc")
        return -math.inf if estimate is None else estimate.value


@dataclass(frozen=True)
class DuplicatePair:
    """
    Two pictures that show nearly the same.

    Args:
        first (`str`), second (`str`):
            Their ids.
        similarity (`float`):
            At most 1.
    """

    first: str
    second: str
    similarity: float


@dataclass(frozen=True)
class Leakage:
    """
    Test pictures that have a near-duplicate among the training pictures of their fold.

    Args:
        num_leaked (`int`):
            How many there are, in any folding.
        pairs (`list[DuplicatePair]`):
            Near-duplicates, whatever fold they are in.
        srcc_without (`dict[str, Estimate]`):
            SRCC of each row without those test pictures.
    """

    num_leaked: int
    pairs: list[DuplicatePair]
    srcc_without: dict[str, Estimate]


@dataclass(frozen=True)
class TransferCell:
    """
    A model of one part of the collection, tested on another.

    Args:
        srcc (`Estimate`, *optional*):
            On the pictures of the other.
        drop (`Estimate`, *optional*):
            What the model of that part has more, on the same pictures.
    """

    srcc: Estimate | None
    drop: Estimate | None


@dataclass(frozen=True)
class Transfer:
    """
    Whether what an entry learns of one part of the collection holds for another.

    Args:
        entry (`str`), column (`str`):
            Whose recipe, and the column that parts the collection.
        num_pictures (`dict[str, int]`):
            Of each part.
        num_training_pictures (`int`):
            Of each model, on average; the same for all parts.
        cells (`dict[str, dict[str, TransferCell]]`):
            By the part of the training, and that of the test.
    """

    entry: str
    column: str
    num_pictures: dict[str, int]
    num_training_pictures: int
    cells: dict[str, dict[str, TransferCell]]

    @property
    def drops(self) -> list[Estimate]:
        """Those of all cells but the diagonal."""
        found = [cell.drop for name, row in self.cells.items() for other, cell in row.items() if other != name]
        return [drop for drop in found if drop is not None]


@dataclass(frozen=True)
class Leaderboard:
    """
    A collection, and all rows.

    Args:
        collection (`str`), revision (`str`):
            What was rated, and a hash of its ids and ratings.
        num_pictures (`int`), num_groups (`int`):
            Its size; groups are never parted.
        groups (`str`):
            The column of these; `image_id` for random folds.
        num_folds (`int`), seeds (`list[int]`):
            Folds of a folding, and the foldings.
        rows (`list[LeaderboardRow]`):
            Best first, the rows without a rank last.
        command (`str`):
            Command line that repeats it.
        machine (`str`):
            On what the speed was measured.
        reliability (`float`, *optional*):
            Correlation of the mean scores of two panels. The SRCC of a perfect model is its root.
        leakage ([`Leakage`], *optional*):
            Near-duplicates on both sides of a fold.
        transfers (`list[Transfer]`):
            Models of one part of the collection, tested on the others.
        classes (`list[InputSetFigures]`), criteria (`list[InputSetFigures]`):
            What the best row of each class of features tells that the others do not, and each group of hand-crafted
            features, by the criterion that it stands for; `beyond` the best deep row.
    """

    collection: str
    revision: str
    num_pictures: int
    num_groups: int
    groups: str
    num_folds: int
    seeds: list[int]
    rows: list[LeaderboardRow]
    command: str
    machine: str
    reliability: float | None = None
    leakage: Leakage | None = None
    transfers: list[Transfer] = field(default_factory=list)
    classes: list[InputSetFigures] = field(default_factory=list)
    criteria: list[InputSetFigures] = field(default_factory=list)

    @property
    def ranked(self) -> list[LeaderboardRow]:
        """The rows with a rank."""
        return [row for row in self.rows if row.name not in (CONSTANT, SHUFFLED)]

    def row(self, name: str) -> LeaderboardRow | None:
        """The row of that name, if there is one."""
        return next((row for row in self.rows if row.name == name), None)


def read_figures(figures: Mapping[str, Any]) -> dict[str, Estimate | None]:
    """
    The figures of a row.

    Args:
        figures (`Mapping[str, Any]`):
            By name the fields of a [`~hf_aesthetics.evaluation.cross_validation.CrossValidatedFigure`].

    Example:
        >>> read_figures({"srcc": {"value": 0.5, "interval": [0.4, 0.6]}})["srcc"]
        Estimate(value=0.5, low=0.4, high=0.6)
    """
    found: dict[str, Estimate | None] = dict.fromkeys(COLUMNS)
    for name in COLUMNS:
        if name in figures:
            estimate = Estimate(figures[name]["value"], *figures[name]["interval"])
            found[name] = None if any(map(math.isnan, estimate)) else estimate
    return found


def constant_row(
    predictions: OutOfFoldPredictions, bin_scores: ArrayLike, num_resamples: int = 1000
) -> LeaderboardRow:
    """
    The row of whoever does not look: the mean distribution of each fold's training pictures. It orders nothing.

    Args:
        predictions ([`~hf_aesthetics.evaluation.cross_validation.OutOfFoldPredictions`]):
            Of any recipe over the folds.
        bin_scores (array of shape `(num_bins,)`):
            Rating of every bin.
        num_resamples (`int`, *optional*, defaults to 1000):
            Draws of the bootstrap.
    """
    blind = replace(predictions, predicted=predictions.constant, scores=None)
    found = cross_validated_figures(blind, bin_scores, num_resamples, names=("accuracy", "f1", "emd_skill"))
    figures = read_figures({name: figure._asdict() for name, figure in found.items()})
    return LeaderboardRow(CONSTANT, "none", "distribution", figures)


def rank_rows(
    rows: Sequence[LeaderboardRow],
    predictions: Mapping[str, OutOfFoldPredictions],
    bin_scores: ArrayLike,
    num_resamples: int = 1000,
) -> list[LeaderboardRow]:
    """
    Orders rows by SRCC, and compares each with the next. Rows without a rank come last.

    Args:
        rows (`Sequence[LeaderboardRow]`):
            In any order.
        predictions (`Mapping[str, OutOfFoldPredictions]`):
            Of every row that has a rank, over the same folds.
        bin_scores (array of shape `(num_bins,)`):
            Rating of every bin.
        num_resamples (`int`, *optional*, defaults to 1000):
            Draws of the bootstrap.
    """
    last = [row for name in (SHUFFLED, CONSTANT) for row in rows if row.name == name]
    ranked = sorted((row for row in rows if row not in last), key=lambda row: row.srcc, reverse=True)
    for place, (row, following) in enumerate(zip(ranked, ranked[1:], strict=False)):
        first, second = predictions[row.name], predictions[following.name]
        difference = compare_recipes(first, second, bin_scores, num_resamples, names=["srcc"])["srcc"]
        if not math.isnan(difference.difference):
            ahead = Estimate(difference.difference, difference.low, difference.high)
            ranked[place] = replace(row, ahead_of_next=ahead, p_value=difference.p_value)
    return [*ranked, *last]


def conclusions(board: Leaderboard) -> list[str]:
    """
    What a leaderboard says, in sentences that claim no more than its intervals do.

    Args:
        board ([`Leaderboard`]):
            With all rows.
    """
    said = []
    defined = [(row, srcc) for row in board.ranked if (srcc := row.figures["srcc"]) is not None]
    best: dict[str, str] = {}
    for row, srcc in defined:
        best.setdefault(row.features, f"{row.features} features {_words(srcc)} ({row.name})")
    if best:
        said.append(f"SRCC on pictures of groups that no training saw, at best: {'; '.join(best.values())}.")
    beyond_chance = [row.name for row, srcc in defined if srcc.low > 0]
    chance = [row.name for row in board.ranked if row.name not in beyond_chance]
    if chance:
        said.append(f"Not told apart from chance: {', '.join(chance)}.")
    elif defined:
        said.append("Every entry orders new pictures better than chance.")
    first, srcc = defined[0] if defined else (None, None)
    if first is not None and srcc is not None and (trained := first.train_srcc) is not None:
        said.append(
            f"{first.name} reaches {trained:.2f} on its training pictures, so that {trained - srcc.value:.2f} does "
            "not carry over to new ones."
        )
    control = board.row(SHUFFLED)
    if control is not None and (srcc := control.figures["srcc"]) is not None and control.train_srcc is not None:
        leaks = "nothing leaks through the folds" if srcc.low <= 0 else "something leaks through the folds"
        said.append(
            f"With the ratings of other pictures the same network reaches {control.train_srcc:.2f} on its training "
            f"pictures, which is memory alone, and {_words(srcc)} on new ones: {leaks}."
        )
    if board.leakage is not None:
        said.append(_leakage_words(board.leakage))
    for transfer in board.transfers:
        if transfer.drops:
            mean = sum(drop.value for drop in transfer.drops) / len(transfer.drops)
            clear = sum(drop.low > 0 for drop in transfer.drops)
            said.append(
                f"Trained on one part by {transfer.column} and tested on another, {transfer.entry} loses {mean:.2f} "
                f"on average; {clear} of {len(transfer.drops)} losses are clear of 0."
            )
    for found in board.classes:
        if found.unique is not None and found.unique.low > 0:
            said.append(
                f"{found.name.capitalize()} features tell what the other classes do not: R² {_words(found.unique)}."
            )
    return said


def _leakage_words(leakage: Leakage) -> str:
    if not leakage.num_leaked:
        return "No test picture has a near-duplicate in the training part of the fold."
    name, srcc = next(iter(leakage.srcc_without.items()))
    number = leakage.num_leaked
    pictures, them = ("test picture has", "it") if number == 1 else ("test pictures have", "them")
    return (
        f"{number} {pictures} a near-duplicate in the training part of the fold; without {them} {name} has "
        f"{_words(srcc)}."
    )


def _words(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
