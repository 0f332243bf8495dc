import numpy as np
import pytest
from scipy import stats

from hf_aesthetics.data.rater_panel import (
    DEFAULT_CAUSES,
    RaterPanel,
    _ranks,
    split_half_ceiling,
    split_half_correlation,
)
from hf_aesthetics.data.rendering import CAUSES


@pytest.fixture(scope="module")
def causes():
    """Independent causes of 1000 pictures."""
    rng = np.random.default_rng(5)
    return {name: np.clip(rng.normal(cause.mean, cause.std, 1000), 0, 1) for name, cause in CAUSES.items()}


@pytest.mark.parametrize("name", CAUSES)
def test_a_panel_that_looks_at_one_cause_follows_it_alone(causes, name):
    mean = RaterPanel(causes={name: 1.0}).rate(causes).ratings.mean(axis=1)
    for other, values in causes.items():
        correlation = stats.spearmanr(mean, values).statistic
        assert correlation > 0.95 if other == name else abs(correlation) < 0.12


def test_weights_are_the_shares_of_the_causes(causes):
    panel = RaterPanel(causes={"focus": 3.0, "depth": -4.0})
    quality = panel.quality(causes)
    assert np.corrcoef(quality, causes["focus"])[0, 1] == pytest.approx(0.6, abs=0.05)
    assert np.corrcoef(quality, causes["depth"])[0, 1] == pytest.approx(-0.8, abs=0.05)
    assert quality.std() == pytest.approx(1, abs=0.08)
    np.testing.assert_allclose(RaterPanel(causes={"focus": 6.0, "depth": -8.0}).quality(causes), quality)


def test_default_panel_votes_like_ava(causes):
    ratings = RaterPanel().rate(causes).ratings
    assert ratings.mean() == pytest.approx(5.4, abs=0.15)
    assert 0.7 < ratings.mean(axis=1).std() < 0.9
    assert ratings.std(axis=1).mean() == pytest.approx(1.4, abs=0.1)
    assert len(DEFAULT_CAUSES) >= 3


def test_the_spread_of_the_votes_follows_the_causes_of_disagreement_and_the_mean_does_not(causes):
    plain, contested = RaterPanel(), RaterPanel(disagreement_causes={"light": 1.0}, disagreement_spread=0.3)
    before, after = plain.rate(causes).ratings, contested.rate(causes).ratings
    assert abs(stats.spearmanr(before.std(axis=1), causes["light"]).statistic) < 0.2
    assert stats.spearmanr(after.std(axis=1), causes["light"]).statistic > 0.85
    assert stats.pearsonr(before.mean(axis=1), after.mean(axis=1)).statistic > 0.98
    # noise with e^0.3 times the deviation where the light is one deviation above the average; the rest is rater bias
    share = (causes["light"] - CAUSES["light"].mean) / CAUSES["light"].std
    expected = 9 * np.sqrt(0.06**2 + (0.135 * np.exp(0.3 * share)) ** 2)
    np.testing.assert_allclose(after.std(axis=1).mean(), expected.mean(), rtol=0.06)


@pytest.mark.parametrize(("min_score", "max_score", "num_bins"), [(1, 10, 10), (1, 7, 7), (1, 5, 9)])
def test_votes_are_ratings_on_the_scale(causes, min_score, max_score, num_bins):
    panel = RaterPanel(num_raters=30, min_score=min_score, max_score=max_score, num_bins=num_bins, rater_noise=0.3)
    ratings, vote_counts = panel.rate(causes)
    assert vote_counts.dtype == np.int32 and vote_counts.shape == (1000, num_bins)
    assert (vote_counts.sum(axis=1) == 30).all()
    bins = np.linspace(min_score, max_score, num_bins)
    assert set(np.unique(ratings)) == set(bins)
    np.testing.assert_allclose(vote_counts @ bins / 30, ratings.mean(axis=1), rtol=1e-5)


def test_votes_on_a_picture_do_not_depend_on_the_pictures_beside_it(causes):
    panel = RaterPanel()
    everything = panel.rate(causes, range(1000))
    some = panel.rate({name: values[[700, 3]] for name, values in causes.items()}, [700, 3])
    np.testing.assert_array_equal(some.ratings, everything.ratings[[700, 3]])
    np.testing.assert_array_equal(some.vote_counts, everything.vote_counts[[700, 3]])


def test_seed_chooses_the_raters(causes):
    first, again, others = (RaterPanel(seed=seed).rate(causes).ratings for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != others).mean() > 0.3


def test_a_rater_keeps_bias_and_scale(causes):
    ratings = RaterPanel(causes={"focus": 1.0}, rater_bias=0.1, rater_scale=0.5, rater_noise=0.05).rate(causes).ratings
    # the same raters are harsh in both halves of the pictures, and the same use more of the scale
    for statistic in (np.mean, np.std):
        halves = statistic(ratings[:500], axis=0), statistic(ratings[500:], axis=0)
        assert np.corrcoef(*halves)[0, 1] > 0.9


def test_panel_keeps_the_weights_it_was_made_with(causes):
    weights = {"focus": 1.0}
    panel = RaterPanel(causes=weights)
    before = panel.quality(causes)
    weights["light"] = 5.0
    np.testing.assert_array_equal(panel.quality(causes), before)


def test_ceiling_of_raters_who_all_agree_is_1(causes):
    ratings = RaterPanel(rater_bias=0, rater_scale=0, rater_noise=0).rate(causes).ratings
    assert split_half_ceiling(ratings) == pytest.approx(1, abs=1e-12)


def test_ceiling_of_noise_is_0(causes):
    ratings = RaterPanel(quality_spread=0).rate(causes).ratings
    assert abs(split_half_ceiling(ratings)) < 0.08


@pytest.mark.parametrize("num_raters", [6, 20, 120])
def test_ceiling_is_how_well_another_panel_of_that_size_ranks_the_pictures(causes, num_raters):
    # who rates whom is noise alone here, so another seed of the pictures is another panel
    panel = RaterPanel(num_raters=num_raters, rater_scale=0.0)
    first, second = (panel.rate(causes, range(start, start + 1000)).ratings for start in (0, 5000))
    expected = stats.spearmanr(first.mean(axis=1), second.mean(axis=1)).statistic
    assert split_half_ceiling(first, num_splits=40) == pytest.approx(expected, abs=0.04)
    assert split_half_correlation(first) < split_half_ceiling(first)


def test_split_half_correlation_averages_spearman_over_random_halves(causes):
    ratings = RaterPanel(num_raters=15).rate(causes).ratings[:80]
    rng = np.random.Generator(np.random.PCG64(4))
    correlations = []
    for _ in range(5):
        order = rng.permutation(15)
        first, second = (ratings[:, order[part]].mean(axis=1, dtype=np.float64) for part in (slice(7), slice(7, 14)))
        correlations.append(stats.spearmanr(first, second).statistic)
    assert split_half_correlation(ratings, num_splits=5, seed=4) == pytest.approx(np.mean(correlations), abs=1e-9)


def test_ranks_share_ties():
    values = np.random.default_rng(0).integers(0, 5, 60)
    np.testing.assert_array_equal(_ranks(values), stats.rankdata(values) - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"causes": {"focus": 1, "sharpnes": 1}}, r"'colour', 'composition', .*got \['sharpnes'\]"),
        ({"causes": {"focus": 0.0}}, r"differ from 0, got \{'focus': 0.0\}"),
        ({"num_raters": 1}, "at least 2, got 1"),
        ({"rater_noise": -0.1}, r"`rater_noise` .* got -0.1"),
        ({"num_bins": 1}, "at least 2 bins, got 1"),
        ({"min_score": 5, "max_score": 1}, "exceed `min_score`, got 1 and 5"),
    ],
)
def test_impossible_panels_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RaterPanel(**arguments)


def test_missing_causes_and_seeds_are_named():
    panel = RaterPanel(causes={"focus": 1, "light": 1})
    with pytest.raises(KeyError, match=r"\['light'\] are not among \['focus'\]"):
        panel.rate({"focus": [0.5]})
    with pytest.raises(ValueError, match="each of 2 pictures, got 1"):
        panel.rate({"focus": [0.5, 0.6], "light": [0.5, 0.6]}, [3])


@pytest.mark.parametrize("shape", [(5,), (1, 8), (8, 1)])
def test_ceiling_needs_raters_and_pictures(shape):
    with pytest.raises(ValueError, match=r"at least 2 of each, got \(\d"):
        split_half_ceiling(np.ones(shape))
