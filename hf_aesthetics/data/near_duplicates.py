"""
Which pictures of a collection are near-duplicates: one photograph saved twice, resized, recoloured, mirrored or
slightly cropped, or a frame taken a moment later.

Knows nothing about ratings or models. One picture on both sides of a split makes a model look better than it is.
"""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from datasets import Dataset
from datasets import Image as ImageFeature
from numpy.typing import ArrayLike
from PIL import Image
from tqdm.auto import tqdm

from ..images import read_image


MIN_SIMILARITY = 0.7
"""
Default of [`find_near_duplicates`]. Copies of 253 photographs and 200 rendered scenes reach 0.84 and more: as JPEG of
quality 10, halved, brightened by 1.3, mirrored, or cropped by 5 % at a corner. Among 286,903 pairs of different
photographs, the most similar ones reach 0.56: two sunsets over the sea.
"""

_SIDE = 32  # of the thumbnails
_COARSE, _FINE = 8, 16  # frequencies an axis by which pairs are found, and by which they are judged
_MIN_COARSE_SIMILARITY = 0.6
_ROWS, _COLUMNS = 2048, 8192  # pictures that are compared at once
_BATCH = 256
# parts of a side that windows show: all of it, or shares of it from its beginning, its middle and its end
_SHARES = (0.96, 0.92, 0.88)
_SPANS = [(0.0, 1.0), *(((1 - size) * at, (1 - size) * at + size) for size in _SHARES for at in (0, 0.5, 1))]
_OPPOSITE = [0, *(3 * size + place for size in range(len(_SHARES)) for place in (3, 2, 1))]


class NearDuplicate(NamedTuple):
    """
    Two pictures that are nearly the same.

    Args:
        first, second (`int`):
            Their positions.
        similarity (`float`):
            At most 1; see [`find_near_duplicates`].
        is_mirrored (`bool`):
            Whether one is the other's mirror image.
    """

    first: int
    second: int
    similarity: float
    is_mirrored: bool


def find_near_duplicates(
    pictures: Dataset, min_similarity: float = MIN_SIMILARITY, num_threads: int | None = None
) -> list[NearDuplicate]:
    """
    Compares every picture with every other.

    What is compared is the cosine transform of grey thumbnails: without its mean and at unit length, so that neither
    brightness nor contrast count, and with its amplitudes evened out, because large soft shapes are alike in many
    photographs. Eight frequencies an axis find the pairs, by products of matrices; of these few, sixteen decide, at
    the best of the windows that leave out up to 12 % of a side. (All this is our choice. The hash of signs of the
    eight frequencies, which is more usual, does not tell a crop by 5 % from another photograph.)

    Memory is a kilobyte and a half a picture, and a block. Time grows with the square of their number: twenty thousand
    are compared in seconds, a hundred thousand in minutes.

    Args:
        pictures (`Dataset`):
            With a column `image`. To compare two collections, put one below the other.
        min_similarity (`float`, *optional*, defaults to `MIN_SIMILARITY`):
            How similar two pictures have to be.
        num_threads (`int`, *optional*):
            That decode pictures; by default as many as there are cores.

    Returns:
        `list[NearDuplicate]`: The pairs, most similar first. Of crops by
        5 % at a corner, 99 % are found, of those by 10 % half, by 15 % a fifth; of the frames of a series, those that
        are shifted by 3 %, and about one in five of those by 6 %. A picture of one colour resembles none.

    Raises:
        ValueError: If there is no column `image`, or `min_similarity` is not in (0, 1].
        ImageReadError: If a picture cannot be read.

    Example:
        >>> from hf_aesthetics.data.synthetic import load_synthetic
        >>> scenes = load_synthetic(4, 1, 1, with_maps=False)["train"]
        >>> pairs = find_near_duplicates(scenes.select([0, 1, 2, 0, 3]))
        >>> [(pair.first, pair.second) for pair in pairs]
        [(0, 3)]
    """
    if not 0 < min_similarity <= 1:
        raise ValueError(
            f"`min_similarity` must be in (0, 1], got {min_similarity}. Pass for example {MIN_SIMILARITY}."
        )
    if "image" not in pictures.column_names:
        raise ValueError(
            f"`pictures` must have a column 'image', got {pictures.column_names}. Load the pictures, too."
        )
    if len(pictures) < 2:
        return []
    return compare_thumbnails(_read_thumbnails(pictures, num_threads), min_similarity)


def compare_thumbnails(thumbnails: np.ndarray, min_similarity: float = MIN_SIMILARITY) -> list[NearDuplicate]:
    """
    [`find_near_duplicates`] for pictures that were read before.

    Args:
        thumbnails (`np.ndarray` of shape `(num_images, 32, 32)`):
            What [`read_thumbnail`] gives of each.
        min_similarity (`float`, *optional*, defaults to `MIN_SIMILARITY`):
            How similar two pictures have to be.
    """
    if not len(thumbnails):
        return []
    found = []
    for first, second, is_mirrored in _find_candidates(describe_coarsely(thumbnails)):
        for start in range(0, len(first), 16):  # small, because it stays in the processor's cache
            of = slice(start, start + 16)
            similarity = _compare(thumbnails[first[of]], thumbnails[second[of]], is_mirrored[of])
            for row in np.flatnonzero(similarity >= min_similarity) + start:
                pair = int(first[row]), int(second[row])
                found.append(NearDuplicate(*pair, min(float(similarity[row - start]), 1.0), bool(is_mirrored[row])))
    return sorted(found, key=lambda pair: (-pair.similarity, pair))


def describe_coarsely(thumbnails: np.ndarray) -> np.ndarray:
    """
    Pictures as vectors of unit length, whose products say from afar how similar two are; see [`find_near_duplicates`].

    Args:
        thumbnails (`np.ndarray` of shape `(num_images, 32, 32)`):
            What [`read_thumbnail`] gives of each; one at least.

    Returns:
        `np.ndarray` of shape `(num_images, 64)`.
    """
    starts = range(0, len(thumbnails), _ROWS)
    coarse = [_describe(thumbnails[start : start + _ROWS], _COARSE) for start in starts]
    return np.concatenate(coarse).reshape(len(thumbnails), -1)


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """
    How similar pictures are pairwise, none of them mirrored; see [`find_near_duplicates`].

    Args:
        first, second (`np.ndarray` of shape `(num_pairs, 32, 32)`):
            What [`read_thumbnail`] gives of each.

    Returns:
        `np.ndarray` of shape `(num_pairs,)`.
    """
    return _compare(first, second, np.zeros(len(first), dtype=bool))


def read_small(source: str | os.PathLike[str] | bytes, side: int) -> Image.Image:
    """
    Reads a picture of which only a small version is needed: a JPEG at a fraction of its size, which is much faster.

    Args:
        source (`str`, `os.PathLike` or `bytes`):
            As in [`read_image`].
        side (`int`):
            Both sides of a JPEG are at least this long, if the picture's are.

    Raises:
        ImageReadError: If the picture cannot be read.
    """
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except Exception:  # what `read_image` can read PIL need not, and it says best what is wrong
        return read_image(source)
    with image:
        image.draft(None, (side, side))
        return read_image(image)


def read_thumbnail(source: str | os.PathLike[str] | bytes) -> np.ndarray:
    """A grey thumbnail by which pictures are compared, uint8 of shape `(32, 32)`, whatever the proportions."""
    image = read_small(source, 4 * _SIDE).convert("L")
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))


def find_leaks(train: ArrayLike, test: ArrayLike, pairs: Iterable[NearDuplicate]) -> list[NearDuplicate]:
    """
    Which test pictures have a near-duplicate in the training part.

    Args:
        train, test (arrays of positions):
            The parts.
        pairs (`Iterable[NearDuplicate]`):
            From [`find_near_duplicates`].

    Returns:
        `list[NearDuplicate]`: The pairs between the parts, each turned so that `first` is the training picture and
        `second` the test picture.

    Example:
        >>> pairs = [NearDuplicate(0, 3, 0.9, False), NearDuplicate(1, 2, 0.8, False)]
        >>> find_leaks([2, 3], [0], pairs)
        [NearDuplicate(first=3, second=0, similarity=0.9, is_mirrored=False)]
    """
    in_train, in_test = set(np.asarray(train).tolist()), set(np.asarray(test).tolist())
    leaks = []
    for pair in pairs:
        for first, second in (pair[:2], pair[1::-1]):
            if first in in_train and second in in_test:
                leaks.append(pair._replace(first=first, second=second))
    return leaks


def join_groups(groups: ArrayLike, pairs: Iterable[NearDuplicate]) -> np.ndarray:
    """
    Groups of pictures, joined where near-duplicates lie in two of them, so that folds by group part none.

    Args:
        groups (array of shape `(num_images,)`):
            Group of each picture, such as its theme; `range(num_images)` for the near-duplicates alone.
        pairs (`Iterable[NearDuplicate]`):
            From [`find_near_duplicates`].

    Returns:
        `np.ndarray` of shape `(num_images,)`: The groups; of joined ones the first in order.

    Example:
        >>> join_groups(["storm", "lake", "night", "storm"], [NearDuplicate(0, 2, 0.9, False)]).tolist()
        ['night', 'lake', 'night', 'night']
    """
    labels, group_of = np.unique(np.asarray(groups), return_inverse=True)
    parents = list(range(len(labels)))

    def root(group: int) -> int:
        while parents[group] != group:
            group = parents[group]
        return group

    for pair in pairs:
        lower, upper = sorted((root(group_of[pair.first]), root(group_of[pair.second])))
        parents[upper] = lower
    return labels[[root(group) for group in range(len(labels))]][group_of]


def _read_thumbnails(pictures: Dataset, num_threads: int | None) -> np.ndarray:
    """Grey thumbnails, uint8 of shape `(num_images, side, side)`, whatever the proportions of the pictures."""
    thumbnails = np.empty((len(pictures), _SIDE, _SIDE), dtype=np.uint8)
    files = pictures.select_columns("image").cast_column("image", ImageFeature(decode=False))
    with (
        ThreadPoolExecutor(num_threads or os.cpu_count()) as threads,
        tqdm(total=len(files), desc="reading pictures", disable=len(files) < 1000) as bar,
    ):
        for start in range(0, len(files), _BATCH):
            cells = files[start : start + _BATCH]["image"]
            sources = [cell["path"] if cell["bytes"] is None else cell["bytes"] for cell in cells]
            rows = list(threads.map(read_thumbnail, sources))
            thumbnails[start : start + len(rows)] = rows
            bar.update(len(rows))
    return thumbnails


def _cosines(num_frequencies: int, span: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """A cosine transform of a part of a line of pixels, `(num_frequencies, side)`, interpolated linearly."""
    centres = (np.arange(_SIDE) + 0.5) / _SIDE
    positions = np.clip((span[0] + (span[1] - span[0]) * centres) * _SIDE - 0.5, 0, _SIDE - 1)
    weights = np.clip(1 - np.abs(positions[:, None] - np.arange(_SIDE)), 0, None)
    return (np.cos(np.pi * np.arange(num_frequencies)[:, None] * centres) @ weights).astype(np.float32)


def _describe(
    thumbnails: np.ndarray, num_frequencies: int, spans: Sequence[tuple[float, float]] = ((0.0, 1.0),)
) -> np.ndarray:
    """Unit vectors of shape `(num_images, len(spans), len(spans), num_frequencies**2)`, by vertical span first."""
    cosines = np.stack([_cosines(num_frequencies, span) for span in spans])
    frequencies = np.arange(num_frequencies, dtype=np.float32)
    contrasts = thumbnails - thumbnails.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    # (images, height, width) -> (images, spans, frequencies, width)
    columns = np.tensordot(cosines, contrasts, (2, 1)).transpose(2, 0, 1, 3)
    # -> (images, spans, spans, frequencies, frequencies)
    amplitudes = np.tensordot(columns, cosines, (3, 2)).transpose(0, 1, 3, 2, 4)
    amplitudes = amplitudes * np.hypot(frequencies[:, None], frequencies)  # which is 0 for the mean
    vectors = np.copysign(np.sqrt(np.abs(amplitudes)), amplitudes).reshape(*amplitudes.shape[:3], -1)
    lengths = np.sqrt(np.einsum("...i,...i", vectors, vectors))[..., None]
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _find_candidates(coarse: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Positions of two pictures that look alike from afar, and whether one is mirrored, block by block."""
    mirrored = coarse * np.tile((-1.0) ** np.arange(_COARSE, dtype=np.float32), _COARSE)
    size = len(coarse)
    # each pair once, so from the diagonal on
    blocks = [(row, column) for row in range(0, size, _ROWS) for column in range(row, size, _COLUMNS)]
    for row, column in tqdm(blocks, desc="comparing pictures", disable=len(blocks) < 10):
        others = coarse[column : column + _COLUMNS].T
        plain, flipped = (vectors[row : row + _ROWS] @ others for vectors in (coarse, mirrored))
        first, second = np.nonzero(np.maximum(plain, flipped) >= _MIN_COARSE_SIMILARITY)
        is_pair = first + row < second + column
        first, second = first[is_pair], second[is_pair]
        yield first + row, second + column, flipped[first, second] > plain[first, second]


def _compare(first: np.ndarray, second: np.ndarray, is_mirrored: np.ndarray) -> np.ndarray:
    """Similarity of thumbnails pairwise: of one and a window of the other, or of opposite windows of both."""
    second = np.where(is_mirrored[:, None, None], second[:, :, ::-1], second)
    a, b = _describe(first, _FINE, _SPANS), _describe(second, _FINE, _SPANS)
    opposite = b[:, _OPPOSITE][:, :, _OPPOSITE]
    similarities = [np.einsum("...i,...i", *each) for each in ((a, b[:, :1, :1]), (a[:, :1, :1], b), (a, opposite))]
    return np.max(similarities, axis=(0, 2, 3))
