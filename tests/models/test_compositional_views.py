"""Compositional views: what changes, what does not, and where it comes from."""

import pytest
import torch

from hf_aesthetics.models.compositional_views import choose_donors, masked_view, replaced_view


LABELS = torch.tensor([0, 0, 1, 2, 2, 2])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(height: int = 28, width: int = 56) -> torch.Tensor:
    """Every value of the batch is another one."""
    return torch.arange(6 * 3 * height * width, dtype=torch.float32).view(6, 3, height, width)


def changed_cells(view: torch.Tensor, before: torch.Tensor, grid: int) -> torch.Tensor:
    """Cells with a change, `(B, grid, grid)`; fails where a cell has changed in part."""
    size, _, height, width = view.shape
    changed = (view != before).view(size, 3, grid, height // grid, grid, width // grid)
    some, every = changed.any(dim=(1, 3, 5)), changed.all(dim=(1, 3, 5))
    assert torch.equal(some, every)
    return some


@pytest.mark.parametrize("kind", ["replaced", "zero", "mean", "noise"])
@pytest.mark.parametrize(("grid", "share"), [(4, 0.3), (7, 0.2), (7, 0.4), (1, 1.0), (2, 0.0), (4, 1.0)])
def test_exactly_the_asked_share_of_cells_changes_and_the_input_never(kind, grid, share):
    before = pictures() + 0.5
    kept = before.clone()
    if kind == "replaced":
        view = replaced_view(before, LABELS, grid, share, seeded())
    else:
        view = masked_view(before, grid, share, kind, seeded())
    assert (changed_cells(view, before, grid).sum(dim=(1, 2)) == round(share * grid**2)).all()
    assert torch.equal(before, kept) and view.data_ptr() != before.data_ptr()


def test_patches_come_from_the_same_place_of_one_picture_of_another_label():
    before = pictures()
    for seed in range(20):
        view = replaced_view(before, LABELS, generator=seeded(seed))
        for row, (seen, picture) in enumerate(zip(view, before, strict=True)):
            is_new = seen != picture
            donors = {number for number, other in enumerate(before) if torch.equal(seen[is_new], other[is_new])}
            assert len(donors) == 1 and LABELS[donors.pop()] != LABELS[row]


def test_all_pictures_of_another_label_lend_patches_equally():
    counts = torch.zeros(6, 6)
    generator = seeded()
    for _ in range(2000):
        counts[torch.arange(6), choose_donors(LABELS, generator)] += 1
    differs = (LABELS[:, None] != LABELS[None, :]).float()
    torch.testing.assert_close(counts / 2000, differs / differs.sum(dim=1, keepdim=True), atol=0.05, rtol=0)


def test_a_batch_of_one_label_has_nothing_to_lend():
    with pytest.raises(ValueError, match="at least 2 labels, got 6 of label 3"):
        replaced_view(pictures(), torch.full((6,), 3))
    before = pictures()
    assert torch.equal(replaced_view(before, torch.full((6,), 3), share=0.0), before)  # nothing is asked for


def test_what_is_drawn_follows_from_the_generator():
    before = pictures()
    for view in (lambda g: replaced_view(before, LABELS, generator=g), lambda g: masked_view(before, generator=g)):
        assert torch.equal(view(seeded(1)), view(seeded(1)))
        assert not torch.equal(view(seeded(1)), view(seeded(2)))


def test_masks_show_what_they_are_asked_for():
    before = torch.randn(6, 3, 64, 64, generator=seeded()) * 2 + 5
    masked = {fill: masked_view(before, 4, 0.5, fill, seeded(3)) for fill in ("zero", "mean", "noise")}
    hidden = masked["zero"] == 0
    means, spreads = before.mean(dim=(2, 3)), before.std(dim=(2, 3))
    torch.testing.assert_close(masked["mean"][hidden], means[:, :, None, None].expand_as(before)[hidden])
    for row in range(6):
        for channel in range(3):
            noise = masked["noise"][row, channel][hidden[row, channel]]
            assert noise.mean().item() == pytest.approx(means[row, channel].item(), abs=0.2)
            assert noise.std().item() == pytest.approx(spreads[row, channel].item(), abs=0.2)


def test_a_grid_that_does_not_divide_the_picture_covers_it():
    before = pictures(29, 53)
    assert ((masked_view(before + 1, grid=7, share=1.0)) == 0).all()
    with pytest.raises(ValueError, match="got 30 cells a side for 29 x 53"):
        masked_view(before, grid=30)
    with pytest.raises(ValueError, match="share in \\[0, 1\\], got 4 and 1.2"):
        masked_view(before, share=1.2)
