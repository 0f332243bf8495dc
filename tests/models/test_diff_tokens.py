"""Tokens of two sizes: nothing of a picture is lost or seen twice, and every position is that of its pixels."""

from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

from hf_aesthetics import FgaesqImageProcessor
from hf_aesthetics.models.diff_tokens import (
    COARSE,
    FINE,
    PADDING,
    aligned_sizes,
    choose_patches,
    cut_patches,
    fit_to_grid,
    lost_detail,
    pair_importance,
    shrink_patches,
)
from hf_aesthetics.models.structural_similarity import structural_similarity


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def retouched(picture: torch.Tensor, seed: int, share: float = 0.5) -> torch.Tensor:
    """The same picture with some of its patches repainted."""
    generator = torch.Generator().manual_seed(seed)
    patches = cut_patches(picture.clone(), 32)  # a view
    where = torch.rand(patches.shape[:2], generator=generator) < share
    patches[where] = torch.randint(0, 256, patches[where].shape, generator=generator).to(torch.uint8)
    rows, columns = patches.shape[:2]
    return patches.permute(2, 0, 3, 1, 4).reshape(3, rows * 32, columns * 32)


def coordinates(height: int, width: int) -> torch.Tensor:
    """A picture whose red is its row and whose green is its column, each from 0 to 1."""
    rows, columns = ((torch.arange(side) + 0.5) / side for side in (height, width))
    planes = torch.stack(
        [rows[:, None].expand(height, width), columns.expand(height, width), torch.zeros(height, width)]
    )
    return (255 * planes).round().to(torch.uint8)


def processor(**fields) -> FgaesqImageProcessor:
    return FgaesqImageProcessor(**{"do_resize": False, "image_mean": [0.0] * 3, "image_std": [1.0] * 3, **fields})


def count(tokens) -> list[int]:
    return [int((tokens.scales == scale).sum()) for scale in (COARSE, FINE, PADDING)]


# ---- similarity ----


def test_structural_similarity_is_that_of_its_definition():
    """Window by window, with the moments of numpy."""
    first, second = torch.rand(2, 2, 12, 10, generator=torch.Generator().manual_seed(3)).double()
    second = 0.7 * first + 0.3 * second
    values = []
    for channel, top, left in product(range(2), range(12 - 6), range(10 - 6)):
        x, y = (each[channel, top : top + 7, left : left + 7].flatten().numpy() for each in (first, second))
        (var_x, covariance), (_, var_y) = np.cov(x, y)
        luminance = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
        values.append(luminance * (2 * covariance + 9e-4) / (var_x + var_y + 9e-4))
    assert structural_similarity(first[None], second[None]).item() == pytest.approx(np.mean(values), abs=1e-12)
    single = structural_similarity(first[None].float(), second[None].float()).item()
    assert single == pytest.approx(np.mean(values), abs=1e-6)


def test_equal_pictures_are_exactly_similar_and_the_order_does_not_matter():
    first, second = (torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert torch.equal(structural_similarity(first, first), torch.ones(4))
    assert torch.equal(structural_similarity(first, second), structural_similarity(second, first))
    with pytest.raises(ValueError, match=r"at least 7, got \(1, 3, 6, 9\)"):
        structural_similarity(torch.zeros(1, 3, 6, 9), torch.zeros(1, 3, 6, 9))


def test_coarse_tokens_are_bicubic_interpolation():
    patches = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.interpolate(patches, size=(16, 16), mode="bicubic", antialias=True).clamp(0, 1)
    torch.testing.assert_close(shrink_patches(patches), expected, atol=1e-6, rtol=0)


# ---- sizes ----


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("sizes", [[(300, 400), (200, 300)], [(2000, 4000), (900, 700)], [(500, 500), (480, 640)]])
def test_aligned_pictures_share_a_side_and_keep_their_proportions(sizes, side):
    aligned = aligned_sizes(sizes, 16, 512, 384, 2048, side)
    assert aligned[0][side] == aligned[1][side]
    for (height, width), (new_height, new_width) in zip(sizes, aligned, strict=True):
        assert new_height / new_width == pytest.approx(height / width, rel=0.01)
        assert max(new_height, new_width) <= 2048 and min(new_height, new_width) >= 384


@pytest.mark.parametrize("sizes", [[(20, 4000), (4000, 20)], [(1, 1), (1, 5000)]])
def test_very_long_pictures_do_not_explode(sizes):
    for side in (0, 1):
        assert all(1 <= edge <= 2048 for size in aligned_sizes(sizes, 16, 512, 384, 2048, side) for edge in size)


@pytest.mark.parametrize(("side", "fitted"), [(1, 32), (47, 32), (48, 64), (400, 416), (608, 608), (1365, 1376)])
def test_the_grid_changes_as_few_pixels_as_it_can(side, fitted):
    picture = noise(32, side)
    result = fit_to_grid(picture, 32)
    assert result.shape == (3, 32, fitted)
    shared = min(side, fitted)
    assert torch.equal(result[..., :shared], picture[..., :shared])
    assert torch.equal(result[..., shared:], result[..., shared - 1 : shared].expand(-1, -1, fitted - shared))


# ---- tokens ----


@pytest.mark.parametrize(
    ("size", "counts"),
    [((224, 224), [130, 56, 325]), ((400, 500), [194, 56, 261]), ((600, 800), [455, 56, 0]), ((96, 64), None)],
)
def test_length_is_fixed_and_fine_tokens_come_in_fours(size, counts):
    first = noise(*size)
    for tokens in FgaesqImageProcessor().tokenize_pair(first, noise(*size, seed=1), "a pair"):
        assert len(tokens.pixels) == len(tokens.positions) == len(tokens.scales) == 511
        assert counts is None or count(tokens) == counts
        assert count(tokens)[1] == 56


def test_footprints_cover_the_picture_exactly_once():
    first = noise(160, 224)
    for tokens in (
        *processor().tokenize_pair(first, retouched(first, 5), "pair"),
        processor().tokenize_picture(first),
    ):
        covered = torch.zeros(10, 14)
        for (y, x), scale in zip(tokens.positions * torch.tensor([10.0, 14.0]), tokens.scales, strict=True):
            reach = {COARSE: 1.0, FINE: 0.5, PADDING: 0.0}[scale.item()]
            covered[
                round(y.item() - reach) : round(y.item() + reach), round(x.item() - reach) : round(x.item() + reach)
            ] += 1
        assert torch.equal(covered, torch.ones(10, 14))


def mismatched(tokens) -> float:
    """Share of the fine tokens whose position is not that of their pixels, which tell where they are."""
    seen = tokens.pixels[tokens.scales != PADDING, :2].mean(dim=(2, 3))
    wrong = (seen - tokens.positions[tokens.scales != PADDING]).abs().amax(dim=1) > 0.004
    assert not wrong[tokens.scales[tokens.scales != PADDING] == COARSE].any()
    return wrong.float().sum().item() / max(count(tokens)[1], 1)


def test_positions_are_those_of_the_pixels():
    picture = coordinates(608, 800)
    pairs = [(picture, retouched_copy) for retouched_copy in (picture, coordinates(608, 640))]
    for first, second in pairs:
        for tokens in processor().tokenize_pair(first, second, "pair"):
            assert mismatched(tokens) == 0
    assert mismatched(processor().tokenize_picture(picture)) == 0


def test_positions_of_the_released_code_are_not():
    """Wherever two refined patches share a row."""
    picture = coordinates(608, 800)
    shares = [
        mismatched(processor(use_row_major_positions=True).tokenize_pair(picture, picture, str(seed))[0])
        for seed in range(10)
    ]
    assert 0.2 < np.mean(shares) < 0.45


def test_fine_tokens_survive_dropping():
    first, second = noise(800, 1216), noise(800, 1216, seed=1)
    whole = processor(sequence_length=128).tokenize_pair(first, second, "pair")
    assert [count(tokens) for tokens in whole] == [[71, 56, 0]] * 2
    released = processor(sequence_length=128, use_patch_number_drop=True).tokenize_pair(first, second, "pair")
    assert all(count(tokens)[1] < 20 for tokens in released)


def test_what_is_dropped_is_dropped_of_both():
    first = noise(800, 1216)
    both = processor().tokenize_pair(first, retouched(first, 1), "pair")
    assert count(both[0])[0] < 25 * 38 - 14
    assert torch.equal(both[0].positions, both[1].positions)


# ---- what is drawn ----


def test_draws_follow_from_the_id_alone():
    first, second = noise(320, 320), noise(320, 320, seed=1)
    once, again, other = (processor().tokenize_pair(first, second, key)[0] for key in ("a", "a", "b"))
    assert torch.equal(once.pixels, again.pixels)
    assert not torch.equal(once.positions, other.positions)


def test_without_an_id_draws_follow_from_the_pixels_in_either_order():
    images = [Image.fromarray(noise(320, 320, seed).permute(1, 2, 0).numpy()) for seed in range(3)]
    beside = processor()(images[:2], partners=images[1::-1], return_tensors="pt")
    series = processor().preprocess_series(images)
    assert series["pair_images"].tolist() == [[0, 1], [0, 2], [1, 2]]
    for name in processor().model_input_names:
        assert torch.equal(series[name][:2], beside[name]), name
    swapped = processor().preprocess_series(images[1::-1])
    assert torch.equal(swapped["pixel_values"], series["pixel_values"][[1, 0]])
    named = processor().preprocess_series(images, pair_ids=["a", "b", "c"])
    assert not torch.equal(named["token_positions"], series["token_positions"])


def test_a_picture_beside_itself_is_seen_alike():
    picture = noise(400, 512)
    patches = cut_patches(fit_to_grid(picture, 32), 32).float() / 255
    importance = pair_importance(patches, patches, torch.rand(patches.shape[:2]).double())
    assert not any(each.any() for each in importance)
    first, second = processor().tokenize_pair(picture, picture, "pair")
    assert count(first)[1] == 56
    assert torch.equal(first.pixels, second.pixels) and torch.equal(first.positions, second.positions)
    first, second = processor(use_separate_draws=True).tokenize_pair(picture, picture, "pair")
    assert not torch.equal(first.positions, second.positions)


def test_what_differs_is_refined():
    first = noise(256, 256)
    second = first.clone()
    second[:, 96:128, 160:192] = 255 - second[:, 96:128, 160:192]
    tokens = processor(candidate_share=1 / 64).tokenize_pair(first, second, "pair")[0]
    assert count(tokens) == [63, 4, 511 - 67]
    centre = tokens.positions[tokens.scales == FINE].mean(dim=0) * 256
    assert centre.tolist() == [112, 176]


@pytest.mark.parametrize("flat", [False, True])
def test_pictures_of_two_widths_are_compared_column_by_column(flat):
    wide = cut_patches(noise(96, 160), 32).float() / 255
    narrow, numbers = wide[:, :4].clone(), torch.tensor([0.5, 0.95, 0.0]).double()[:, None].expand(3, 5)
    narrow[2, 1] = 1 - narrow[2, 1]
    of_wide, of_narrow = pair_importance(wide, narrow, numbers, flat=flat)
    assert (of_wide.shape, of_narrow.shape) == ((3, 5), (3, 4))
    if flat:  # the first row is compared with the first row alone
        assert not of_narrow[0].any() and (of_narrow[1:] > 0.1).all()
    else:
        assert of_narrow.nonzero().tolist() == [[2, 1]]
        # what only one of them has is as important as one of the 12 that both have: the 7th, 12th and 1st of them
        assert of_wide[:, 4].tolist() == [0, of_narrow[2, 1], 0]


def test_refined_patches_are_drawn_from_the_most_important_ones():
    generator = torch.Generator().manual_seed(0)
    importance, order = (torch.rand(6, 8, generator=generator).double() for _ in range(2))
    chosen = choose_patches(importance, order, 10, 0.5)
    candidates = sorted(range(48), key=lambda patch: -importance.view(-1)[patch])[:24]
    assert sorted(sorted(candidates, key=lambda patch: order.view(-1)[patch])[:10]) == chosen.tolist()
    assert len(choose_patches(importance, order, 30, 0.5)) == 24


def test_a_picture_alone_is_refined_where_coarse_tokens_lose_most():
    picture = torch.full((3, 128, 128), 128, dtype=torch.uint8)
    picture[:, 32:64:2, 64:96] = 255  # stripes, which half the resolution cannot show
    picture[:, 64:96, :32] = torch.linspace(0, 255, 32).to(torch.uint8)  # which it can
    importance = lost_detail(cut_patches(picture, 32).float() / 255)
    assert importance.argmax() == 1 * 4 + 2 and importance[2, 0] < 0.1
    tokens = processor(num_refined=1).tokenize_picture(picture)
    assert (tokens.positions[tokens.scales == FINE].mean(dim=0) * 4).tolist() == [1.5, 2.5]
    assert torch.equal(processor(num_refined=1).tokenize_picture(picture.clone()).pixels, tokens.pixels)


# ---- the processor ----


def test_no_refined_patches_are_coarse_tokens_alone():
    first = noise(128, 96)
    tokens = processor(num_refined=0, sequence_length=16).tokenize_pair(first, retouched(first, 1), "pair")[0]
    assert count(tokens) == [12, 0, 3]


def test_pictures_are_squashed_where_a_size_is_given():
    small = FgaesqImageProcessor(size={"height": 64, "width": 96}, sequence_length=16, num_refined=1)
    inputs = small([Image.new("RGB", (500, 40)), Image.new("L", (30, 30))], return_tensors="pt")
    assert inputs["token_scales"].ge(0).sum(dim=1).tolist() == [9, 9]


def test_fields_can_be_given_to_a_call():
    picture = Image.fromarray(noise(320, 320).permute(1, 2, 0).numpy())
    whole = processor()
    assert (whole(picture, num_refined=2, return_tensors="pt")["token_scales"] == FINE).sum() == 8
    assert (whole(picture, return_tensors="pt")["token_scales"] == FINE).sum() == 56


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"candidate_share": 0}, "got 0"),
        ({"sequence_length": 56}, "the 56 fine tokens of `num_refined` = 14 patches, got 56"),
        ({"patch_size": 2}, "got 2"),
        ({"modality": "gray"}, "got 'gray'"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        FgaesqImageProcessor(**fields)


def test_partners_and_ids_must_be_as_many_as_pictures():
    picture = Image.new("RGB", (64, 64))
    with pytest.raises(ValueError, match="got 1 for 2 pictures"):
        processor()([picture] * 2, partners=[picture])
    with pytest.raises(ValueError, match="at least 2 pictures, got 1"):
        processor().preprocess_series([picture])
    with pytest.raises(ValueError, match="got 1 for 3 pairs"):
        processor().preprocess_series([picture] * 3, pair_ids=["a"])
