"""
Spaces: a folder that is the repository as it stands, published in one commit, with the package that it needs.

Knows nothing about what the Space does.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import CommitInfo, RepoCard, constants

from .commits import LEFT_BEHIND, push_folder


_REQUIREMENTS = "requirements.txt"
_OWN = re.compile(r"^hf_aesthetics(?P<extras>\[[\w,]+\])?==(?P<version>\S+)$", re.MULTILINE)


def push_space(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    wheel: str | os.PathLike[str] | None = None,
    models: Sequence[str] = (),
    private: bool = False,
    commit_message: str | None = None,
    parent_commit: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """
    Publishes a folder as a Space in one commit. Afterwards the Space holds the files of the folder, the wheel, and no
    others.

    A Space is built from its requirements alone, without its other files. So the wheel lies in the repository, and the
    requirement of this package, which must be pinned to its version, becomes the address of the wheel there. Of a
    private Space nobody can read that address: publish the package elsewhere, and leave `wheel` out.

    Args:
        folder (`str` or `os.PathLike`):
            Such as `spaces/image_aesthetics`. Its README says which `sdk` it runs on.
        repo_id (`str`):
            The Space, such as `"org/image_aesthetics"`; created where it does not exist.
        wheel (`str` or `os.PathLike`, *optional*):
            This package, as `make wheel` builds it into `dist/`. Where it is left out the requirements stay as they
            are, and the package comes from a registry.
        models (`Sequence[str]`, *optional*):
            Checkpoints that the Space uses, for the metadata of its README. The first is what `image_aesthetics` asks.
        private (`bool`, *optional*, defaults to `False`):
            Whether a new Space is private.
        commit_message (`str`, *optional*):
            First line of the commit.
        parent_commit (`str`, *optional*):
            The commit that is being replaced; refused if the Space has moved on since.
        token (`str`, *optional*):
            With write access; the one of `hf auth login` where it is left out.

    Raises:
        ValueError: If there is no README that names the `sdk`; or the wheel is not the version that the requirements
            pin, or for a private Space.
        HubPublishError: If the Hub cannot be reached or refuses.

    Example:
        >>> push_space("spaces/none", "org/none")
        Traceback (most recent call last):
        ...
        ValueError: A Space needs a README.md with `sdk: gradio` or another in its metadata, got 'spaces/none'. Write one.
    """  # noqa: E501
    readme = Path(folder, constants.REPOCARD_NAME)
    card = RepoCard.load(readme) if readme.is_file() else None
    sdk = None if card is None else card.data.to_dict().get("sdk")
    if card is None or sdk is None:
        raise ValueError(
            f"A Space needs a README.md with `sdk: gradio` or another in its metadata, got {os.fspath(folder)!r}. "
            "Write one."
        )
    if wheel is not None and private:
        raise ValueError(
            f"`wheel` is for public Spaces: nobody could install it from {repo_id!r}, which is to be private. Leave "
            "it out, and publish the package where the Space can install it from."
        )
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, Path(folder).resolve().name)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        if models:
            card.data["models"] = list(models)
            card.save(copy / constants.REPOCARD_NAME)
        if wheel is not None:
            _add_wheel(copy, Path(wheel), repo_id)
        return push_folder(
            copy,
            repo_id,
            repo_type="space",
            space_sdk=sdk,
            private=private,
            commit_message=commit_message,
            parent_commit=parent_commit,
            token=token,
        )


def _add_wheel(folder: Path, wheel: Path, repo_id: str) -> None:
    """Puts the wheel into the folder of a Space, and its address into the requirements."""
    path = folder / _REQUIREMENTS
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    own = _OWN.search(text)
    if own is None or not wheel.name.startswith(f"hf_aesthetics-{own['version']}-"):
        pinned = "hf_aesthetics==<version>" if own is None else own[0]
        raise ValueError(
            f"{_REQUIREMENTS} of a Space must pin the version of the wheel, got {pinned!r} and {wheel.name!r}. "
            "Correct the line, or build the wheel again with `make wheel`."
        )
    address = f"{constants.ENDPOINT}/spaces/{repo_id}/resolve/main/{wheel.name}"
    line = f"hf_aesthetics{own['extras'] or ''} @ {address}"
    path.write_text(text[: own.start()] + line + text[own.end() :], encoding="utf-8")
    shutil.copy(wheel, folder)
