import math

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from hf_aesthetics.metrics import vote_resampling_ceiling


BINS = np.arange(1, 11)


def votes(num_images: int, num_votes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns the true means and the histograms of `num_votes` votes drawn around them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(5.5, 0.7, size=num_images)
    edges = np.concatenate([[-np.inf], np.arange(1.5, 10), [np.inf]])
    distributions = np.diff(norm.cdf((edges - centres[:, None]) / 1.4), axis=1)
    return distributions @ BINS, rng.multinomial(num_votes, distributions)


@pytest.mark.parametrize("num_votes", [5, 30, 200])
def test_agrees_with_normal_theory(num_votes):
    _, counts = votes(num_images=2000, num_votes=num_votes)
    shares = counts / num_votes
    means = shares @ BINS
    noise = (shares @ BINS**2 - means**2).mean() / num_votes
    pearson = math.sqrt(means.var() / (means.var() + noise))
    expected = 6 / math.pi * math.asin(pearson / 2)
    assert vote_resampling_ceiling(counts, BINS, num_resamples=20) == pytest.approx(expected, abs=0.015)


def test_grows_with_the_number_of_votes():
    ceilings = [vote_resampling_ceiling(votes(500, n)[1], BINS, num_resamples=10) for n in (5, 20, 100, 1000)]
    assert ceilings == sorted(ceilings)
    assert ceilings[-1] > 0.99


def test_is_optimistic_about_few_votes():
    true_mean, counts = votes(num_images=3000, num_votes=8)
    reached_by_the_truth = spearmanr(true_mean, counts @ BINS).statistic
    assert reached_by_the_truth < vote_resampling_ceiling(counts, BINS, num_resamples=10) < 1


def test_same_seed_same_value():
    _, counts = votes(num_images=50, num_votes=10)
    first, again, other = (vote_resampling_ceiling(counts, BINS, num_resamples=3, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_equal_pictures_have_no_ceiling():
    assert math.isnan(vote_resampling_ceiling([[5, 5], [5, 5], [5, 5]], [1, 2]))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="whole numbers of votes, got 0.5 in row 0"):
        vote_resampling_ceiling([[0.5, 0.5], [1, 0]], [1, 2])
    with pytest.raises(ValueError, match="`num_resamples` must be at least 1, got 0"):
        vote_resampling_ceiling([[5, 5], [1, 0]], [1, 2], num_resamples=0)
