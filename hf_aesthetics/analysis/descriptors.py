"""What the maps of a picture say in words: few numbers with a meaning, such as the range of depth.

Each cue is described in its own terms: depth by how far things are and not where, saliency by where it lies, blur by
how much there is and whether it lies on what is salient. A network reads more from a map, and also what belongs to
another cue: a depth map shows the outline of every subject. Knows nothing about votes.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from ..models.color_spaces import rgb_to_lab
from .cues import PICTURE_CUES, cue_of
from .findings import REFERENCE


SIDE = 64  # maps are described at this size in pixels, their aspect ratio lost: places are shares of the frame
LEVELS = np.linspace(0.05, 0.95, 9)
POWER_POINTS = np.array([(x, y) for x in (1 / 3, 2 / 3) for y in (1 / 3, 2 / 3)])
FARTHEST = 1 / 64  # inverse depth below this is as far as the sky
_PLACES = (np.arange(SIDE) + 0.5) / SIDE

Description = dict[str, np.ndarray]

# what trends are drawn of, by cue: descriptor -> its meaning
NAMED_DESCRIPTORS: dict[str, dict[str, str]] = {
    "depth": {
        "depth_range": "range of depth, from the far to the near twentieth of the picture",
        "depth_octaves": "spread of distances in octaves",
    },
    "saliency": {
        "saliency_compactness": "compactness of what is salient: 1 in one point, 0 all over the frame",
        "saliency_thirds": "distance of the most salient place from the nearest crossing of the thirds, in frames",
        "saliency_centre": "distance of the most salient place from the centre, in frames",
    },
    "blur": {
        "blur_share": "share of the picture that is more blurred than sharp",
        "blur_of_subject": "blur of what is salient, 0 to 1",
    },
    "colour": {"colour_vividness": "vividness: spread of a* and b*"},
    "light": {"light_mean": "mean lightness L*, 0 to 1"},
}


def small_maps(pictures: Iterable[Image.Image]) -> np.ndarray:
    """
    Pictures or maps at the size at which they are described.

    Args:
        pictures (`Iterable[PIL.Image.Image]`):
            Maps of mode `"L"`, or pictures of any other, which become RGB.

    Returns:
        `np.ndarray` of shape `(num_images, 64, 64)`, or `(num_images, 64, 64, 3)` for pictures, uint8.

    Example:
        >>> small_maps([Image.new("L", (300, 200), 7)]).shape
        (1, 64, 64)
    """
    size, box = (SIDE, SIDE), Image.Resampling.BOX
    return np.stack([np.asarray((p if p.mode == "L" else p.convert("RGB")).resize(size, box)) for p in pictures])


def describe_cue(cue: str, maps: Mapping[str, np.ndarray]) -> Description:
    """
    The numbers that describe one cue of every picture.

    Args:
        cue (`str`):
            `"colour"` and `"light"` of the pictures in `maps["rgb"]`; otherwise a modality with its map.
        maps (`Mapping[str, np.ndarray]`):
            By modality, of shape `(num_images, 64, 64)` and uint8, as [`small_maps`] makes them.

    Returns:
        `dict[str, np.ndarray]`: by name, arrays of shape `(num_images,)`, all finite. A modality that is not known
        here is described by its levels and a coarse grid.

    Raises:
        KeyError: If the maps lack what the cue is seen in.

    Example:
        >>> half = np.zeros((1, 64, 64), np.uint8)
        >>> half[:, :, 32:] = 255
        >>> round(float(describe_cue("depth", {"depth": half})["depth_range"][0]), 2)
        1.0
    """
    seen_in = REFERENCE if cue in PICTURE_CUES else cue
    if seen_in not in maps:
        raise KeyError(f"{cue!r} is described from {seen_in!r} maps, but there are only {sorted(maps)}.")
    values = maps[seen_in] / np.float32(255)
    if cue_of(cue) == "blur":
        saliency = next((maps[name] for name in maps if cue_of(name) == "saliency"), None)
        return _describe_blur(values, None if saliency is None else saliency / np.float32(255))
    return _DESCRIPTIONS.get(cue_of(cue), _describe_any)(values)


def _levels(name: str, maps: np.ndarray) -> Description:
    found = np.quantile(maps.reshape(len(maps), -1), LEVELS, axis=1)
    return {f"{name}_at_{level:.0%}": values for level, values in zip(LEVELS, found, strict=True)}


def _describe_depth(maps: np.ndarray) -> Description:
    levels = _levels("depth", maps)
    octaves = np.log2(np.clip(maps, FARTHEST, 1))
    return levels | {
        "depth_range": levels["depth_at_95%"] - levels["depth_at_5%"],
        "depth_spread": maps.std(axis=(1, 2)),
        "depth_octaves": octaves.std(axis=(1, 2)),
    }


def _describe_saliency(maps: np.ndarray) -> Description:
    found: Description = {}
    for power in (2, 4):  # squared, all that is salient counts; to the fourth, what is most so
        weights = _weights(maps, power)
        x, y = weights.sum(axis=1) @ _PLACES, weights.sum(axis=2) @ _PLACES
        wide = np.sqrt((weights.sum(axis=1) * (_PLACES - x[:, None]) ** 2).sum(axis=1))
        high = np.sqrt((weights.sum(axis=2) * (_PLACES - y[:, None]) ** 2).sum(axis=1))
        found |= {f"saliency_{key}_{power}": value for key, value in (_placed(x, y) | {"w": wide, "h": high}).items()}
    spread = np.hypot(found["saliency_w_2"], found["saliency_h_2"])
    place = np.array([_largest_spot(each) for each in maps])
    spot = _placed(place[:, 0], place[:, 1])
    return found | {
        "saliency_compactness": 1 - spread / np.hypot(*2 * [_PLACES.std()]),
        "saliency_size": place[:, 2],
        **{f"saliency_{key}": value for key, value in spot.items()},
    }


def _describe_blur(maps: np.ndarray, saliency: np.ndarray | None) -> Description:
    around_centre = np.exp(-((_PLACES[:, None] - 0.5) ** 2 + (_PLACES - 0.5) ** 2) / 0.05)
    found = _levels("blur", maps) | {
        "blur_mean": maps.mean(axis=(1, 2)),
        "blur_share": (maps > 0.5).mean(axis=(1, 2)),
        "blur_of_centre": (maps * around_centre).sum(axis=(1, 2)) / around_centre.sum(),
    }
    if saliency is not None:
        found["blur_of_subject"] = (maps * _weights(saliency, 4)).sum(axis=(1, 2))
        found["blur_of_the_salient"] = (maps * _weights(saliency, 2)).sum(axis=(1, 2))
    return found


def _describe_colour(pictures: np.ndarray) -> Description:
    _, a, b = np.moveaxis(_to_lab(pictures).reshape(len(pictures), -1, 3), 2, 0)
    chroma = np.quantile(np.hypot(a, b), [0.1, 0.3, 0.5, 0.7, 0.9, 0.98], axis=1)
    return {
        "colour_a": a.mean(axis=1),
        "colour_b": b.mean(axis=1),
        "colour_a_spread": a.std(axis=1),
        "colour_b_spread": b.std(axis=1),
        "colour_vividness": np.sqrt(a.var(axis=1) + b.var(axis=1)),
        **{f"colour_chroma_{number}": values for number, values in enumerate(chroma)},
    }


def _describe_light(pictures: np.ndarray) -> Description:
    lightness = _to_lab(pictures)[..., 0] / 100
    return _levels("light", lightness) | {
        "light_mean": lightness.mean(axis=(1, 2)),
        "light_contrast": lightness.std(axis=(1, 2)),
    }


def _describe_any(maps: np.ndarray) -> Description:
    cells = maps.reshape(len(maps), 4, SIDE // 4, 4, SIDE // 4).mean(axis=(2, 4)).reshape(len(maps), -1)
    return _levels("map", maps) | {f"map_cell_{number}": values for number, values in enumerate(cells.T)}


_DESCRIPTIONS: dict[str, Callable[[np.ndarray], Description]] = {
    "depth": _describe_depth,
    "saliency": _describe_saliency,
    "colour": _describe_colour,
    "light": _describe_light,
}


def _weights(maps: np.ndarray, power: int) -> np.ndarray:
    """Powers of the maps that sum to 1; even where a map is 0 all over."""
    weights = maps.astype(np.float64) ** power + 1e-9
    return weights / weights.sum(axis=(1, 2), keepdims=True)


def _placed(x: np.ndarray, y: np.ndarray) -> Description:
    gaps = np.hypot(x[:, None] - POWER_POINTS[:, 0], y[:, None] - POWER_POINTS[:, 1])
    centre = np.hypot(x - 0.5, y - 0.5)
    return {"x": x, "y": y, "thirds": gaps.min(axis=1), "centre": centre, "aside": abs(x - 0.5), "above": abs(y - 0.5)}


def _largest_spot(saliency: np.ndarray) -> tuple[float, float, float]:
    """Centre (as shares of width and height) and share of the frame of the most salient connected place."""
    smooth = ndimage.gaussian_filter(saliency, 2)
    if smooth.max() <= 0:
        return 0.5, 0.5, 0.0
    spots, count = ndimage.label(smooth >= 0.6 * smooth.max())
    spot = 1 + int(np.argmax(ndimage.sum_labels(smooth, spots, range(1, count + 1))))
    y, x = ndimage.center_of_mass(smooth, spots, spot)
    return (x + 0.5) / SIDE, (y + 0.5) / SIDE, float((spots == spot).mean())


def _to_lab(pictures: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB values in [0, 1], channels last."""
    return rgb_to_lab(torch.from_numpy(pictures).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
