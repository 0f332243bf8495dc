"""Rendered categories: what tells them apart, and nothing else."""

import numpy as np
import pytest

from hf_aesthetics.data.rendering.variants import CONTRASTS, MARK_SIDE, PERIOD, SceneVariants


@pytest.fixture(scope="module")
def variants() -> SceneVariants:
    return SceneVariants(7)


def frequency(mark: np.ndarray) -> tuple[float, float]:
    """Cycles a pixel down and across of the strongest wave in one channel of a mark."""
    padded = np.zeros((128, 128))
    padded[: len(mark), : len(mark)] = (mark - mark.mean()) * np.hanning(len(mark))[:, None] * np.hanning(len(mark))
    power = np.abs(np.fft.fft2(padded))[:64]
    power[:8, :8] = power[:8, -8:] = 0  # the scene itself is smooth
    row, column = np.unravel_index(power.argmax(), power.shape)
    return row / 128, (column if column < 64 else column - 128) / 128


def difference(variants: SceneVariants, category: int, other: int, number: int) -> np.ndarray:
    return np.abs(variants.render(category, number).astype(int) - variants.render(other, number))


def test_only_the_marks_differ_each_in_its_color(variants):
    most = np.zeros((64, 64, 3))
    for other in range(1, 16):
        most = np.maximum(most, difference(variants, 0, other, number=3))
    for channel in range(3):
        (rows, columns) = np.nonzero(most[:, :, channel])
        assert rows.max() - rows.min() < MARK_SIDE and columns.max() - columns.min() < MARK_SIDE
    assert most[:, :, 0].max() > 1.5 * most[:, :, 1:].max()  # red is clearer


def test_each_mark_has_the_direction_of_its_category(variants):
    for category in range(0, 16, 3):
        pixels = variants.render(category, 0)
        changed = sum(difference(variants, category, other, 0) for other in range(16) if other != category) > 0
        for channel in range(len(CONTRASTS)):
            rows, columns = np.nonzero(changed[:, :, channel])
            top, left = rows.min(), columns.min()
            mark = pixels[top : top + MARK_SIDE, left : left + MARK_SIDE, channel]
            down, across = frequency(mark.astype(float))
            direction = variants.directions[category, channel]
            wanted = np.array([np.sin(direction), np.cos(direction)]) / PERIOD
            miss = min(np.hypot(*(wanted - (down, across))), np.hypot(*(wanted + (down, across))))
            assert miss < 0.06, (category, channel)


def test_directions_are_another_order_at_each_mark_and_tell_all_categories_apart(variants):
    for column in variants.directions.T:
        assert len(set(column.tolist())) == 16
    assert not np.array_equal(variants.directions[:, 0], variants.directions[:, 1])


def test_a_picture_follows_from_its_numbers(variants):
    again = SceneVariants(7)
    assert np.array_equal(variants.render(2, 5), again.render(2, 5))
    assert not np.array_equal(variants.render(2, 5), variants.render(2, 6))
    assert not np.array_equal(variants.render(2, 5), SceneVariants(8).render(2, 5))


def test_one_mark_can_be_covered_and_the_others_stay(variants):
    hidden = []
    for number in range(30):
        changed = difference(variants, 0, 1, number).max(axis=(0, 1)) > 0
        covered = np.abs(variants.render(0, number, True).astype(int) - variants.render(1, number, True))
        still = covered.max(axis=(0, 1)) > 0
        assert changed.all() and still.sum() == 2
        hidden.append(int(np.flatnonzero(~still)[0]))
    assert set(hidden) == {0, 1, 2}


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="at least 2 categories and pictures of 64 pixels, got 1 and 64"):
        SceneVariants(0, num_categories=1)
