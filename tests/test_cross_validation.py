"""Cross-validation against scikit-learn, scipy and planted truths."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold

from hf_aesthetics.evaluation.cross_validation import (
    OutOfFoldPredictions,
    compare_recipes,
    cross_validated_figures,
    explained_share,
    grouped_folds,
)


BINS = np.arange(1, 8)
GROUPS = np.array([f"theme {index}" for index in np.random.default_rng(0).integers(40, size=200)])


def distributions(means: np.ndarray, stds: np.ndarray) -> np.ndarray:
    """Discretised normal distributions on the seven bins."""
    edges = stats.norm.cdf((np.arange(1.5, 7) - means[:, None]) / stds[:, None])
    return np.diff(edges, axis=1, prepend=0, append=1)


def planted_table(noises: list[float], seed: int = 0) -> pa.Table:
    """Two foldings of predictions that are the truth with noise of these deviations; ids are not in order."""
    rng = np.random.default_rng(1)
    means, stds = rng.normal(4, 0.8, 200), rng.uniform(0.8, 1.6, 200)
    shares, rows = distributions(means, stds), []
    rng = np.random.default_rng([2, seed])
    for folding, noise in enumerate(noises):
        for fold, test in enumerate(np.array_split(rng.permutation(200), 5)):
            predicted = distributions(means[test] + rng.normal(0, noise, len(test)), stds[test])
            constant = distributions(np.array([3.0 + fold / 2]), np.array([1.2]))[0]
            rows += [
                {
                    "image_id": f"I{row}",
                    "group": GROUPS[row],
                    "seed": folding,
                    "distribution": distribution.tolist(),
                    "constant": constant.tolist(),
                    "vote_shares": shares[row].tolist(),
                }
                for row, distribution in zip(test, predicted, strict=True)
            ]
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize("seed", range(3))
def test_test_parts_are_those_of_scikit_learn(seed):
    theirs = GroupKFold(n_splits=5, shuffle=True, random_state=seed).split(GROUPS, groups=GROUPS)
    for fold, (_, test) in zip(grouped_folds(GROUPS, 5, seed), theirs, strict=True):
        np.testing.assert_array_equal(fold.test, test)


def test_no_group_and_no_picture_lies_in_two_parts():
    folds = grouped_folds(GROUPS, 5, seed=1, validation_share=0.2)
    for fold in folds:
        assert sorted(np.concatenate(fold)) == list(range(200))
        parts = [set(GROUPS[part]) for part in fold]
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
        assert len(parts[1]) == pytest.approx(0.2 * (len(parts[0]) + len(parts[1])), abs=1)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(200))


def test_another_seed_is_another_folding_and_the_same_seed_the_same():
    first, again, other = (grouped_folds(GROUPS, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.validation, b.validation) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))


def test_ids_as_groups_make_random_folds():
    folds = grouped_folds([f"I{row}" for row in range(200)], 5)
    assert {len(fold.test) for fold in folds} == {40}
    assert any(set(GROUPS[fold.test]) & set(GROUPS[fold.train]) for fold in folds)


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="n_splits=5 greater than the number of groups: 2"):
        grouped_folds(["lake", "dog", "dog"] * 3, 5)


def test_figures_are_those_of_scipy_over_all_pooled_predictions():
    table = planted_table([0.3, 0.8])
    figures = cross_validated_figures(OutOfFoldPredictions.from_table(table), BINS, num_resamples=20)
    for folding in (0, 1):
        rows = [row for row in table.to_pylist() if row["seed"] == folding]
        predicted, constant, truth = (
            np.array([row[name] for row in rows]) for name in ("distribution", "constant", "vote_shares")
        )
        means = [each @ BINS for each in (predicted, truth)]
        high = [each > BINS[(len(BINS) - 1) // 2] for each in means]
        stds = [np.sqrt(each @ BINS**2 - (each @ BINS) ** 2) for each in (predicted, truth)]
        errors, of_constant = (
            np.mean([stats.wasserstein_distance(BINS, BINS, p, q) for p, q in zip(each, truth, strict=True)])
            for each in (predicted, constant)
        )
        expected = {
            "srcc": stats.spearmanr(*means).statistic,
            "plcc": stats.pearsonr(*means).statistic,
            "krcc": stats.kendalltau(*means).statistic,
            "accuracy": np.mean(high[0] == high[1]),
            "f1": f1_score(high[1], high[0]),
            "srcc_std": stats.spearmanr(*stds).statistic,
            "emd_skill": 1 - errors / of_constant,
        }
        assert {name: figure.by_folding[folding] for name, figure in figures.items()} == pytest.approx(
            expected, abs=1e-9
        )
    for figure in figures.values():
        assert figure.value == pytest.approx(np.mean(figure.by_folding))
        assert figure.interval[0] < figure.value <= figure.interval[1]


@pytest.mark.parametrize("broken", ["missing", "twice"])
def test_a_folding_that_is_not_whole_is_refused(broken):
    table = planted_table([0.3, 0.3])
    table = table.slice(0, 399) if broken == "missing" else pa.concat_tables([table, table.slice(399)])
    with pytest.raises(ValueError, match=r"seed 1 has (199 rows of 199|201 rows of 200) pictures"):
        OutOfFoldPredictions.from_table(table)


def test_the_better_recipe_is_ahead_and_equal_ones_are_not():
    better, worse = (OutOfFoldPredictions.from_table(planted_table([noise] * 2)) for noise in (0.3, 0.8))
    ahead = compare_recipes(better, worse, BINS, num_resamples=200)
    for name in ("srcc", "plcc", "emd_skill"):
        assert ahead[name].low > 0 and ahead[name].p_value < 0.05, name
    behind = compare_recipes(worse, better, BINS, num_resamples=200)
    assert behind["srcc"].difference == pytest.approx(-ahead["srcc"].difference)
    for difference in compare_recipes(better, better, BINS, num_resamples=50).values():
        assert difference.difference == difference.low == difference.high == 0


def test_only_common_foldings_are_compared():
    both = OutOfFoldPredictions.from_table(planted_table([0.3, 0.8]))
    second = both.select_seeds([1])
    assert second.predicted.shape == (1, 200, 7)
    for difference in compare_recipes(both, second, BINS, num_resamples=20).values():
        assert difference.difference == 0
    with pytest.raises(ValueError, match=r"share a folding, got the seeds \(0,\) and \(1,\)"):
        compare_recipes(both.select_seeds([0]), second, BINS)


def test_other_pictures_cannot_be_compared():
    table = planted_table([0.3])
    fewer = table.filter(pa.compute.not_equal(table["image_id"], "I7"))
    with pytest.raises(ValueError, match=r"image_ids differ \(200 and 199 pictures\)"):
        compare_recipes(*(OutOfFoldPredictions.from_table(each) for each in (table, fewer)), BINS)


def test_who_knows_the_true_mean_explains_all_there_is_to_explain():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20_000)
    first, second = (truth + rng.normal(0, 0.7, 20_000) for _ in range(2))
    reliability = stats.pearsonr(first, second).statistic
    assert explained_share(stats.pearsonr(truth, first).statistic, reliability) == pytest.approx(1, abs=0.02)
    half = truth + rng.normal(0, 1, 20_000)  # explains half of the variance of the truth
    assert explained_share(stats.pearsonr(half, first).statistic, reliability) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("reliability", [0.0, 1.2])
def test_an_impossible_reliability_is_refused(reliability):
    with pytest.raises(ValueError, match=rf"in \(0, 1\], got {reliability}"):
        explained_share(0.7, reliability)
