"""
Spaces: a folder that is the repository as it stands, published in one commit.

Knows nothing about what the Space does.
"""

import os
from pathlib import Path

from huggingface_hub import CommitInfo, RepoCard, constants

from .commits import push_folder


def push_space(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    commit_message: str | None = None,
    parent_commit: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """
    Publishes a folder as a Space in one commit. Afterwards the Space holds the files of the folder and no others.

    Args:
        folder (`str` or `os.PathLike`):
            Such as `spaces/image_aesthetics_metric`. Its README says which `sdk` it runs on.
        repo_id (`str`):
            The Space, such as `"org/image_aesthetics_metric"`; created where it does not exist.
        private (`bool`, *optional*, defaults to `False`):
            Whether a new Space is private.
        commit_message (`str`, *optional*):
            First line of the commit.
        parent_commit (`str`, *optional*):
            The commit that is being replaced; refused if the Space has moved on since.
        token (`str`, *optional*):
            With write access; the one of `hf auth login` where it is left out.

    Raises:
        ValueError: If there is no README that names the `sdk`.
        HubPublishError: If the Hub cannot be reached or refuses.

    Example:
        >>> push_space("spaces/none", "org/none")
        Traceback (most recent call last):
        ...
        ValueError: A Space needs a README.md with `sdk: gradio` or another in its metadata, got 'spaces/none'. Write one.
    """  # noqa: E501
    readme = Path(folder, constants.REPOCARD_NAME)
    sdk = RepoCard.load(readme).data.to_dict().get("sdk") if readme.is_file() else None
    if sdk is None:
        raise ValueError(
            f"A Space needs a README.md with `sdk: gradio` or another in its metadata, got {os.fspath(folder)!r}. "
            "Write one."
        )
    return push_folder(
        folder,
        repo_id,
        repo_type="space",
        space_sdk=sdk,
        private=private,
        commit_message=commit_message,
        parent_commit=parent_commit,
        token=token,
    )
