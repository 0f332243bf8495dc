"""A study in words: how it was done, what must be known to read it, and a short table of what was found.

Knows nothing about how anything is computed.
"""

import platform
from collections.abc import Mapping, Sequence

import torch
import transformers

from .. import __version__
from ..analysis.findings import Estimate, StudyFindings
from ..data.splits import split_fingerprint
from ..extraction import needs_network
from ..training import AestheticTrainingArguments
from ..training.cross_validation import FoldArguments
from ..training.preparation import name_backbone
from .modality_models import DepthChoice, StudiedModality


def describe_method(
    studied: Sequence[StudiedModality],
    choices: Mapping[str, DepthChoice],
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
    initialise: str = "pretrained",
    command: str | None = None,
) -> dict[str, str]:
    """
    How a study was done, for its report.

    Args:
        studied (`Sequence[StudiedModality]`):
            The modalities.
        choices (`Mapping[str, DepthChoice]`):
            The freezing depth of each that was trained for the study.
        fold_args ([`FoldArguments`]), args ([`AestheticTrainingArguments`]):
            The folds and the training.
        initialise (`str`, *optional*, defaults to `"pretrained"`):
            What the models of the other modalities start from.
        command (`str`, *optional*):
            The command line that repeats it.
    """
    collection, model_args = studied[0].collection, studied[0].model_args
    ids = [image_id for labels in collection.labels.values() for image_id in labels["image_id"]]
    seeds = ", ".join(map(str, fold_args.fold_seeds))
    name, _ = name_backbone(model_args)
    size = "" if model_args.image_size is None else f", {model_args.image_size} pixels a side"
    described = {
        "pictures": f"{len(ids)} of {collection.name}; SHA-256 of the sorted ids {split_fingerprint(ids)}",
        "folds": f"the published split, trained with seed {seeds}"
        if fold_args.fixed_split
        else f"{fold_args.num_folds}, "
        + (f"none parts a {fold_args.groups}" if fold_args.groups else "at random")
        + f"; folding {seeds}; an inner part chose the epoch",
        "network": f"{model_args.model_type} over {name}{size}",
        "start": "the backbone"
        if initialise == "pretrained"
        else "rgb from the backbone, the others from the model of rgb of the same fold",
        "training": f"{args.num_train_epochs:g} epochs, {args.train_batch_size} pictures a step, learning rate "
        f"{args.learning_rate:g}, head {args.head_learning_rate:g}"
        + (f", running average {args.ema_decay:g}" if args.ema_decay else "")
        + (", last layer fitted in closed form first" if args.linear_probe else ""),
        "frozen stages": "; ".join(f"{name} {_describe_choice(choice)}" for name, choice in choices.items())
        + (
            "; by the SRCC on the inner part of the first fold, one seed"
            if any(c.validation_srcc for c in choices.values())
            else ""
        ),
        "intervals": "95 %, bootstrap over "
        + (f"{fold_args.groups}s" if fold_args.groups else "pictures")
        + "; variants of a cue are counted by the first",
        "software": f"hf_aesthetics {__version__}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}, Python {platform.python_version()}",
    }
    if collection.revision is not None:
        described["revision"] = collection.revision
    return described if command is None else {**described, "command": command}


def _describe_choice(choice: DepthChoice) -> str:
    tried = [
        f"{depth}: {'undefined' if srcc is None else f'{srcc:.3f}'}" for depth, srcc in choice.validation_srcc.items()
    ]
    return f"{choice.depth} ({', '.join(tried)})" if tried else str(choice.depth)


def find_limits(studied: Sequence[StudiedModality]) -> list[str]:
    """
    What must be known to read a study, the terms of the collection among them.

    Args:
        studied (`Sequence[StudiedModality]`):
            The modalities.
    """
    facts = studied[0].collection.facts
    limits = [
        "A modality is as strong as its network has learnt to read it: with other pictures to learn from, or another "
        "network, the order may change."
    ]
    for each in studied:
        modality, extractor = str(each.model_args.modality), each.model_args.extractor
        if not needs_network(modality) or extractor is None or each.degradation is not None:
            continue
        source = each.source.removeprefix("the picture itself, and ")
        limits.append(
            f"The {each.map_column} maps come from {source}: they hold what this network has learnt, its "
            "errors too, and its terms apply."
        )
    if degraded := sorted({str(each.map_column) for each in studied if each.degradation is not None}):
        limits.append(
            f"{' and '.join(degraded).capitalize()} maps that are made worse stand in for a second extractor: what "
            "does not hold with them is not claimed."
        )
    if facts.notice:
        limits.append(f"{facts.notice[0].upper()}{facts.notice[1:]}.")
    limits.append(f"{facts.name[0].upper()}{facts.name[1:]}: {facts.license}.")
    if facts.citation:
        limits.append(f"To cite: {facts.citation}")
    return list(dict.fromkeys(limits))


def findings_table(findings: StudyFindings) -> str:
    """
    What was found, for a terminal: a row for each modality, and the verdict.

    Args:
        findings ([`~hf_aesthetics.analysis.findings.StudyFindings`]):
            Of one collection.
    """
    rows = [*findings.modalities, *([findings.fusion] if findings.fusion else [])]
    width = 2 + max(len(row.modality) for row in rows)
    lines = [f"{'':<{width}}{'SRCC':<24}{'skill':<24}{'unique':<24}{'beyond rgb':<24}made by"]
    for row in rows:
        cells = "".join(f"{_write(estimate):<24}" for estimate in (row.srcc, row.skill, row.unique, row.beyond_rgb))
        lines.append(f"{row.modality:<{width}}{cells}{row.source}")
    return "\n".join([*lines, "", f"{findings.collection}: {findings.verdict.sentence}"])


def _write(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
