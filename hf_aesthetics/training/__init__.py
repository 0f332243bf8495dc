"""Training of scorers, as functions and as the program `accelerate launch -m hf_aesthetics.training`."""

from ..extras import require_extra


require_extra(__name__, "train", "accelerate", "datasets", "pyarrow", "scipy", "jinja2")

from .arguments import AestheticTrainingArguments, DataArguments, ModelArguments
from .checkpoint import describe_training, finish_checkpoint, score_quantiles
from .preparation import build_scorer, map_collection
from .trainer import AestheticTrainer, train_scorer, validation_metrics


__all__ = [
    "AestheticTrainer",
    "AestheticTrainingArguments",
    "DataArguments",
    "ModelArguments",
    "build_scorer",
    "describe_training",
    "finish_checkpoint",
    "map_collection",
    "score_quantiles",
    "train_scorer",
    "validation_metrics",
]
