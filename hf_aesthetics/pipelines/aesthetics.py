"""The task `image-aesthetics` for `transformers.pipeline`, and the record in which every interface answers.

Knows nothing about folders, data sets or the command line.
"""

from collections.abc import Iterable
from typing import Any, TypedDict

import numpy as np
import torch
from torchvision.transforms.v2 import functional as tvF
from transformers import BatchFeature, Pipeline, PreTrainedConfig
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import ModelOutput

from ..extraction import ModalityExtractor
from ..images import read_image, read_pixels


IMAGE_AESTHETICS_TASK = "image-aesthetics"


class AestheticRecord(TypedDict):
    """
    What a scorer says of one picture.

    Args:
        score (`float`):
            Predicted mean score in rating units; higher is better.
        score_std (`float`, *optional*):
            Predicted standard deviation of the scores: how much people disagree. `None` where the scorer predicts no
            distribution.
        percentile (`float`, *optional*):
            Share, in percent, of the training pictures that the model scores lower; `None` where it was not stored.
        distribution (`dict[str, float]`, *optional*):
            Predicted share of raters a rating, lowest rating first. `None` where the scorer predicts none.
    """

    score: float
    score_std: float | None
    percentile: float | None
    distribution: dict[str, float] | None


def check_scorer_config(config: PreTrainedConfig, name: str) -> None:
    """
    Refuses models that do not score, by their configuration alone.

    Args:
        config (`PreTrainedConfig`):
            Of any model.
        name (`str`):
            What the error calls the checkpoint.

    Raises:
        ValueError: If the configuration has no rating scale.

    Example:
        >>> from transformers import ResNetConfig
        >>> check_scorer_config(ResNetConfig(), "microsoft/resnet-50")
        Traceback (most recent call last):
            ...
        ValueError: Expected a scorer, such as NIMA: a model with `min_score` and `max_score` in its config.json and `score` in its outputs. Got 'microsoft/resnet-50', which is a 'resnet'. Choose a checkpoint trained with hf_aesthetics.
    """  # noqa: E501
    if not (hasattr(config, "min_score") and hasattr(config, "max_score")):
        raise ValueError(
            "Expected a scorer, such as NIMA: a model with `min_score` and `max_score` in its config.json and `score` "
            f"in its outputs. Got {name!r}, which is a {config.model_type!r}. "
            "Choose a checkpoint trained with hf_aesthetics."
        )


def make_pixel_values(
    processor: BaseImageProcessor,
    images: Iterable[Any],
    modality_maps: list[Any] | None = None,
    extractor: ModalityExtractor | None = None,
    min_size: tuple[int, int] | None = None,
) -> BatchFeature:
    """
    Reads pictures by the policy of [`read_image`] and prepares them for a model.

    Args:
        processor (`BaseImageProcessor`):
            The model's image processor.
        images (`Iterable` of `str`, `os.PathLike`, `bytes`, `PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
            Pictures; arrays go to the processor as they are.
        modality_maps (`list`, *optional*):
            Maps of the pictures that were made before.
        extractor ([`ModalityExtractor`], *optional*):
            Makes them where they are missing; what [`ModalityExtractor.of_processor`] gives.
        min_size (`tuple[int, int]`, *optional*):
            Height and width that are enough of a JPEG file; see [`read_pixels`].

    Raises:
        ImageReadError: If a picture cannot be read.
    """
    pictures: list[Any]
    if modality_maps is None and extractor is not None:
        pictures = [
            tvF.to_pil_image(processor.process_image(image, do_convert_rgb=True))
            if isinstance(image, (np.ndarray, torch.Tensor))
            else read_image(image)
            for image in images
        ]
        modality_maps = extractor.make_maps(pictures)
    else:
        pictures = [
            image
            if isinstance(image, (np.ndarray, torch.Tensor))
            # a view with the channels first, which cannot be mistaken, however few pixels high the picture is
            else torch.from_numpy(read_pixels(image, min_size=min_size)).permute(2, 0, 1)
            for image in images
        ]
    # other processors know no maps
    maps: dict[str, Any] = {} if modality_maps is None else {"modality_maps": modality_maps}
    return processor(images=pictures, **maps, return_tensors="pt")


def rating_labels(config: PreTrainedConfig) -> list[str]:
    """Names of a scorer's bins, which are their ratings, lowest first."""
    labels: dict[Any, str] = config.id2label or {}
    return [labels[i] for i in range(len(labels))]


def predicted_distribution(outputs: ModelOutput) -> torch.Tensor | None:
    """
    Predicted shares of the ratings, of shape `(batch_size, num_labels)`; `None` for a scorer that predicts none, such
    as a ranking, which is one whose outputs have no `score_std`.

    Args:
        outputs (`ModelOutput`):
            A scorer's.

    Example:
        >>> predicted_distribution({"logits": torch.zeros(1, 2), "score": torch.ones(1), "score_std": torch.ones(1)})
        tensor([[0.5000, 0.5000]])
        >>> predicted_distribution({"logits": torch.zeros(1, 1), "score": torch.ones(1)}) is None
        True
    """
    return outputs["logits"].float().softmax(dim=-1) if "score_std" in outputs else None


def aesthetic_records(outputs: ModelOutput, config: PreTrainedConfig) -> list[AestheticRecord]:
    """
    Turns the outputs of a scorer into records, one a picture.

    Args:
        outputs (`ModelOutput`):
            With `score` of shape `(batch_size,)`; where a distribution is predicted, `score_std` likewise and `logits`
            of shape `(batch_size, num_labels)`.
        config (`PreTrainedConfig`):
            The scorer's configuration: bins and, where stored, `score_quantiles`.
    """
    scores, labels = outputs["score"].tolist(), rating_labels(config)
    percentiles = score_percentiles(scores, config.score_quantiles)
    spreads: list[float | None] = [None] * len(scores)
    distributions: list[dict[str, float] | None] = [None] * len(scores)
    if (predicted := predicted_distribution(outputs)) is not None:
        spreads = outputs["score_std"].tolist()
        distributions = [dict(zip(labels, shares, strict=True)) for shares in predicted.tolist()]
    return [
        AestheticRecord(score=score, score_std=spread, percentile=percentile, distribution=distribution)
        for score, spread, percentile, distribution in zip(scores, spreads, percentiles, distributions, strict=True)
    ]


def score_percentiles(scores: list[float], quantiles: list[float] | None) -> list[float | None]:
    """
    Where scores stand among a model's scores of its training pictures, in percent.

    Args:
        scores (`list[float]`):
            Scores in rating units.
        quantiles (`list[float]`, *optional*):
            Ascending scores at equally spaced quantiles from 0 to 1.

    Example:
        >>> score_percentiles([1.0, 5.5, 9.0], [3.0, 5.0, 6.0])
        [0.0, 75.0, 100.0]
    """
    if quantiles is None:
        return [None] * len(scores)
    return np.interp(scores, quantiles, np.linspace(0, 100, len(quantiles))).tolist()


class ImageAestheticsPipeline(Pipeline):
    """
    `pipeline("image-aesthetics", model=...)`: a picture, or many, in; [`AestheticRecord`]s out.

    Takes file paths, bytes and PIL pictures. Import `hf_aesthetics` before calling `transformers.pipeline`, which has
    no other way to learn of the task. Where a network makes the maps that the model sees, the one that its processor
    names is loaded, too.

    Raises:
        OSError: If that network cannot be loaded.
        ValueError: If the model is no scorer.
    """

    image_processor: BaseImageProcessor
    _load_processor = False
    _load_image_processor = True
    _load_feature_extractor = False
    _load_tokenizer = False
    _load_video_processor = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_scorer_config(self.model.config, self.model.name_or_path or type(self.model).__name__)
        self.extractor = ModalityExtractor.of_processor(self.image_processor, self.device)

    def _sanitize_parameters(
        self, **pipeline_parameters: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if pipeline_parameters:
            raise TypeError(
                f"`{IMAGE_AESTHETICS_TASK}` takes no parameters but `batch_size` and `num_workers`, got "
                f"{', '.join(map(repr, sorted(pipeline_parameters)))}. Leave them out."
            )
        return {}, {}, {}

    def preprocess(self, input_: Any, **preprocess_parameters: dict) -> dict[str, Any]:
        return dict(make_pixel_values(self.image_processor, [input_], extractor=self.extractor).to(self.dtype))

    def _forward(self, input_tensors: dict[str, Any], **forward_parameters: dict) -> ModelOutput:
        return self.model(**input_tensors)

    def postprocess(self, model_outputs: ModelOutput, **postprocess_parameters: dict) -> AestheticRecord:
        return aesthetic_records(model_outputs, self.model.config)[0]
