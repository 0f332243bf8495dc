"""The features of a picture that can be named, in one table: what each means, in which unit, and who proposed it.

Knows nothing about scores or networks.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from .color_features import (
    blown_highlights,
    colourfulness,
    contrast,
    crushed_shadows,
    exposure,
    foliage,
    high_key,
    hue_count,
    hue_harmony,
    light_from_above,
    light_peak,
    saturation,
    skin,
    sky,
)
from .layout_features import (
    aspect,
    clean_border,
    colour_below,
    colour_layers,
    depth_of_field,
    detail_above,
    edge_spread,
    focus_variation,
    rule_of_thirds,
    simplicity,
    subject_colour,
    subject_light,
    subject_sharpness,
    subject_size,
    symmetry,
)
from .picture_planes import PicturePlanes, picture_planes
from .texture_features import line_coherence, local_contrast, periodicity, sharpness, spectral_roughness


LIGHTING = "lighting"
COMPOSITION = "composition"
OBJECT_EMPHASIS = "object emphasis"
BEAUTY_OF_MODEL = "beauty of model"
BEAUTY_OF_PATTERN = "beauty of pattern"
UNIQUENESS_OF_CONTENT = "uniqueness of content"
# by which people are said to judge a picture, in the order of the table
CRITERIA = (LIGHTING, BEAUTY_OF_PATTERN, COMPOSITION, OBJECT_EMPHASIS, BEAUTY_OF_MODEL, UNIQUENESS_OF_CONTENT)

OURS = "our choice"
DATTA = "Datta et al. 2006, doi 10.1007/11744078_23"
KE = "Ke, Tang & Jing 2006, doi 10.1109/CVPR.2006.303"
LUO = "Luo & Tang 2008, doi 10.1007/978-3-540-88690-7_29"


class ImageFeature(NamedTuple):
    """
    One number about a picture.

    Args:
        meaning (`str`):
            What a high value says, for people.
        unit (`str`):
            Of the value.
        criterion (`str`):
            Which of `CRITERIA` it speaks of.
        source (`str`):
            Who proposed it. How it is made smooth, so that a picture can be changed by its gradient, is ours.
        function (`Callable`, *optional*):
            Planes of `batch_size` pictures -> `(batch_size,)`; `None` for what only a collection can tell.
    """

    meaning: str
    unit: str
    criterion: str
    source: str
    function: Callable[[PicturePlanes], torch.Tensor] | None


IMAGE_FEATURES: dict[str, ImageFeature] = {
    "exposure": ImageFeature(
        "bright", "stops, 0 is white", LIGHTING, "Reinhard et al. 2002, doi 10.1145/566654.566575", exposure
    ),
    "blown_highlights": ImageFeature("lights without detail", "share", LIGHTING, OURS, blown_highlights),
    "crushed_shadows": ImageFeature("darks without detail", "share", LIGHTING, OURS, crushed_shadows),
    "contrast": ImageFeature(
        "far between light and dark", "luma", LIGHTING, "Peli 1990, doi 10.1364/JOSAA.7.002032", contrast
    ),
    "high_key": ImageFeature("much of it nearly white", "share", LIGHTING, OURS, high_key),
    "light_peak": ImageFeature("lit in few places", "log kurtosis", LIGHTING, OURS, light_peak),
    "light_from_above": ImageFeature("lighter above than below", "L*", LIGHTING, OURS, light_from_above),
    "colourfulness": ImageFeature(
        "full of colour",
        "of 255",
        BEAUTY_OF_PATTERN,
        "Hasler & Suesstrunk 2003, doi 10.1117/12.477378",
        colourfulness,
    ),
    "saturation": ImageFeature("pure colours", "share", BEAUTY_OF_PATTERN, DATTA, saturation),
    "hue_count": ImageFeature("many hues", "of 36", BEAUTY_OF_PATTERN, KE, hue_count),
    "hue_harmony": ImageFeature(
        "hues that go together",
        "degrees, 0 is best",
        BEAUTY_OF_PATTERN,
        "Cohen-Or et al. 2006, doi 10.1145/1141911.1141933",
        hue_harmony,
    ),
    "local_contrast": ImageFeature("rich in small contrasts", "luma", BEAUTY_OF_PATTERN, OURS, local_contrast),
    "line_coherence": ImageFeature(
        "straight lines rather than leaves or fur",
        "0 to 1",
        BEAUTY_OF_PATTERN,
        "Bigun & Granlund 1987, structure tensor",
        line_coherence,
    ),
    "spectral_roughness": ImageFeature(
        "unlike nature, which is alike at every scale",
        "octaves of amplitude",
        BEAUTY_OF_PATTERN,
        "Field 1987, doi 10.1364/JOSAA.4.002379",
        spectral_roughness,
    ),
    "periodicity": ImageFeature(
        "repeats itself", "correlation", BEAUTY_OF_PATTERN, "autocorrelation; range of shifts ours", periodicity
    ),
    "aspect": ImageFeature("wide rather than high", "log2 of width / height", COMPOSITION, DATTA, aspect),
    "rule_of_thirds": ImageFeature(
        "subject where the thirds cross", "times average", COMPOSITION, LUO, rule_of_thirds
    ),
    "symmetry": ImageFeature("mirrored left and right", "0 to 1", COMPOSITION, OURS, symmetry),
    "simplicity": ImageFeature("few colours", "-log2 of their number", COMPOSITION, LUO, simplicity),
    "clean_border": ImageFeature("nothing cut off", "-L*a*b*", COMPOSITION, OURS, clean_border),
    "colour_layers": ImageFeature("colour in level bands", "share", COMPOSITION, OURS, colour_layers),
    "colour_below": ImageFeature("colour below rather than above", "-1 to 1", COMPOSITION, OURS, colour_below),
    "edge_spread": ImageFeature("detail up to the borders", "share of the frame", COMPOSITION, KE, edge_spread),
    "detail_above": ImageFeature("detail above rather than below", "-1 to 1", COMPOSITION, OURS, detail_above),
    "sharpness": ImageFeature(
        "sharp",
        "log10 of a variance",
        OBJECT_EMPHASIS,
        "Pech-Pacheco et al. 2000, doi 10.1109/ICPR.2000.903548",
        sharpness,
    ),
    "depth_of_field": ImageFeature("sharp in the middle alone", "share", OBJECT_EMPHASIS, DATTA, depth_of_field),
    "focus_variation": ImageFeature("sharp in places", "0 to 0.5", OBJECT_EMPHASIS, OURS, focus_variation),
    "subject_size": ImageFeature("much that stands out", "share", OBJECT_EMPHASIS, OURS, subject_size),
    "subject_light": ImageFeature("subject lighter than the rest", "L*", OBJECT_EMPHASIS, LUO, subject_light),
    "subject_colour": ImageFeature("subject of other colour", "a*b*", OBJECT_EMPHASIS, OURS, subject_colour),
    "subject_sharpness": ImageFeature(
        "subject sharper than the rest", "stops", OBJECT_EMPHASIS, LUO, subject_sharpness
    ),
    "skin": ImageFeature("colour of skin", "share", BEAUTY_OF_MODEL, OURS, skin),
    "foliage": ImageFeature("colour of leaves", "share", BEAUTY_OF_MODEL, OURS, foliage),
    "sky": ImageFeature("colour of the sky", "share", BEAUTY_OF_MODEL, OURS, sky),
    "uniqueness": ImageFeature(
        "unlike the collection", "standard deviations", UNIQUENESS_OF_CONTENT, "Mahalanobis 1936", None
    ),
}


def image_features(images: torch.Tensor, aspect_ratio: torch.Tensor | None = None) -> torch.Tensor:
    """
    All features that a picture has by itself, in the order of `IMAGE_FEATURES`.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1]. What is fine depends on their size: 256 x 256 is what the package uses.
        aspect_ratio (`torch.Tensor` of shape `(batch_size,)`, *optional*):
            Width / height before the pictures were squashed; by default that of `images`.

    Returns:
        `torch.FloatTensor` of shape `(batch_size, num_features)`.

    Example:
        >>> features = image_features(torch.zeros(2, 3, 32, 48))
        >>> features.shape, features[0, list(IMAGE_FEATURES).index("exposure")].item()
        (torch.Size([2, 34]), -8.0)
    """
    planes = picture_planes(images, aspect_ratio)
    functions = [feature.function for feature in IMAGE_FEATURES.values() if feature.function is not None]
    return torch.stack([function(planes) for function in functions], dim=1)
