"""The gate of fast mode: figures computed by hand, and scorers of which it is known what they look at."""

import numpy as np
import pytest
import torch
from PIL import Image
from planted_scorer import PlantedModel
from scipy.stats import spearmanr

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.scoring.fast_mode import check_fast_mode, compare_modes
from hf_aesthetics.scoring.scorer import AestheticScorer, ScorerSpec


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    return 1 + 9 * pixels.mean(dim=(1, 2, 3))


def sharpness(pixels: torch.Tensor) -> torch.Tensor:
    return 1 + 200 * pixels.diff(dim=-1).abs().mean(dim=(1, 2, 3))


def two_modes(formula) -> tuple[AestheticScorer, AestheticScorer]:
    processor = ModalityImageProcessor(size={"height": 32, "width": 32}, do_normalize=False)
    exact, fast = (
        AestheticScorer(PlantedModel(formula), processor, name="planted", device="cpu", mode=mode)
        for mode in ("exact", "fast")
    )
    return exact, fast


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list:
    """JPEG files of grain of many strengths on many greys, ten times the size that the scorers see."""
    generator = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("grain")
    for number in range(40):
        pixels = generator.uniform(30, 220) + generator.uniform(5, 60) * generator.normal(size=(320, 480, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.jpg")
    return sorted(folder.iterdir())


def test_figures_are_those_of_scipy():
    generator = np.random.default_rng(1)
    exact = generator.normal(5, 1, 50)
    fast = exact + generator.normal(0, 0.1, 50)
    agreement = compare_modes(exact, fast)
    assert agreement.mean_difference == pytest.approx(np.abs(exact - fast).mean())
    assert agreement.max_difference == pytest.approx(np.abs(exact - fast).max())
    assert agreement.srcc == pytest.approx(spearmanr(exact, fast).statistic)
    assert agreement.num_pictures == 50


@pytest.mark.parametrize(("exact", "fast"), [([1.0, 2.0], [1.0]), ([1.0], [1.0]), ([], [])])
def test_too_few_or_unequal_scores_are_refused(exact, fast):
    with pytest.raises(ValueError, match="two or more pictures, got shapes"):
        compare_modes(exact, fast)


def test_a_scorer_of_brightness_may_be_fast(pictures):
    agreement = check_fast_mode(*two_modes(brightness), [pictures[0].with_name("gone.jpg"), *pictures, b"none"])
    assert agreement.num_pictures == len(pictures)
    assert 0 < agreement.mean_difference < 0.02 and agreement.srcc > 0.999


def test_a_scorer_of_detail_may_not_and_the_figures_are_told(pictures):
    exact, fast = two_modes(sharpness)
    scores = [[record["score"] for record in scorer.score(pictures)] for scorer in (exact, fast)]
    agreement = compare_modes(*scores)
    assert agreement.mean_difference > 0.02
    with pytest.raises(ValueError, match=f"got mean .difference. {agreement.mean_difference:.4f}.*mode='exact'"):
        check_fast_mode(exact, fast, pictures)
    assert check_fast_mode(exact, fast, pictures, max_difference=1, min_srcc=0.5) == agreement


def test_scorers_that_rank_nothing_do_not_pass(pictures):
    with pytest.raises(ValueError, match="Spearman's correlation nan"):
        check_fast_mode(*two_modes(lambda pixels: 5 + 0 * pixels.mean(dim=(1, 2, 3))), pictures[:5])


def test_two_checkpoints_are_not_two_modes(pictures, tiny_checkpoint):
    exact, _ = two_modes(brightness)
    with pytest.raises(ValueError, match="got planted and nima-tiny@"):
        check_fast_mode(exact, ScorerSpec(str(tiny_checkpoint), device="cpu", mode="fast"), pictures)
