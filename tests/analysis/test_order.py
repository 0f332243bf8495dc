"""The order of cues against the paired bootstrap of the metrics, and against planted orders."""

import numpy as np
import pytest
from planted_panels import panel_of

from hf_aesthetics.analysis.order import order_cues
from hf_aesthetics.metrics import bootstrap_interval, spearman_correlation


def seen(
    strengths: dict[str, float], num_images: int = 400, seed: int = 0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Means, and predictions that follow them the better the stronger; noise of their own."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=num_images)
    return means, {name: value * means + rng.normal(size=num_images) for name, value in strengths.items()}


def test_a_difference_and_its_interval_are_those_of_a_paired_bootstrap():
    means, predicted = seen({"depth": 1.0, "blur": 0.6})
    groups = np.random.default_rng(1).integers(50, size=len(means))
    panel = panel_of(means, predicted, groups)
    (order,) = order_cues(panel, num_resamples=200, seed=3)

    def difference(depth, blur, true):
        return spearman_correlation(depth, true) - spearman_correlation(blur, true)

    columns = (panel.predicted_means["depth"], panel.predicted_means["blur"], panel.true_means)
    assert (order.ahead, order.behind, order.num_pairs) == ("depth", "blur", 1)
    assert order.difference.value == pytest.approx(difference(*columns))
    expected = bootstrap_interval(difference, *columns, groups=groups, num_resamples=200, seed=3)
    assert order.difference[1:] == pytest.approx(expected)


def test_an_order_that_another_extractor_turns_round_does_not_hold():
    strengths = {"rgb": 3.0, "saliency": 1.5, "saliency_u2net": 0.4, "depth": 0.8, "blur": 0.1, "constant": 0.0}
    means, predicted = seen(strengths)
    found = {(order.ahead, order.behind): order for order in order_cues(panel_of(means, predicted), num_resamples=300)}
    assert list(found) == [("saliency", "depth"), ("saliency", "blur"), ("depth", "blur")]
    assert [order.holds for order in found.values()] == [False, True, True]
    assert found["saliency", "depth"].num_pairs == 2 and found["saliency", "depth"].difference.value < 0


def test_equals_have_no_order():
    claims = 0
    for seed in range(40):
        means, predicted = seen({"depth": 0.7, "blur": 0.7}, num_images=200, seed=seed)
        claims += order_cues(panel_of(means, predicted), num_resamples=200)[0].holds
    assert claims <= 6, "about one in twenty is to be expected, for the better one is asked whether it is ahead"


def test_cues_that_say_nothing_are_left_out():
    means, predicted = seen({"depth": 1.0})
    assert order_cues(panel_of(means, {**predicted, "blur": 0 * means})) == []
