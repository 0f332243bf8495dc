import numpy as np
import pytest
from scipy.stats import spearmanr

from hf_aesthetics.analysis.trends import NUM_PARTS, find_trends


@pytest.fixture(scope="module")
def blur() -> np.ndarray:
    """Maps of which a growing part is blurred, in mixed order."""
    maps = np.zeros((80, 64, 64), np.uint8)
    for row, share in enumerate(np.random.default_rng(0).permutation(80)):
        maps[row, : int(64 * share / 80)] = 255
    return maps


def test_parts_hold_the_mean_scores_of_equally_many_pictures(blur):
    share = (blur > 128).mean(axis=(1, 2))
    (trend,) = find_trends({"blur": blur}, share**2, num_resamples=100)
    assert trend.correlation.value == pytest.approx(spearmanr(share, share**2).statistic)
    assert trend.correlation.low <= trend.correlation.value <= trend.correlation.high
    by_share = np.sort(share**2).reshape(NUM_PARTS, -1).mean(axis=1)
    np.testing.assert_allclose(trend.means, by_share, atol=1e-3)
    assert all(low < mean < high for low, mean, high in zip(trend.lows, trend.means, trend.highs, strict=True))
    assert (np.diff(trend.centers) > 0).all()


def test_what_does_not_vary_has_no_trend(blur):
    (trend,) = find_trends({"blur": np.zeros_like(blur)}, np.arange(80.0))
    assert trend.correlation is None and trend.means == []
    (trend,) = find_trends({"blur": blur}, np.ones(80))
    assert trend.correlation is None


def test_groups_widen_the_interval(blur):
    score = (blur > 128).mean(axis=(1, 2)) + 0.3 * np.random.default_rng(1).standard_normal(80)
    twice, scores = np.repeat(blur, 3, axis=0), np.repeat(score, 3)
    themes = np.repeat(np.arange(80), 3)
    (alone,), (grouped,) = (find_trends({"blur": twice}, scores, g, num_resamples=200) for g in (None, themes))
    width = [trend.correlation.high - trend.correlation.low for trend in (alone, grouped)]
    assert width[1] > 1.4 * width[0]


def test_the_first_modality_of_a_cue_counts(blur):
    (trend,) = find_trends({"blur_laplacian": blur, "blur": 255 - blur}, np.arange(80.0), num_resamples=10)
    assert trend.modality == "blur_laplacian"
