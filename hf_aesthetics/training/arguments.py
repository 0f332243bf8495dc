"""The arguments of a training run: data, model, and transformers' own with the defaults of this task.

Know nothing about how they are carried out.
"""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from transformers import TrainingArguments

from ..data.columns import RatingScale
from ..models.backbones import BACKBONE_PRESETS


@dataclass
class DataArguments:
    """What to train on."""

    dataset: str = field(metadata={"help": "ava, oasis, folder, synthetic, or a Hub repository organisation/name"})
    data_dir: str | None = field(default=None, metadata={"help": "folder of the pictures and their table"})
    dataset_revision: str | None = field(default=None, metadata={"help": "commit, branch or tag on the Hub"})
    min_score: float | None = field(default=None, metadata={"help": "lowest rating, for collections without votes"})
    max_score: float | None = field(default=None, metadata={"help": "highest rating, for collections without votes"})
    num_bins: int | None = field(default=None, metadata={"help": "bins of the scale, for collections without votes"})
    target: str | None = field(
        default=None, metadata={"help": "column of numbers to learn in place of the ratings; give its scale"}
    )
    exclude_ids: str | None = field(
        default=None, metadata={"help": "file of ids that AVA's training must not see, such as a table of EVA"}
    )
    streaming: bool = field(
        default=False, metadata={"help": "read a collection from the Hub while it is used; nothing is kept on disk"}
    )

    series: Literal["folder", "pairs", "fgaesthetics", "edits", "synthetic"] | None = field(
        default=None,
        metadata={
            "help": "series to learn in turn with the ratings: your own with ranks, any table of comparisons, "
            "FGAesthetics, photographs beside edits that do them harm, or rendered ones. The checkpoint is then "
            "chosen by their pair_accuracy; with --metric_for_best_model eval_srcc by the ratings, as without"
        },
    )
    series_dir: str | None = field(
        default=None,
        metadata={"help": "folder of the series and their tables; of edits, of the photographs, or else --dataset"},
    )
    series_picture_name: str | None = field(
        default=None, metadata={"help": 'where pictures of FGAesthetics lie, as "{source}/{series}/{image}.jpg"'}
    )

    @property
    def scale(self) -> RatingScale | None:
        """The scale that was given, if one was."""
        given = (self.min_score, self.max_score, self.num_bins)
        if given == (None, None, None):
            return None
        if self.min_score is None or self.max_score is None or self.num_bins is None:
            raise ValueError(f"A scale needs --min_score, --max_score and --num_bins, got {given}.")
        return RatingScale(self.min_score, self.max_score, self.num_bins)


@dataclass
class ModelArguments:
    """What to train."""

    model_type: str = field(default="nima", metadata={"help": "one of the registered scorers"})
    backbone: str | None = field(
        default=None,
        metadata={
            "help": f"{', '.join(BACKBONE_PRESETS)}; or a checkpoint (Hub repository or folder), of a scorer too; "
            "mobilenet_v2 by default, where the model has a backbone"
        },
    )
    modality: str | None = field(
        default=None, metadata={"help": "what the network sees: rgb, a map, or rgb+<map>; as before by default"}
    )
    extractor: str | None = field(
        default=None, metadata={"help": "network that makes the maps: a folder or a Hub repository[@revision]"}
    )
    view: Literal["squash", "crop"] | None = field(
        default=None, metadata={"help": "evaluation view; squash, or that of the earlier checkpoint"}
    )
    image_size: int | None = field(default=None, metadata={"help": "pixels a side; the backbone's own by default"})
    pooled_stages: list[int] | None = field(
        default=None, metadata={"help": "stages whose outputs the head reads, too; -2 is the last but one"}
    )
    head_dropout: float = field(default=0.75, metadata={"help": "dropout before the last layer"})
    loss: Literal["emd", "mse"] = field(
        default="emd", metadata={"help": "the model's own, or the squared error of the mean for mean-only data"}
    )
    distribution_loss: Literal["emd", "chi_square", "kl", "js", "cjs"] = field(
        default="emd", metadata={"help": "distance of the model's own loss, for models that predict distributions"}
    )
    objective: Literal["binary", "classes", "regression", "ranking"] = field(
        default="regression", metadata={"help": "what aesthetic_baseline is taught"}
    )
    class_vote: Literal["rounded", "modal"] = field(
        default="rounded", metadata={"help": "the class of a picture: its rounded mean, or its most frequent rating"}
    )
    regression_loss: Literal["mse", "mae", "huber"] = field(default="mse", metadata={"help": "of the mean score"})
    ranking_loss: Literal["margin", "triplet", "list_mle"] = field(
        default="margin", metadata={"help": "over the pairs, triplets or the list of a batch"}
    )
    encoding: Literal["fisher", "bag_of_words"] = field(
        default="fisher", metadata={"help": "of the patches of a fisher_vector model"}
    )
    attributes: list[str] | None = field(
        default=None, metadata={"help": "columns of numbers that aadb_net learns beside the ratings"}
    )
    attribute_loss_weight: float = field(default=0.1, metadata={"help": "weight of the loss on the attributes"})
    num_content_clusters: int | None = field(
        default=None, metadata={"help": "kinds of content that aadb_net scores apart; 1, or as before, by default"}
    )
    ranking_loss_weight: float = field(
        default=0.0, metadata={"help": "weight of the loss on pairs of a batch, beside the distribution's"}
    )
    series_loss: Literal["rank_reg", "rank_reg_pairs", "bradley_terry"] = field(
        default="rank_reg", metadata={"help": "what --series teach: how often each wins, or its comparisons"}
    )
    series_loss_weight: float = field(default=1.0, metadata={"help": "weight of the loss on series"})
    align_loss_weight: float = field(default=10.0, metadata={"help": "weight of the loss on captions of comparisons"})
    similarity_loss_weight: float = field(
        default=0.0, metadata={"help": "weight of the loss that pulls pictures of one rank together, others apart"}
    )
    text_tower: str | None = field(
        default=None, metadata={"help": "CLIP whose text tower reads the captions; the one that --backbone is"}
    )
    sequence_length: int | None = field(default=None, metadata={"help": "slots for the tokens of a picture"})
    num_refined: int | None = field(default=None, metadata={"help": "patches of a picture that are seen closely"})
    candidate_share: float | None = field(default=None, metadata={"help": "of the patches, from which they are drawn"})
    mean_loss_weight: float = field(default=0.0, metadata={"help": "weight of the loss on the mean score"})
    std_loss_weight: float = field(default=0.0, metadata={"help": "weight of the loss on the standard deviation"})
    freeze_stages: int = field(
        default=0, metadata={"help": "stages of the backbone to freeze; -1 leaves the last one free, as in a slice"}
    )
    freeze_batch_norm: bool = field(default=False, metadata={"help": "keep the batch norms of the backbone"})
    backbone_license: str | None = field(
        default=None, metadata={"help": "terms of the pretrained weights, for the card; known for the named backbones"}
    )
    license: str | None = field(default=None, metadata={"help": "terms of the trained weights, for the card"})


@dataclass
class AestheticTrainingArguments(TrainingArguments):
    """transformers' `TrainingArguments` with the defaults of this task and a learning rate for the head."""

    output_dir: str = field(
        default="outputs/nima", metadata={"help": "folder of the finished checkpoint; the run lies in <folder>.run"}
    )
    head_learning_rate: float = field(default=1e-3, metadata={"help": "initial learning rate of the head"})
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "stop after so many evaluations without a better one"}
    )
    resume: bool = field(default=False, metadata={"help": "go on from the last checkpoint of the run"})
    ema_decay: float | None = field(
        default=None,
        metadata={"help": "evaluate and keep a running average of the weights with this decay, as 0.99"},
    )
    linear_probe: bool = field(
        default=False, metadata={"help": "fit the last layer in closed form before the first epoch"}
    )
    crop_fraction: float = field(
        default=0.875, metadata={"help": "share of each side that training sees of a picture; 1 for all of it"}
    )
    random_flip: bool = field(default=True, metadata={"help": "whether training mirrors half of the pictures"})
    shuffle_buffer: int = field(
        default=1000, metadata={"help": "of how many pictures of a stream the next one is drawn"}
    )
    learning_rate: float = field(default=1e-4, metadata={"help": "initial learning rate of the backbone"})
    num_train_epochs: float = field(default=10, metadata={"help": "passes over the training pictures"})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "pictures a step and device"})
    series_batch_size: int = field(
        default=64, metadata={"help": "pictures a step and device where series are trained on, about: whole series"}
    )
    compositional_views: float = field(
        default=0.0, metadata={"help": "share of the series in which one picture gets patches of a better one"}
    )
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "pictures a step and device"})
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "course of the learning rates"})
    warmup_steps: float = field(default=0.1, metadata={"help": "steps, or share of them where below 1"})
    eval_strategy: str = field(default="epoch", metadata={"help": "when to evaluate"})
    save_strategy: str = field(default="epoch", metadata={"help": "when to save"})
    save_total_limit: int | None = field(default=2, metadata={"help": "checkpoints of the run to keep"})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "end with the best checkpoint"})
    metric_for_best_model: str | None = field(default="srcc", metadata={"help": "on the validation pictures"})
    greater_is_better: bool | None = field(default=None, metadata={"help": "of that metric; known for ours"})
    remove_unused_columns: bool = field(default=False, metadata={"help": "the transform reads them"})
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "our models have none, and looking for them takes time"}
    )
    logging_strategy: str = field(default="epoch", metadata={"help": "when to log the training loss"})
    hub_strategy: str = field(
        default="checkpoint", metadata={"help": "checkpoint: back the run up at every save; end: only its result"}
    )

    def __post_init__(self) -> None:
        if self.greater_is_better is None:
            errors = ("emd", "emd_2", "mse", "mae", "loss")
            self.greater_is_better = str(self.metric_for_best_model).removeprefix("eval_") not in errors
        if self.push_to_hub and "/" not in (self.hub_model_id or ""):
            raise ValueError(
                f"--push_to_hub needs a repository 'organisation/name', got {self.hub_model_id!r}. "
                "Pass --hub_model_id organisation/name."
            )
        # without an accelerator it only makes torch warn
        self.dataloader_pin_memory = self.dataloader_pin_memory and torch.accelerator.is_available()
        super().__post_init__()


def portable_command(flags: list[str], program: str = "accelerate launch -m hf_aesthetics.training") -> str:
    """
    The command line for a card: what lies on the machine that it ran on is named without its folders.

    Example:
        >>> portable_command(["--data_dir", "/home/ada/photos/oasis", "--output_dir=/tmp/nima", "--seed", "1"])
        'accelerate launch -m hf_aesthetics.training --data_dir PATH/oasis --output_dir=PATH/nima --seed 1'
    """
    portable = []
    for flag in flags:
        name, equals, value = flag.rpartition("=")
        portable.append(f"{name}{equals}PATH/{Path(value).name}" if Path(value).is_absolute() else flag)
    return f"{program} {shlex.join(portable)}"
