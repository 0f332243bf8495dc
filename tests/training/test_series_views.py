"""Pictures of a series that come closer to better ones: what changes, and what may not."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import PROCESSOR
from tiny_series import SERIES_PROCESSOR, brightness_series, tiny_fgaesq

from hf_aesthetics.models.similarity_losses import cosine_triplet_loss
from hf_aesthetics.training.series_rows import SeriesRows
from hf_aesthetics.training.series_views import graded_series


def burst(*ranks: int, size: tuple[int, int] = (32, 40)) -> list[Image.Image]:
    """Noise that gets darker with the rank."""
    noise = np.random.default_rng(0).integers(100, 256, (*size, 3))
    return [Image.fromarray((noise * 0.8**rank).astype(np.uint8)) for rank in ranks]


def test_one_picture_gets_patches_of_the_next_better_one_and_stays_between():
    ranks = [2, 0, 1, 3]
    before = [np.asarray(image).astype(int) for image in burst(*ranks)]
    chosen = set()
    for number in range(40):
        images = burst(*ranks)
        after = [np.asarray(image).astype(int) for image in graded_series(images, ranks, f"word {number}")]
        (place,) = [row for row in range(4) if not np.array_equal(before[row], after[row])]
        better = before[ranks.index(ranks[place] - 1)]
        is_new = (after[place] != before[place]).any(axis=2)
        assert np.array_equal(after[place][is_new], better[is_new])
        assert before[place].mean() < after[place].mean() < better.mean()
        cells = is_new.reshape(4, 8, 4, 10).mean(axis=(1, 3))
        assert (cells > 0.5).sum() == round(0.7 * 16) and not cells[cells <= 0.5].any()
        assert all(np.array_equal(np.asarray(image), picture) for image, picture in zip(images, before, strict=True))
        chosen.add(place)
    assert chosen == {0, 2, 3}  # all but the best


def test_the_same_word_draws_the_same():
    images = burst(0, 1, 2)
    draws = [[image.tobytes() for image in graded_series(images, [0, 1, 2], word)] for word in ("a", "a", "b")]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("images", "ranks"),
    [
        (burst(0, 1, 1), [0, 1, 1]),  # nobody says which of both the other one is worse than
        ([*burst(0), *burst(1, size=(40, 32))], [0, 1]),
        (burst(0, 0), [0, 1]),  # alike
    ],
)
def test_a_series_without_a_step_stays_as_it_is(images, ranks):
    assert graded_series(images, ranks, "a word") == images


def test_a_picture_that_would_become_the_better_one_is_left_alone():
    better, worse = burst(0)[0], np.array(burst(0)[0])
    worse[0, 0] = 0  # most draws take this pixel over
    images = [better, Image.fromarray(worse)]
    for number in range(20):
        assert graded_series(images, [0, 1], f"word {number}") == images


def test_training_draws_views_anew_and_use_never_does():
    pictures = brightness_series([3, 2, 3, 2, 3, 2, 3, 2], "s")
    rows = SeriesRows(pictures, SERIES_PROCESSOR, compositional_views=0.5)
    plain = SeriesRows(pictures, SERIES_PROCESSOR)
    changed = []
    for epoch in range(6):
        for number in range(8):
            ours, theirs = rows.make_batch([number], epoch), plain.make_batch([number], epoch)
            assert torch.equal(ours["ranks"], theirs["ranks"])
            changed.append(not torch.equal(ours["pixel_values"], theirs["pixel_values"]))
    assert np.mean(changed) == pytest.approx(0.5, abs=0.2)
    again = SeriesRows(pictures, SERIES_PROCESSOR, compositional_views=0.5)
    assert torch.equal(rows.make_batch([3], 2)["pixel_values"], again.make_batch([3], 2)["pixel_values"])
    assert torch.equal(rows.make_batch([3])["pixel_values"], plain.make_batch([3])["pixel_values"])


def test_views_need_a_share_and_pictures():
    with pytest.raises(ValueError, match="share of the series in \\[0, 1\\], got 2"):
        SeriesRows(brightness_series([2], "s"), PROCESSOR, compositional_views=2)
    rows = SeriesRows(brightness_series([2], "s"), PROCESSOR, compositional_views=0.5)
    with pytest.raises(ValueError, match="`compositional_views` = 0.5 draws pictures anew"):
        rows.record_features(tiny_fgaesq())


def test_similarity_pulls_what_a_picture_looks_like_beside_others_together():
    batch = SeriesRows(brightness_series([3, 2], "s"), SERIES_PROCESSOR).make_batch([0, 1])
    plain, pulled = (tiny_fgaesq(similarity_loss_weight=weight).eval() for weight in (0.0, 0.5))
    outputs, other = plain(**batch), pulled(**batch)
    names = [f"{batch['series'][image]}-{batch['ranks'][image]}" for image in batch["pair_images"].flatten()]
    labels = torch.tensor([sorted(set(names)).index(name) for name in names])
    expected = outputs.loss + 0.5 * cosine_triplet_loss(outputs.image_embeds, labels)
    torch.testing.assert_close(other.loss, expected)
    assert other.loss > outputs.loss
