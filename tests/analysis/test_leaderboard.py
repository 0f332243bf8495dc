from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from hf_aesthetics.analysis.findings import Estimate, load_findings, save_findings
from hf_aesthetics.analysis.leaderboard import (
    CONSTANT,
    SHUFFLED,
    DuplicatePair,
    Leaderboard,
    LeaderboardRow,
    Leakage,
    conclusions,
    constant_row,
    rank_rows,
    read_figures,
)
from hf_aesthetics.evaluation.cross_validation import OutOfFoldPredictions, cross_validated_figures


BINS = [1.0, 2.0, 3.0]


def out_of_fold(noise: float, num_images: int = 200) -> OutOfFoldPredictions:
    """Predictions of the share of 3 as votes have it, the worse, the more noise."""
    generator = np.random.default_rng(0)
    truth = generator.uniform(0.1, 0.7, num_images)
    said = np.clip(truth + noise * generator.normal(size=num_images), 0.01, 0.79)

    def distribution(high: np.ndarray) -> np.ndarray:
        return np.stack([0.8 - high, np.full_like(high, 0.2), high], axis=1)

    target = distribution(truth)
    constant = np.broadcast_to(target.mean(axis=0), (1, num_images, 3))
    ids = np.array([f"{number:03}" for number in range(num_images)])
    return OutOfFoldPredictions(ids, ids, target, (0,), distribution(said)[None], constant)


def make_row(name: str, predictions: OutOfFoldPredictions, **fields) -> LeaderboardRow:
    figures = {key: value._asdict() for key, value in cross_validated_figures(predictions, BINS, 200).items()}
    return LeaderboardRow(name, "deep", "distribution", read_figures(figures), **fields)


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    predictions = {"weak": out_of_fold(0.3), "good": out_of_fold(0.05), "useless": out_of_fold(1e6)}
    rows = [constant_row(predictions["weak"], BINS, 200), make_row(SHUFFLED, predictions["useless"], train_srcc=0.9)]
    rows += [make_row(name, each, train_srcc=0.95) for name, each in predictions.items()]
    ranked = rank_rows(rows, predictions, BINS, 200)
    return Leaderboard("parks", "1f00", 200, 200, "image_id", 5, [0], ranked, "python", "one core", 0.98)


def test_rows_are_ordered_and_compared_with_the_next(board):
    assert [row.name for row in board.rows] == ["good", "weak", "useless", SHUFFLED, CONSTANT]
    good, weak = (out_of_fold(noise) for noise in (0.05, 0.3))
    srcc = [spearmanr(each.predicted[0] @ BINS, each.target @ BINS).statistic for each in (good, weak)]
    assert board.rows[0].srcc == pytest.approx(srcc[0]) and board.rows[1].srcc == pytest.approx(srcc[1])
    ahead = board.rows[0].ahead_of_next
    assert ahead.value == pytest.approx(srcc[0] - srcc[1]) and 0 < ahead.low < ahead.value < ahead.high
    assert board.rows[0].p_value < 0.02
    assert board.rows[2].ahead_of_next is None  # there is no next one with a rank


def test_whoever_does_not_look_orders_nothing(board):
    figures = board.row(CONSTANT).figures
    assert figures["srcc"] is None and figures["emd_skill"] == Estimate(0.0, 0.0, 0.0)
    target = out_of_fold(0.3).target
    is_high = (target @ BINS) > 2
    agrees = is_high.mean() if (target.mean(axis=0) @ BINS) > 2 else 1 - is_high.mean()
    assert figures["accuracy"].value == pytest.approx(agrees)


def test_sentences_follow_from_the_intervals(board):
    said = " ".join(conclusions(board))
    assert "Not told apart from chance: useless." in said and "nothing leaks through the folds" in said
    assert f"good reaches 0.95 on its training pictures, so that {0.95 - board.rows[0].srcc:.2f} does not" in said
    leaking = [
        replace(row, figures={**row.figures, "srcc": Estimate(0.3, 0.2, 0.4)}) if row.name == SHUFFLED else row
        for row in board.rows
    ]
    said = " ".join(conclusions(replace(board, rows=leaking)))
    assert "something leaks through the folds" in said
    without = [row for row in board.rows if row.name != "useless"]
    assert "Every entry orders new pictures better than chance." in conclusions(replace(board, rows=without))


def test_near_duplicates_are_told_whether_there_are_any_or_none(board):
    none = replace(board, leakage=Leakage(0, [], {}))
    assert "No test picture has a near-duplicate in the training part of the fold." in conclusions(none)
    some = Leakage(2, [DuplicatePair("001", "002", 0.97)], {"good": Estimate(0.8, 0.7, 0.9)})
    assert "2 test pictures have a near-duplicate" in conclusions(replace(board, leakage=some))[-1]
    assert conclusions(replace(board, leakage=some))[-1].endswith("without them good has 0.80 [0.70, 0.90].")


def test_a_leaderboard_survives_its_file(board, tmp_path):
    full = replace(board, leakage=Leakage(1, [DuplicatePair("001", "002", 0.97)], {"good": Estimate(0.8, 0.7, 0.9)}))
    save_findings(tmp_path / "leaderboard.json", full)
    assert load_findings(tmp_path / "leaderboard.json", Leaderboard) == full
