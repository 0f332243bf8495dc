"""
Which other scorers belong to a checkpoint: those of maps of the same pictures, and the one of named features.

Knows nothing about what they say; it reads names and configurations.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import HfApi

from ..hub_faults import reading_from_hub
from ..models.modality_maps import MODALITIES


HANDCRAFTED = "handcrafted"
_SCALE = ("min_score", "max_score", "id2label")


def find_companions(checkpoint: str | os.PathLike[str]) -> dict[str, str]:
    """
    Finds the checkpoints beside one that sees the picture: the folders next to its folder whose scale is the same; on
    the Hub the repositories of the same owner that are called alike but for the modality, as in
    `"org/nima-mobilenet_v2-saliency-parks"` for `"org/nima-mobilenet_v2-rgb-parks"`, and
    `"org/handcrafted-rgb-parks"`.

    Args:
        checkpoint (`str` or `os.PathLike`):
            A folder, or a repository on the Hub.

    Returns:
        `dict[str, str]`: Checkpoints by modality in the order of `MODALITIES`, and one of named features under
        `"handcrafted"`. Of several folders for one modality the first by name.

    Raises:
        OSError: If the Hub cannot be reached or refuses.

    Example:
        >>> find_companions("no/where-in-particular")
        {}
    """
    folder = Path(checkpoint)
    found = _find_folders(folder) if folder.is_dir() else _find_repositories(os.fspath(checkpoint))
    order = [*MODALITIES, HANDCRAFTED]
    return {name: found[name] for name in sorted(found, key=order.index)}


class OwnScore(NamedTuple):
    """
    What a model says that sees one map alone.

    Args:
        score (`float`):
            In rating units.
        error (`float`, *optional*):
            [`Reliability.error`] of that model; `None` where it is not known.
    """

    score: float
    error: float | None


def describe_companions(score: float, own_scores: Mapping[str, OwnScore]) -> str:
    """
    What models of single maps say of a picture beside the one that sees it, in a sentence that claims no difference
    within the error of such a model.

    Args:
        score (`float`):
            Of the whole picture.
        own_scores (`Mapping[str, OwnScore]`):
            By modality.

    Example:
        >>> describe_companions(6.1, {"saliency": OwnScore(4.9, 0.5), "blur": OwnScore(6.3, 0.4)})
        'Of the saliency alone a model would expect 4.9, clearly less than the picture gets; of the blur alone 6.3.'
        >>> describe_companions(6.1, {})
        ''
    """
    parts = []
    for name, own in own_scores.items():
        told = f"of the {name.replace('_', ' ')} alone {'' if parts else 'a model would expect '}{own.score:.1f}"
        if own.error is not None and abs(own.score - score) > own.error:
            told += f", clearly {'more' if own.score > score else 'less'} than the picture gets"
        parts.append(told)
    return f"{'; '.join(parts)}.".capitalize() if parts else ""


def _find_folders(folder: Path) -> dict[str, str]:
    folder = folder.absolute()
    own = _read(folder / "config.json")
    found: dict[str, str] = {}
    for other in sorted(folder.parent.iterdir()):
        if other == folder or not (other / "model.safetensors").is_file():
            continue
        config, processor = _read(other / "config.json"), _read(other / "preprocessor_config.json")
        is_handcrafted = config.get("model_type") == HANDCRAFTED
        name = HANDCRAFTED if is_handcrafted else processor.get("modality", "rgb")
        if name in (*MODALITIES, HANDCRAFTED) and name != "rgb" and all(own.get(x) == config.get(x) for x in _SCALE):
            found.setdefault(name, str(other))
    return found


def _find_repositories(repository: str) -> dict[str, str]:
    before, mark, after = repository.partition("-rgb-")
    if not mark:
        return {}
    names = {name: f"{before}-{name}-{after}" for name in MODALITIES if name != "rgb"}
    names[HANDCRAFTED] = f"{repository.rpartition('/')[0]}/{HANDCRAFTED}-rgb-{after}"
    with reading_from_hub(repository):
        api = HfApi()
        return {name: other for name, other in names.items() if api.file_exists(other, "config.json")}


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
