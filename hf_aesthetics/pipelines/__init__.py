"""The tasks `image-aesthetics` and `image-series-ranking` for `transformers.pipeline`, and the records of both.

Knows nothing about folders, data sets or the command line.
"""

from transformers import AutoModelForImageClassification
from transformers.pipelines import PIPELINE_REGISTRY

from .aesthetics import (
    IMAGE_AESTHETICS_TASK,
    AestheticRecord,
    ImageAestheticsPipeline,
    aesthetic_records,
    check_scorer_config,
    make_pixel_values,
    predicted_distribution,
    rating_labels,
    score_percentiles,
)
from .series import (
    SERIES_RANKING_TASK,
    ImageSeriesRankingPipeline,
    SeriesRecord,
    compare_series,
    pair_probabilities,
    series_record,
)


__all__ = [
    "IMAGE_AESTHETICS_TASK",
    "SERIES_RANKING_TASK",
    "AestheticRecord",
    "ImageAestheticsPipeline",
    "ImageSeriesRankingPipeline",
    "SeriesRecord",
    "aesthetic_records",
    "check_scorer_config",
    "compare_series",
    "make_pixel_values",
    "pair_probabilities",
    "predicted_distribution",
    "rating_labels",
    "register_pipelines",
    "score_percentiles",
    "series_record",
]


def register_pipelines() -> None:
    """Makes the tasks known to `transformers.pipeline`. Safe to call twice."""
    tasks = {IMAGE_AESTHETICS_TASK: ImageAestheticsPipeline, SERIES_RANKING_TASK: ImageSeriesRankingPipeline}
    for task, pipeline_class in tasks.items():
        if task in PIPELINE_REGISTRY.supported_tasks:
            continue
        PIPELINE_REGISTRY.register_pipeline(
            task, pipeline_class=pipeline_class, pt_model=AutoModelForImageClassification, type="image"
        )
        # the mark would make `save_pretrained` write `custom_pipelines`, after which `pipeline(task, model=repo)`
        # demands `trust_remote_code` of people who have the package
        delattr(pipeline_class, "_registered_impl")
