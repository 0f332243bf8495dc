"""The panel of modalities: what it refuses, and what it makes of cross-validated predictions."""

from dataclasses import replace

import numpy as np
import pytest
from planted_panels import BINS, distributions, panel_of

from hf_aesthetics.analysis.panel import ModalityPanel
from hf_aesthetics.evaluation.cross_validation import OutOfFoldPredictions


MEANS = np.linspace(-1, 1, 6)


def two_foldings(shift: float = 0.0) -> OutOfFoldPredictions:
    predicted = np.stack([distributions(MEANS + shift), distributions(MEANS - 0.5)])
    constant = np.stack([distributions(np.full(6, mean)) for mean in (0.0, 0.1)])
    ids = np.array(list("abcdef"))
    return OutOfFoldPredictions(ids, np.arange(6) // 2, distributions(MEANS), (0, 3), predicted, constant)


def test_foldings_are_averaged():
    panel = ModalityPanel.from_predictions({"rgb": two_foldings(), "depth": two_foldings(1.0)}, BINS, np.full(6, 50))
    shares = (distributions(MEANS + 1) + distributions(MEANS - 0.5)) / 2
    np.testing.assert_allclose(panel.predicted["depth"], shares, atol=1e-12)
    np.testing.assert_allclose(panel.predicted_means["depth"], shares @ BINS, atol=1e-9)
    np.testing.assert_allclose(panel.true_means, distributions(MEANS) @ BINS, atol=1e-9)
    assert panel.modalities == ("rgb", "depth") and panel.num_votes.tolist() == [50] * 6


@pytest.mark.parametrize(
    "change, named",
    [
        ({"image_ids": np.array(list("abcdeg"))}, "image_ids"),
        ({"groups": np.arange(6)}, "groups"),
        ({"seeds": (0, 4)}, "seeds"),
        ({"target": distributions(MEANS + 0.1)}, "target"),
    ],
)
def test_modalities_of_other_pictures_or_folds_are_refused(change, named):
    with pytest.raises(ValueError, match=f"same `{named}`, but those of 'rgb' .* and 'blur'"):
        ModalityPanel.from_predictions({"rgb": two_foldings(), "blur": replace(two_foldings(), **change)}, BINS)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"predicted": {}}, "at least one modality"),
        (
            {"predicted": {"constant": np.full((5, 10), 0.1)}},
            r"`constant` .* shape .*\(6, 10\), got \(5, 10",
        ),
        ({"predicted": {"depth": np.full((6, 5), 0.2)}}, r"`depth` must have the shape"),
        ({"predicted": {"depth": np.full((6, 10), 0.2)}}, "Rows of `depth` must sum to 1"),
        ({"image_ids": np.array(list("abcdea"))}, "each picture once, got 'a'"),
        ({"groups": np.arange(5)}, "`groups` 5"),
        ({"num_votes": np.array([3, 0, 3, 3, 3, 3])}, "at least 1, got 0"),
        ({"bin_scores": np.arange(9)}, "10 bins"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(panel_of(MEANS, {"depth": MEANS}), **change)


def test_cues_are_what_shows_part_of_a_picture():
    names = ["rgb", "gray", "constant", "rgb+depth", "depth", "saliency_u2net", "graylevels"]
    panel = panel_of(MEANS, dict.fromkeys(names, MEANS))
    assert panel.cues == ("depth", "saliency_u2net", "graylevels")
    assert panel.select(["depth", "rgb"]).modalities == ("depth", "rgb")
    with pytest.raises(KeyError, match="'blur' is not a modality of the panel"):
        panel.select(["blur"])
