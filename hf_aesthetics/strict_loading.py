"""
Loading a checkpoint, strictly, with one line for whatever is wrong with it.

Knows nothing about devices or pictures, or what the model is for.
"""

import hashlib
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import resolve_revision
from huggingface_hub.errors import RevisionNotFoundError
from transformers import AutoConfig, AutoImageProcessor, PreTrainedConfig, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

from .hub_faults import HUB_FAULTS, explain_fault, one_line


# DPT builds this layer, but runs it for no input, and its published checkpoints lack it
_NEVER_RUN = ".fusion_stage.layers.0.residual_layer1."


@dataclass(frozen=True)
class LoadedCheckpoint:
    """
    A model, its processor, and what to call them.

    Args:
        model (`PreTrainedModel`):
            In float32, on the CPU.
        processor (`BaseImageProcessor`):
            The model's own.
        name (`str`):
            The repository, or the name of the folder.
        revision (`str`):
            The commit, or the first 12 digits of the SHA-256 of the weights. Files of a folder may change, so only the
            latter says which state of them was loaded.
    """

    model: PreTrainedModel
    processor: BaseImageProcessor
    name: str
    revision: str


def load_checkpoint(
    checkpoint: str | os.PathLike[str],
    auto_class: Any,
    check_config: Callable[[PreTrainedConfig, str], None],
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedCheckpoint:
    """
    Loads a model in float32: every weight of the model must be in the checkpoint, and no other.

    All files come from one commit, and none but safetensors is read for weights. A folder is read without any use of
    the network.

    Args:
        checkpoint (`str` or `os.PathLike`):
            A folder, or a repository on the Hub.
        auto_class:
            Class of transformers that knows the model, such as `AutoModelForImageClassification`.
        check_config (`Callable`):
            Called with the configuration and the name of the checkpoint, before the weights are downloaded; raises a
            `ValueError` for models of the wrong kind.
        revision (`str`, *optional*):
            Commit, branch or tag of the repository; the newest commit where it is left out.
        trust_remote_code (`bool`, *optional*, defaults to `False`):
            Whether to run the code that the checkpoint brings along.

    Raises:
        OSError: If there is no such checkpoint or revision, or it cannot be read.
        ValueError: If it is of the wrong kind, its weights do not fit the model, or a folder comes with a revision.

    Example:
        >>> from transformers import AutoModel
        >>> load_checkpoint(".", AutoModel, lambda config, name: None, revision="main")
        Traceback (most recent call last):
            ...
        ValueError: `revision` is for repositories on the Hub, got 'main' for the folder '.'. Leave it out.
    """
    checkpoint = os.fspath(checkpoint)
    is_folder = Path(checkpoint).is_dir()
    if is_folder and revision is not None:
        raise ValueError(
            f"`revision` is for repositories on the Hub, got {revision!r} for the folder {checkpoint!r}. Leave it out."
        )
    commit = None if is_folder else resolve_commit(checkpoint, revision)
    options = {"revision": commit, "trust_remote_code": trust_remote_code, "local_files_only": is_folder}
    with _one_line_errors(checkpoint):
        config = AutoConfig.from_pretrained(checkpoint, **options)
    check_config(config, checkpoint)  # before the weights are downloaded
    with _one_line_errors(checkpoint):
        processor = AutoImageProcessor.from_pretrained(checkpoint, **options)
        model, report = auto_class.from_pretrained(
            checkpoint,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            output_loading_info=True,
            **options,
        )
    _check_weights(report, checkpoint)
    if commit is None:
        return LoadedCheckpoint(
            model, processor, Path(os.path.abspath(checkpoint)).name, hash_weights(checkpoint)[:12]
        )
    return LoadedCheckpoint(model, processor, checkpoint, commit)


def hash_weights(folder: str | os.PathLike[str]) -> str:
    """
    SHA-256 of the weights of a checkpoint on disk, as `sha256sum model.safetensors` and the Hub show it.

    Args:
        folder (`str` or `os.PathLike`):
            Folder of the checkpoint. Of several weight files, the hash is that of all one after another.

    Raises:
        ValueError: If there are no weights.

    Example:
        >>> hash_weights("results")
        Traceback (most recent call last):
            ...
        ValueError: Expected model.safetensors in 'results', found none. Save the model with save_pretrained.
    """
    paths = sorted(Path(folder).glob("model*.safetensors"))
    if not paths:
        raise ValueError(
            f"Expected model.safetensors in {os.fspath(folder)!r}, found none. Save the model with save_pretrained."
        )
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def resolve_commit(repository: str, revision: str | None = None) -> str:
    """
    The commit behind a branch or tag of a repository on the Hub, or its newest one.

    Raises:
        OSError: If there is no such repository or revision, or the Hub cannot be reached.
    """
    try:
        return resolve_revision(repository, revision=revision).resolved
    except RevisionNotFoundError as error:
        raise OSError(
            f"`revision` must be a commit, branch or tag of {repository!r}, got {revision!r}. "
            f"See https://huggingface.co/{repository}/commits/main."
        ) from error
    except HUB_FAULTS as error:
        raise OSError(
            f"`checkpoint` must be a folder or a repository on the Hub, got {repository!r}. There is no such folder "
            f"here, and as for the Hub: {explain_fault(error, repository)}"
        ) from error


@contextmanager
def _one_line_errors(checkpoint: str) -> Generator[None]:
    try:
        yield
    except Exception as error:  # a stranger's files, read by three libraries: each has its own types of error
        raise OSError(f"Cannot load the checkpoint {checkpoint!r}: {one_line(error)}") from error


def _check_weights(report: dict[str, Any], checkpoint: str) -> None:
    """Refuses a model of which a part was not loaded but drawn at random."""
    names = {
        "missing": sorted(name for name in report["missing_keys"] if _NEVER_RUN not in name),
        "unexpected": sorted(report["unexpected_keys"]),
        "of another shape": sorted(name for name, *_ in report["mismatched_keys"]),
    }
    found = [
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in names.items()
        if keys
    ]
    if found:
        raise ValueError(
            f"The weights in {checkpoint!r} must be exactly those of the model in its config.json, got "
            f"{', '.join(found)}. Save the trained model again with save_pretrained, or choose another checkpoint."
        )
