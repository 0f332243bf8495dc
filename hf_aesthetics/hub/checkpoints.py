"""
Checkpoints on disk and on the Hub: saved whole, checked, and published in one commit.

Knows nothing about how models are trained or measured.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitInfo, ModelCard, constants
from transformers import PreTrainedModel
from transformers.dynamic_module_utils import get_relative_import_files
from transformers.image_processing_utils import BaseImageProcessor

from .. import __version__
from ..cards import address_card, eval_result_files, report_folders
from ..data.training_ids import TRAINING_IDS_FILE
from ..evaluation import EvaluationReport
from ..scoring import hash_weights
from .commits import commit_files, files_under


CONFIG_FILES = ("config.json", "preprocessor_config.json")
RESULT_FOLDERS = ("evaluation", ".eval_results")
CODE_CARD = f"""---
license: apache-2.0
tags:
- image-aesthetics
---

# Code of the models of hf_aesthetics {__version__}

No weights are here. Checkpoints whose `auto_map` names this repository run this code when they are loaded with
`trust_remote_code=True`; pin it with `code_revision="<commit>"`.
"""


def save_checkpoint(
    model: PreTrainedModel,
    processor: BaseImageProcessor,
    directory: str | os.PathLike[str],
    *,
    code_repo: str | None = None,
) -> Path:
    """
    Saves a model, its processor and the code of both, so that `from_pretrained` works without this package.

    The folder appears at once and whole, or not at all. Go on with the evaluation of what lies on disk, then
    [`add_results`] and [`push_checkpoint`].

    Args:
        model (`PreTrainedModel`), processor (`BaseImageProcessor`):
            Of this package.
        directory (`str` or `os.PathLike`):
            A new or empty folder, or one with an earlier checkpoint, which is replaced.
        code_repo (`str`, *optional*):
            Repository with the code ([`push_code`]), such as `"org/aesthetics-code"`: then the checkpoint refers to it
            and carries no code of its own. One place to mend for many checkpoints; they follow its newest commit
            unless users pin `code_revision`.

    Returns:
        `Path`: The folder.

    Raises:
        FileExistsError: If the folder holds files that are no part of a checkpoint.
    """
    directory = Path(directory).absolute()
    require_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # beside the destination, because a rename is atomic only within one file system
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as temporary:
        unfinished, replaced = Path(temporary, "new"), Path(temporary, "old")
        unfinished.mkdir()
        model.save_pretrained(unfinished)
        processor.save_pretrained(unfinished)
        if code_repo is not None:
            _refer_to_code(unfinished, code_repo)
        if directory.exists():
            directory.rename(replaced)
        unfinished.rename(directory)
    return directory


def require_replaceable(directory: str | os.PathLike[str]) -> None:
    """
    Refuses a folder that [`save_checkpoint`] would not write to, before hours of work end there.

    Args:
        directory (`str` or `os.PathLike`):
            A new or empty folder, or one with an earlier checkpoint.

    Raises:
        FileExistsError: If the folder holds files that are no part of a checkpoint.
    """
    directory = Path(directory)
    if directory.exists():
        foreign = [name for name in files_under(directory) if not _is_checkpoint_file(name)]
        if foreign or not directory.is_dir():
            raise FileExistsError(
                f"`directory` must be new, empty or an earlier checkpoint, got {directory}, which "
                f"{f'also holds {foreign[0]}' if foreign else 'is a file'}. Choose another folder."
            )


def add_results(
    directory: str | os.PathLike[str], reports: EvaluationReport | Sequence[EvaluationReport], card: ModelCard
) -> None:
    """
    Puts the evaluation of a saved checkpoint and its card beside the weights, in place of earlier ones.

    Args:
        directory (`str` or `os.PathLike`):
            Folder of the checkpoint.
        reports (`EvaluationReport` or a sequence of them):
            Evaluations of these very weights, the most important one first.
        card (`huggingface_hub.ModelCard`):
            See [`~hf_aesthetics.cards.render_model_card`].

    Raises:
        ValueError: If a report was made for other weights.
    """
    directory = Path(directory)
    reports = [reports] if isinstance(reports, EvaluationReport) else list(reports)
    for report in reports:
        _check_report(report, directory)
    for name in RESULT_FOLDERS:
        shutil.rmtree(directory / name, ignore_errors=True)
    for report, folder in zip(reports, report_folders(reports), strict=True):
        report.save(directory / folder)
    for name, content in eval_result_files(reports).items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content, encoding="utf-8")
    card.save(directory / constants.REPOCARD_NAME)


def check_checkpoint(directory: str | os.PathLike[str]) -> None:
    """
    Refuses a folder that a stranger could not load, or whose figures belong to other weights.

    Raises:
        ValueError: If weights, a configuration, code or the card are missing, the network that makes its maps is a
            folder of this machine, or a report was made for other weights.

    Example:
        >>> check_checkpoint("results/unfinished")
        Traceback (most recent call last):
            ...
        ValueError: A checkpoint must hold config.json, but results/unfinished does not. Save it with save_checkpoint(model, processor, directory).
    """  # noqa: E501
    directory = Path(directory)
    for name in CONFIG_FILES:
        if not (directory / name).is_file():
            raise ValueError(
                f"A checkpoint must hold {name}, but {directory} does not. "
                "Save it with save_checkpoint(model, processor, directory)."
            )
        _check_code(directory, name)
    hash_weights(directory)
    if not (directory / constants.REPOCARD_NAME).is_file():
        raise ValueError(
            f"A checkpoint must hold its card README.md, but {directory} does not. Evaluate it, then "
            "add_results(directory, report, render_model_card(directory, report, facts=...))."
        )
    _check_extractor(directory)
    for path in sorted(directory.glob("evaluation/**/report.json")):
        _check_report(EvaluationReport.load(path.parent), directory)


def push_checkpoint(
    directory: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    drop: Sequence[str] = (),
    commit_message: str | None = None,
    parent_commit: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """
    Publishes a checkpoint in one commit: all of it arrives, or nothing changes.

    Afterwards the repository holds the configurations, code, weights and results of the folder and no older ones; its
    other files stay as they are.

    Args:
        directory (`str` or `os.PathLike`):
            Folder that passes [`check_checkpoint`].
        repo_id (`str`):
            Repository, such as `"org/nima-mobilenet-v2-rgb-ava"`; created where it does not exist.
        private (`bool`, *optional*, defaults to `False`):
            Whether a new repository is private.
        drop (`Sequence[str]`, *optional*):
            Other folders of the repository to delete in the same commit, such as `"last-checkpoint"` of a run that is
            done.
        commit_message (`str`, *optional*):
            First line of the commit.
        parent_commit (`str`, *optional*):
            The commit that is being replaced; refused if the repository has moved on since. The newest one where it is
            left out.
        token (`str`, *optional*):
            With write access; the one of `hf auth login` where it is left out.

    Returns:
        `CommitInfo`: With `oid` and `commit_url`.

    Raises:
        ValueError: If the folder does not pass.
        HubPublishError: If the Hub cannot be reached or refuses.
    """
    check_checkpoint(directory)
    files: dict[str, Path | bytes] = {
        name: path for name, path in files_under(Path(directory)).items() if _is_checkpoint_file(name)
    }
    card = Path(directory, constants.REPOCARD_NAME).read_text(encoding="utf-8")
    files[constants.REPOCARD_NAME] = address_card(card, repo_id).encode()
    return commit_files(
        files.items(),
        repo_id,
        message=commit_message or f"Publish {Path(directory).resolve().name}",
        replaces=lambda name: _is_checkpoint_file(name) or name.split("/")[0] in drop,
        private=private,
        parent_commit=parent_commit,
        token=token,
    )


def push_code(
    repo_id: str,
    *,
    private: bool = False,
    commit_message: str = "Publish the code of the models",
    parent_commit: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """
    Publishes the code of all models, for checkpoints that are saved with `code_repo=repo_id`.

    Takes and raises what [`push_checkpoint`] does.
    """
    folder = Path(__file__).parents[1] / "models"
    files: dict[str, Path | bytes] = {path.name: path for path in sorted(folder.glob("*.py"))}
    files[constants.REPOCARD_NAME] = CODE_CARD.encode()
    del files["__init__.py"]
    return commit_files(
        files.items(),
        repo_id,
        message=commit_message,
        replaces=_is_checkpoint_file,
        private=private,
        parent_commit=parent_commit,
        token=token,
    )


def _is_checkpoint_file(name: str) -> bool:
    """Whether a file is a part of a checkpoint, by its name; all else is the user's own."""
    folder = name.split("/")[0]
    if folder != name:
        return folder in RESULT_FOLDERS
    return name in (constants.REPOCARD_NAME, TRAINING_IDS_FILE) or name.endswith((".json", ".py", ".safetensors"))


def _refer_to_code(directory: Path, code_repo: str) -> None:
    for name in CONFIG_FILES:
        path = directory / name
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["auto_map"] = {auto: f"{code_repo}--{entry}" for auto, entry in fields["auto_map"].items()}
        path.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for path in directory.glob("*.py"):
        path.unlink()


def _check_code(directory: Path, config_file: str) -> None:
    """Every class that a configuration names must come with its file and all that this file imports."""
    auto_map = json.loads((directory / config_file).read_text(encoding="utf-8")).get("auto_map", {})
    if not auto_map:
        raise ValueError(
            f"{config_file} must say where its code is (`auto_map`), but the one in {directory} does not. "
            "Import hf_aesthetics before the model is made, and save it with save_checkpoint(...)."
        )
    for entry in auto_map.values():
        if "--" in entry:  # the code lies in a repository of its own
            continue
        try:
            get_relative_import_files(directory / f"{entry.split('.')[0]}.py")  # reads them all
        except FileNotFoundError as error:
            raise ValueError(
                f"A checkpoint must hold the code that its {config_file} names, but {directory} lacks "
                f"{Path(error.filename).name}. Save it again with save_checkpoint(model, processor, directory)."
            ) from error


def _check_extractor(directory: Path) -> None:
    """The network that makes the maps must be one that others can fetch."""
    fields = json.loads((directory / CONFIG_FILES[1]).read_text(encoding="utf-8"))
    checkpoint = fields.get("extractor_checkpoint")
    if checkpoint is not None and (Path(checkpoint).is_dir() or Path(checkpoint).is_absolute()):
        raise ValueError(
            f"The maps of {directory} must come from a repository on the Hub, but {CONFIG_FILES[1]} names the folder "
            f"{checkpoint}. Publish that network, and set extractor_checkpoint and extractor_revision to its "
            "repository and commit."
        )


def _check_report(report: EvaluationReport, directory: Path) -> None:
    on_disk, measured = hash_weights(directory), report.weights_sha256
    if measured != on_disk:
        made_for = measured[:12] if measured else "a model in memory"
        raise ValueError(
            f"The report was made for revision {made_for} but the model on disk is {on_disk[:12]}; "
            "evaluate again before pushing."
        )
