"""The task `image-aesthetics` for `transformers.pipeline`, and the record in which every interface answers.

Knows nothing about folders, data sets or the command line.
"""

from typing import Any, TypedDict

import numpy as np
import torch
from transformers import AutoModelForImageClassification, Pipeline, PreTrainedConfig
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import ModelOutput

from .images import read_image


IMAGE_AESTHETICS_TASK = "image-aesthetics"


class AestheticRecord(TypedDict):
    """
    What a scorer says of one picture.

    Args:
        score (`float`):
            Predicted mean score in rating units; higher is better.
        score_std (`float`):
            Predicted standard deviation of the scores: how much people disagree.
        percentile (`float`, *optional*):
            Share, in percent, of the training pictures that the model scores lower; `None` where it was not stored.
        distribution (`dict[str, float]`):
            Predicted share of raters a rating, lowest rating first.
    """

    score: float
    score_std: float
    percentile: float | None
    distribution: dict[str, float]


def aesthetic_records(outputs: ModelOutput, config: PreTrainedConfig) -> list[AestheticRecord]:
    """
    Turns the outputs of a scorer into records, one a picture.

    Args:
        outputs (`ModelOutput`):
            With `logits` of shape `(batch_size, num_labels)`, `score` and `score_std` of shape `(batch_size,)`.
        config (`PreTrainedConfig`):
            The scorer's configuration: bins and, where stored, `score_quantiles`.
    """
    distributions = outputs["logits"].float().softmax(dim=-1).tolist()
    scores, spreads = outputs["score"].tolist(), outputs["score_std"].tolist()
    percentiles = score_percentiles(scores, config.score_quantiles)
    labels = [config.id2label[i] for i in range(config.num_labels)]
    return [
        AestheticRecord(
            score=score,
            score_std=spread,
            percentile=percentile,
            distribution=dict(zip(labels, distribution, strict=True)),
        )
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
    no other way to learn of the task.
    """

    _load_processor = False
    _load_image_processor = True
    _load_feature_extractor = False
    _load_tokenizer = False
    _load_video_processor = False

    def _sanitize_parameters(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, {}, {}

    def preprocess(self, input_: Any) -> dict[str, torch.Tensor]:
        image = input_ if isinstance(input_, (np.ndarray, torch.Tensor)) else read_image(input_)
        return self.image_processor(images=image, return_tensors="pt").to(self.dtype)

    def _forward(self, input_tensors: dict[str, torch.Tensor]) -> ModelOutput:
        return self.model(**input_tensors)

    def postprocess(self, model_outputs: ModelOutput) -> AestheticRecord:
        return aesthetic_records(model_outputs, self.model.config)[0]


def register_pipelines() -> None:
    """Makes the task known to `transformers.pipeline`. Safe to call twice."""
    if IMAGE_AESTHETICS_TASK in PIPELINE_REGISTRY.supported_tasks:
        return
    PIPELINE_REGISTRY.register_pipeline(
        IMAGE_AESTHETICS_TASK,
        pipeline_class=ImageAestheticsPipeline,
        pt_model=AutoModelForImageClassification,
        type="image",
    )
    # the mark would make `save_pretrained` write `custom_pipelines`, after which `pipeline(task, model=repo)` demands
    # `trust_remote_code` of people who have the package
    del ImageAestheticsPipeline._registered_impl
