"""Rendered series: what differs is planted, and half the resolution does not show it."""

import numpy as np
import pytest
import torch

from hf_aesthetics.data.rendering.series import SIDES, render_series
from hf_aesthetics.data.series_collections import load_series_collection
from hf_aesthetics.data.synthetic_series import CAPTIONS, load_synthetic_series
from hf_aesthetics.models.diff_tokens import cut_patches, shrink_patches


def as_patches(pixels: np.ndarray) -> torch.Tensor:
    return cut_patches(torch.from_numpy(pixels.copy()).permute(2, 0, 1), 32).float() / 255


@pytest.mark.parametrize("seed", range(4))
def test_only_the_detail_differs_and_half_the_resolution_does_not_show_it(seed):
    series = render_series(seed)
    first, *others = series.pictures
    row, column, side = series.detail
    window = np.s_[row : row + side, column : column + side]
    for sharpness, picture in zip(series.sharpness[1:], others, strict=True):
        outside = np.ones(first.shape[:2], bool)
        outside[window] = False
        assert np.array_equal(first[outside], picture[outside])
        contrast = np.abs(first[window].astype(int) - picture[window]).mean() / 255
        assert contrast == pytest.approx(0.15 * (1 - sharpness), abs=0.055 * (1 - sharpness) + 0.01)
        coarse = (shrink_patches(as_patches(first)) - shrink_patches(as_patches(picture))).abs()
        # away from the edge of the weave, where a filter sees a half of a thread
        assert coarse.mean() < 0.02 * (as_patches(first) - as_patches(picture)).abs().mean() + 1e-3
        assert coarse.max() < 0.3 * contrast + 0.01


def test_a_seed_is_a_series():
    once, again, other = render_series(5), render_series(5), render_series(6)
    assert all(np.array_equal(a, b) for a, b in zip(once.pictures, again.pictures, strict=True))
    assert not np.array_equal(once.pictures[0], other.pictures[0][: once.pictures[0].shape[0]])
    assert {side for seed in range(12) for side in render_series(seed, 2).pictures[0].shape[:2]} == set(SIDES)


def test_cut_pictures_keep_the_detail_and_differ_in_width():
    widths = set()
    for seed in range(6):
        series = render_series(seed, do_cut=True)
        _, column, side = series.detail
        assert all(column + side <= picture.shape[1] for picture in series.pictures)
        widths.add(len({picture.shape[1] for picture in series.pictures}))
    assert max(widths) > 1


def test_a_distracting_detail_is_on_the_right_and_has_nothing_to_do_with_the_rank():
    for seed in range(4):
        series = render_series(seed, do_distract=True)
        _, column, side = series.detail
        middle = series.pictures[0].shape[1] // 2
        assert column + side <= middle + side
        right = [
            np.abs(picture[:, -middle:].astype(int) - series.pictures[0][:, -middle:]).sum()
            for picture in series.pictures
        ]
        assert min(right[1:]) > 0


def test_rows_are_ranked_and_compared():
    series = load_synthetic_series(3, 1, 2, num_pictures=4)
    train = series.pictures["train"]
    assert train["series_rank"][:4] == [0, 1, 2, 3] and len(set(train["series_id"])) == 3
    assert not set(train["image_id"]) & set(series.pictures["test"]["image_id"])
    rank = dict(zip(train["image_id"], train["series_rank"], strict=True))
    assert len(series.pairs["train"]) == 3 * 6
    for pair in series.pairs["train"]:
        is_better = rank[pair["image_a"]] < rank[pair["image_b"]]
        assert pair["preference"] == is_better and pair["caption"] == CAPTIONS[is_better]
    assert {pair["preference"] for pair in series.pairs["train"]} == {0.0, 1.0}
    for rank, pixels in enumerate(render_series(0, 4).pictures):
        assert np.array_equal(np.asarray(train[rank]["image"]), pixels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("folder",), "'folder' need the folder.*--series_dir"),
        (("burst",), "fgaesthetics, folder, pairs, synthetic, got 'burst'"),
        (("fgaesthetics", "."), "--series_picture_name"),
    ],
)
def test_series_that_cannot_be_found_say_what_is_missing(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_series_collection(*arguments)
    with pytest.raises(ValueError, match="got 1 and 24"):
        render_series(0, 1)
