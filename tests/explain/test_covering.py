import numpy as np
import pytest
import torch
from planted_scorer import planted_scorer

from hf_aesthetics.explain import Prediction, covering_cost


SIDE = 40


def light_in_the_window(pixels: torch.Tensor) -> torch.Tensor:
    """Looks at a window of 12 x 12 pixels and nowhere else."""
    return pixels[:, :, 4:16, 4:16].mean(dim=(1, 2, 3))


def prediction_of(formula) -> Prediction:
    pixels = torch.zeros(1, 3, SIDE, SIDE)
    pixels[:, :, 4:16, 4:16] = 1
    return Prediction(planted_scorer(formula).model, {"pixel_values": pixels})


def heat_of(rows: slice, columns: slice) -> np.ndarray:
    heat = np.zeros((SIDE, SIDE), dtype=np.float32)
    heat[rows, columns] = 1
    return heat


def test_the_place_that_matters_costs_what_it_is_worth():
    cost = covering_cost(prediction_of(light_in_the_window), heat_of(slice(4, 16), slice(4, 16)), share=144 / SIDE**2)
    assert cost.hottest == pytest.approx(1 - 144 / SIDE**2)  # white, but for the mean colour of the picture
    assert cost.elsewhere < 0.2 * cost.hottest and cost.share_below == 1 and cost.is_telling
    assert str(cost).startswith("Covering what is marked most, 9 % of the picture, costs 0.91;")


def test_a_place_that_does_not_matter_is_called_so():
    cost = covering_cost(prediction_of(light_in_the_window), heat_of(slice(24, 36), slice(24, 36)))
    assert cost.hottest == 0 and not cost.is_telling
    assert "say little" in str(cost)


def test_where_every_place_is_alike_none_is_telling():
    flat = covering_cost(prediction_of(lambda pixels: 0 * pixels.mean(dim=(1, 2, 3))), heat_of(slice(4), slice(4)))
    assert (flat.hottest, flat.elsewhere, flat.is_telling) == (0, 0, False)


def test_heat_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(40, 40\), got \(8, 8\)"):
        covering_cost(prediction_of(light_in_the_window), np.zeros((8, 8)))
