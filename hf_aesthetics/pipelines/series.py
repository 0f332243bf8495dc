"""The task `image-series-ranking` for `transformers.pipeline`: which of these pictures is best, and how sure it is.

Knows nothing about folders, or how pictures become a series.
"""

import math
import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, TypedDict

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import ModelOutput

from ..images import ImageReadError, read_image
from ..sources.locations import fetch, is_remote, reading
from .aesthetics import ImageAestheticsPipeline, make_pixel_values


SERIES_RANKING_TASK = "image-series-ranking"


class SeriesRecord(TypedDict):
    """
    What a scorer says of the pictures of a series.

    Args:
        order (`list[int]`):
            Positions of the pictures, the best first: by their probability of winning against another one of them.
        scores (`list[float]`):
            Score of each picture in rating units, in the order of the pictures. That of a model which compares is the
            mean over the comparisons.
        probabilities (`list[list[float]]`):
            In row i and column j how likely picture i is better than picture j; 0.5 in the diagonal.
    """

    order: list[int]
    scores: list[float]
    probabilities: list[list[float]]


def pair_probabilities(scores: Sequence[float], error: float | None = None) -> np.ndarray:
    r"""
    How likely each of several pictures is better than each other one, by their scores.

    Without an `error` it is the model of Bradley and Terry, $\sigma(s_i - s_j)$, as
    [FGAesQ](https://huggingface.co/papers/2603.03907) reads scores: what models that learnt series are taught, and for
    others no more than a monotone function of the difference. With the mean absolute error $e$ of a model, and errors
    that are normal and independent, it is $\Phi\big((s_i - s_j) / (e \sqrt{\pi})\big)$ (our choice). The pictures of a
    series look alike and errors on them are, too, so that this says too little rather than too much.

    Args:
        scores (`Sequence[float]`):
            In rating units.
        error (`float`, *optional*):
            Mean absolute error of the scores, such as [`Reliability.error`].

    Returns:
        `np.ndarray` of shape `(num_pictures, num_pictures)`.

    Raises:
        ValueError: If `error` is not above 0.

    Example:
        >>> pair_probabilities([6.0, 5.0]).round(3).tolist()
        [[0.5, 0.731], [0.269, 0.5]]
        >>> pair_probabilities([6.0, 5.0], error=0.5).round(3).tolist()
        [[0.5, 0.87], [0.13, 0.5]]
    """
    if error is not None and not error > 0:
        raise ValueError(f"`error` must be above 0, got {error}. Leave it out where it is not known.")
    difference = torch.tensor(scores, dtype=torch.float64)
    difference = difference[:, None] - difference[None, :]
    if error is None:
        return difference.sigmoid().numpy()
    return torch.special.ndtr(difference / (error * math.sqrt(math.pi))).numpy()


def series_record(scores: Sequence[float], probabilities: np.ndarray) -> SeriesRecord:
    """
    The record of one series; its order follows from the probabilities, ties from the scores.

    Args:
        scores (`Sequence[float]`):
            Of the pictures.
        probabilities (`np.ndarray` of shape `(num_pictures, num_pictures)`):
            In row i and column j how likely picture i is better than picture j.

    Example:
        >>> series_record([5.0, 6.0], pair_probabilities([5.0, 6.0]))["order"]
        [1, 0]
    """
    wins = probabilities.sum(axis=1).round(12)  # sums of the same numbers in another order are a tie
    order = sorted(range(len(scores)), key=lambda image: (-wins[image], -scores[image]))
    return SeriesRecord(order=order, scores=list(map(float, scores)), probabilities=probabilities.tolist())


def compare_series(
    model: PreTrainedModel, processor: BaseImageProcessor, pictures: Sequence[Any], batch_size: int = 16
) -> SeriesRecord | None:
    """
    Asks a model that sees the pictures of a series beside each other; `None` for one that sees them one by one.

    Such a model has a processor with `preprocess_series`, which makes two rows of a pair of pictures; it answers with
    `pair_probabilities` beside the scores, and is told by `pair_images` which pairs it sees.

    Args:
        model (`PreTrainedModel`), processor (`BaseImageProcessor`):
            Of one checkpoint.
        pictures (`Sequence`):
            At least 2, each read before.
        batch_size (`int`, *optional*, defaults to 16):
            How many rows go through the model together, at least the 2 of a pair.
    """
    preprocess = getattr(processor, "preprocess_series", None)
    if preprocess is None:
        return None
    pairs = list(combinations(range(len(pictures)), 2))
    sums, probabilities = np.zeros(len(pictures)), np.full((len(pictures),) * 2, 0.5)
    step = max(batch_size // 2, 1)
    for start in range(0, len(pairs), step):
        few = pairs[start : start + step]
        # pair by pair, because the rows of a whole series may be more than memory holds
        parts = [preprocess([pictures[first], pictures[second]]) for first, second in few]
        inputs = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        inputs["pair_images"] = torch.tensor(few)
        with torch.inference_mode():
            outputs = model(**BatchFeature(inputs).to(model.device, model.dtype))
        chances, scores = outputs.pair_probabilities.tolist(), outputs.score.view(-1, 2).tolist()
        for (first, second), chance, both in zip(few, chances, scores, strict=True):
            probabilities[first, second], probabilities[second, first] = chance, 1 - chance
            sums[[first, second]] += both
    return series_record((sums / (len(pictures) - 1)).tolist(), probabilities)


class ImageSeriesRankingPipeline(ImageAestheticsPipeline):
    """
    `pipeline("image-series-ranking", model=...)`: the pictures of a series in, a [`SeriesRecord`] out; of several
    series, a list of lists, a list of them.

    Every scorer will do. One that sees pictures beside each other, such as FGAesQ, compares all pairs; the scores of
    others become probabilities by [`pair_probabilities`], with `error` where it is given.

    Raises:
        ImageReadError: If a picture cannot be read; [`rank`] goes on with the others.
        ValueError: If a series has fewer than 2 pictures, or the model is no scorer.
        OSError: If the network that makes the maps of the model cannot be loaded.
    """

    def __call__(self, inputs: Any, *args: Any, batch_size: int | None = None, **kwargs: Any) -> Any:
        """
        Args:
            inputs (`list`, or `list[list]`):
                The pictures of a series, as paths, URLs, bytes or PIL pictures; or several series.
            batch_size (`int`, *optional*, defaults to 16):
                How many pictures of a series go through the model together.
            error (`float`, *optional*):
                Mean absolute error of the scores, for models that see pictures one by one.
        """
        if isinstance(inputs, str | bytes | os.PathLike | Image.Image | Mapping):
            raise ValueError(f"Expected a list of pictures, got {type(inputs).__name__}. Pass the series as a list.")
        several = list(inputs)
        are_series = [isinstance(series, list | tuple) for series in several]
        if any(are_series) and not all(are_series):
            raise ValueError(
                "Expected the pictures of one series, or several lists of pictures, got some of both: number "
                f"{are_series.index(not are_series[0])} is another kind than number 0. Put each series into a list."
            )
        together = batch_size if batch_size is not None else self._batch_size or 16
        if together < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {together}.")
        records = []
        for number, series in enumerate(several if any(are_series) else [several]):
            whose = f"series {number}" if any(are_series) else "the list"
            asked = {"images": list(series), "together": together, "whose": whose}
            records.append(super().__call__(asked, batch_size=1, **kwargs))
        return records if any(are_series) else records[0]

    def _sanitize_parameters(
        self, **pipeline_parameters: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown := sorted(pipeline_parameters.keys() - {"error"}):
            raise TypeError(
                f"`{SERIES_RANKING_TASK}` takes no parameters but `batch_size` and `error`, got "
                f"{', '.join(map(repr, unknown))}. Leave them out."
            )
        return {}, {}, pipeline_parameters

    def preprocess(self, input_: Any, **preprocess_parameters: dict) -> dict[str, Any]:
        images, whose = input_["images"], input_["whose"]
        if len(images) < 2:
            raise ValueError(f"A series needs at least 2 pictures, got {len(images)} in {whose}. Pass more.")
        return {**input_, "images": [_read(image, f"number {at} of {whose}") for at, image in enumerate(images)]}

    def _forward(self, input_tensors: dict[str, Any], **forward_parameters: dict) -> ModelOutput:
        pictures, together = input_tensors["images"], input_tensors["together"]
        compared = compare_series(self.model, self.image_processor, pictures, together)
        if compared is not None:
            return ModelOutput(compared)
        scores = []
        for start in range(0, len(pictures), together):
            batch = pictures[start : start + together]
            inputs = make_pixel_values(self.image_processor, batch, extractor=self.extractor)
            scores += self.model(**inputs.to(self.device, self.dtype)).score.tolist()
        return ModelOutput(scores=scores)

    def postprocess(self, model_outputs: ModelOutput, **postprocess_parameters: Any) -> Any:
        if "order" in model_outputs:
            return dict(model_outputs)
        scores = model_outputs["scores"]
        return series_record(scores, pair_probabilities(scores, postprocess_parameters.get("error")))


def _read(source: Any, place: str) -> Image.Image:
    try:
        if isinstance(source, str) and is_remote(source):
            with reading(source, source):
                source = fetch(source)
        return read_image(source)
    except ImageReadError as error:
        raise ImageReadError(f"{error} It is {place}.") from error
