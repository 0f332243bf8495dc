"""
Series of photographs whose better member is known: each photograph beside edits that do it harm, more and more.

Knows nothing about ratings or models. That the photograph as it was taken is the best is an assumption, true of most.
"""

import hashlib
import io
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict, Features, NamedSplit, Value
from PIL import Image
from torchvision.transforms.v2.functional import to_dtype, to_image

from .. import picture_edits
from ..images import find_images, read_image
from ..models.saliency_maps import saliency_map
from ..picture_edits import Edit, apply_edit, shrink_to_work, tilted_share
from .columns import series_features
from .folder import build_dataset
from .pairs import ComparedPictures
from .picture_checks import check_pictures
from .splits import SPLITS, hash_split


EDIT_KINDS = ("blur", "exposure", "tilt", "crop")
"""What is done to photographs, one kind a series."""

_BLURS = (0.25, 0.75)  # percent of the diagonal
_STOPS = (2 / 3, 5 / 3)
_TILTS = (0.5, 3.0, 8.0)  # degrees
_CROPS = (0.8, 0.6)  # shares of each side
_QUALITY = 95  # of JPEG

logger = logging.getLogger(__name__)


def harmful_edits(picture: Image.Image, kind: str, coin: bool = False) -> list[Edit]:
    """
    The edits of a series, the best first and then ever worse: two more after the first, which is none to speak of.

    - `"blur"`: by 0.25 and 0.75 % of the diagonal.
    - `"exposure"`: by 2/3 and 5/3 of a stop, darker or brighter.
    - `"tilt"`: by 3 and 8 degrees, either way. All three show the same share of the picture, and the best one is
      turned, too, by half a degree that nobody sees: nothing but the horizon tells them apart, as the frame or the
      interpolation would.
    - `"crop"`: 0.8 and 0.6 of each side, placed so that as little as possible is left of what stands out (by
      [`~hf_aesthetics.models.saliency_maps.saliency_map`]): the subject is cut.

    Kinds and strengths are our choice.

    Args:
        picture (`PIL.Image.Image`):
            As [`read_image`] gives it.
        kind (`str`):
            One of `EDIT_KINDS`.
        coin (`bool`, *optional*, defaults to `False`):
            Brighter, or clockwise, instead of darker, or anticlockwise.

    Raises:
        ValueError: If there is no such kind.

    Example:
        >>> grey = Image.new("RGB", (60, 40), "grey")
        >>> [str(edit) for edit in harmful_edits(grey, "exposure")]
        ['unchanged', '2/3 stop darker', '1 2/3 stops darker']
    """
    sign = -1 if coin else 1
    if kind == "blur":
        return [Edit(), *(Edit(blur=percent) for percent in _BLURS)]
    if kind == "exposure":
        return [Edit(), *(Edit(exposure=-sign * stops) for stops in _STOPS)]
    if kind == "tilt":
        shares = [tilted_share(*picture.size, tilt) for tilt in _TILTS]
        return [Edit(tilt=sign * tilt, crop=shares[-1] / share) for tilt, share in zip(_TILTS, shares, strict=True)]
    if kind == "crop":
        return [Edit(), *_cutting_crops(picture)]
    raise ValueError(f"`kind` must be one of {', '.join(EDIT_KINDS)}, got {kind!r}.")


def load_edited_series(
    pictures: DatasetDict | str | Path,
    kinds: Sequence[str] = EDIT_KINDS,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    max_skipped: float = 0.0,
    num_proc: int | None = None,
) -> ComparedPictures:
    """
    Makes series of photographs: of each one, for each kind of edit, the photograph and two edits, see
    [`harmful_edits`].

    A series lies in the split of its photograph, so that a collection whose splits part no theme gives series whose
    splits part none. All pictures of a series are saved alike, as JPEG of quality 95 with at most 1024 pixels a side.

    Args:
        pictures (`DatasetDict`, `str` or `Path`):
            Photographs with `image` and `image_id` by split, such as those of a rated collection; or a folder, whose
            photographs are put into splits by a hash of their names.
        kinds (`Sequence[str]`, *optional*):
            Which of `EDIT_KINDS`.
        validation, test (`float`, *optional*, default to 0.1):
            Of a folder: expected shares of the photographs in these splits.
        seed (`int`, *optional*, defaults to 0):
            Of the splits of a folder, and of what is drawn: which way a picture is tilted, and whether it gets darker.
        max_skipped (`float`, *optional*, defaults to 0):
            Of a folder: largest share of the photographs that may be unreadable.
        num_proc (`int`, *optional*):
            Of a folder: number of processes that check the photographs.

    Returns:
        [`ComparedPictures`]: `pictures` with the columns of [`series_features`] and the kind of edit as `source`. Of
        comparisons there are none but those that follow from the ranks.

    Raises:
        ValueError: If there is no such kind, a folder has no photographs, or too many cannot be read.

    Example:
        >>> from datasets import Features
        >>> from datasets import Image as ImageFeature
        >>> sea = {"image": Image.new("RGB", (60, 40), "blue"), "image_id": "sea"}
        >>> features = Features({"image": ImageFeature(), "image_id": Value("string")})
        >>> photographs = DatasetDict({"train": Dataset.from_list([sea], features=features)})
        >>> series = load_edited_series(photographs, ["tilt"]).pictures["train"]
        >>> series["image_id"][:], series["series_rank"][:]
        (['sea tilt 0', 'sea tilt 1', 'sea tilt 2'], [0, 1, 2])
    """
    for kind in kinds:
        harmful_edits(Image.new("RGB", (64, 64)), kind)  # refuses what it does not know
    skipped = []
    if not isinstance(pictures, DatasetDict):
        pictures, skipped = _read_folder(Path(pictures), validation, test, seed, max_skipped, num_proc)
    series = DatasetDict()
    for split, photographs in pictures.items():
        photographs = photographs.select_columns(["image", "image_id"])
        series[split] = Dataset.from_generator(
            partial(_edited, photographs, tuple(kinds), seed),
            features=series_features({"source": Value("string")}),
            split=NamedSplit(str(split)),
            fingerprint=_fingerprint(photographs, tuple(kinds), seed),
        )
    return ComparedPictures(series, DatasetDict(), skipped=skipped)


def _edited(photographs: Dataset, kinds: tuple[str, ...], seed: int) -> Iterator[dict[str, Any]]:
    for row in photographs:
        photograph = shrink_to_work(read_image(row["image"]))
        for kind in kinds:
            name = f"{row['image_id']} {kind}"
            coin = bool(hashlib.sha256(f"{seed}:{name}".encode()).digest()[0] % 2)
            for rank, edit in enumerate(harmful_edits(photograph, kind, coin)):
                buffer = io.BytesIO()
                apply_edit(photograph, edit).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
                yield {
                    "image": {"bytes": buffer.getvalue(), "path": None},
                    "image_id": f"{name} {rank}",
                    "series_id": name,
                    "series_rank": rank,
                    "source": kind,
                }


def _cutting_crops(picture: Image.Image) -> list[Edit]:
    """For each size of a crop the one of nine places where least is left of what stands out."""
    pixels = to_dtype(to_image(picture), torch.float32, scale=True)
    salient = Image.fromarray(saliency_map(pixels[None])[0, 0].numpy())
    places = list(product((0.0, 0.5, 1.0), repeat=2))
    crops = ([Edit(crop=share, across=across, down=down) for across, down in places] for share in _CROPS)
    return [min(of_size, key=lambda edit: float(np.asarray(apply_edit(salient, edit)).sum())) for of_size in crops]


def _read_folder(
    folder: Path, validation: float, test: float, seed: int, max_skipped: float, num_proc: int | None
) -> tuple[DatasetDict, list]:
    files = [str(path.absolute()) for path in find_images(folder)]
    names = [path.relative_to(folder.absolute()).as_posix() for path in map(Path, files)]
    if not files:
        raise ValueError(f"Expected photographs in {str(folder)!r}, found none. Check the folder.")
    problems = check_pictures(files, names, num_proc)
    skipped = [problem for problem in problems if problem is not None]
    if skipped:
        report = f"{folder.name}: {len(skipped)} of {len(files)} photographs cannot be used. {skipped[0].reason}"
        if len(skipped) > max_skipped * len(files):
            raise ValueError(f"{report} Take them away, or pass a larger `max_skipped`.")
        logger.warning("%s They are left out.", report)
    rows: dict[str | NamedSplit, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for file, name, problem in zip(files, names, problems, strict=True):
        if problem is None:
            rows[hash_split(name, validation, test, seed)].append({"image": file, "image_id": name})
    features = Features({name: series_features()[name] for name in ("image", "image_id")})
    splits = {split: build_dataset(str(split), features, found) for split, found in rows.items() if found}
    return DatasetDict(splits), skipped


def _fingerprint(photographs: Dataset, *asked: Any) -> str:
    """Name of a split in the cache: the photographs, what was asked for, and the code that makes it."""
    digest = hashlib.sha256(repr((photographs._fingerprint, *asked)).encode())
    for source in (__file__, picture_edits.__file__):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:32]
