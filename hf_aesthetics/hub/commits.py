"""
One commit: all files arrive, or nothing changes. Nothing else in the package writes to the Hub.

Knows nothing about what the files are.
"""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from huggingface_hub import (
    CommitInfo,
    CommitOperation,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    get_token,
    snapshot_download,
)
from huggingface_hub.errors import HfHubHTTPError

from ..hub_faults import HubPublishError, reading_from_hub, writing_to_hub


# seconds between tries where the Hub fails; its client has a patience of its own for the contents of files
RETRY_PAUSES = (1.0, 2.0, 4.0)
LARGE_CONTENT = 1 << 20
# made by the Hub or by the machine, and no part of what is published
NOT_OURS = (".gitattributes",)
LEFT_BEHIND = ("__pycache__", ".git", ".cache", ".ipynb_checkpoints", ".DS_Store")

T = TypeVar("T")


def commit_files(
    files: Iterable[tuple[str, Path | bytes]],
    repo_id: str,
    *,
    message: str,
    replaces: Callable[[str], bool],
    repo_type: str = "model",
    space_sdk: str | None = None,
    private: bool = False,
    parent_commit: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """
    Makes a part of a repository exactly `files`, in one commit.

    Contents are uploaded first and are seen by nobody before the commit names them; of a push that broke off, what
    has arrived need not be uploaded again. Where the Hub itself fails, it is asked a few more times.

    Args:
        files (`Iterable[tuple[str, Path | bytes]]`):
            Names in the repository, and contents. They may be generated: large contents in memory are uploaded as they
            come, and forgotten.
        repo_id (`str`):
            The repository, created where it does not exist.
        message (`str`):
            First line of the commit.
        replaces (`Callable[[str], bool]`):
            Whether a file of the repository is one of those that are deleted where `files` lacks them.
        repo_type (`str`, *optional*, defaults to `"model"`):
            `"model"`, `"dataset"` or `"space"`.
        space_sdk (`str`, *optional*):
            What a new Space runs on, such as `"gradio"`.
        private (`bool`, *optional*, defaults to `False`):
            Whether a new repository is private. One that exists must not be public then.
        parent_commit (`str`, *optional*):
            The commit that is being replaced; refused if the repository has moved on since. The newest one where it is
            left out.
        token (`str`, *optional*):
            With write access; the one of `hf auth login` where it is left out.

    Raises:
        HubPublishError: If there is no token, or the Hub cannot be reached or refuses.
    """
    newest = prepare_repository(repo_id, repo_type=repo_type, space_sdk=space_sdk, private=private, token=token)
    api = HfApi(token=token)
    with writing_to_hub(repo_id, repo_type, parent_commit), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
        present = api.list_repo_files(repo_id, repo_type=repo_type, revision=newest)
        additions = []
        for name, content in files:
            additions.append(CommitOperationAdd(name, content))
            if isinstance(content, bytes) and len(content) > LARGE_CONTENT:
                api.preupload_lfs_files(repo_id, additions[-1:], repo_type=repo_type)
        # here, where the client is patient, so that only the short rest is tried again
        api.preupload_lfs_files(repo_id, additions, repo_type=repo_type, free_memory=False)
        stale = {name for name in present if replaces(name)} - {addition.path_in_repo for addition in additions}
        operations: list[CommitOperation] = [*additions]
        operations += [CommitOperationDelete(name) for name in sorted(stale - {*NOT_OURS})]
        num_tries = 0

        def commit() -> CommitInfo:
            nonlocal num_tries
            num_tries += 1
            # naming the parent refuses a push that came in since the files were listed
            return api.create_commit(
                repo_id,
                operations,
                repo_type=repo_type,
                commit_message=message,
                parent_commit=parent_commit or newest,
            )

        try:
            return _retry(commit)
        except HfHubHTTPError as error:
            if error.response.status_code == 412 and num_tries > 1:
                raise HubPublishError(
                    f"Cannot push to {repo_id}: the Hub failed, and now has a newer commit than "
                    f"{parent_commit or newest}, perhaps this one. Look at what changed, then push again."
                ) from error
            raise


def prepare_repository(
    repo_id: str,
    *,
    repo_type: str = "model",
    space_sdk: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """
    Creates a repository where it does not exist, and so finds out whether it can be written to.

    Takes and raises what [`commit_files`] does.

    Returns:
        `str`: Its newest commit.
    """
    if token is None and get_token() is None:
        raise HubPublishError(
            f"Pushing to {repo_id} needs a token with write access, but there is none. "
            "Run `hf auth login`, or set HF_TOKEN."
        )
    api = HfApi(token=token)
    with writing_to_hub(repo_id, repo_type):
        _retry(
            lambda: api.create_repo(repo_id, repo_type=repo_type, space_sdk=space_sdk, private=private, exist_ok=True)
        )
        repo = _retry(lambda: api.repo_info(repo_id, repo_type=repo_type))
    if private and not repo.private:
        raise HubPublishError(
            f"Cannot push to {repo_id}: it is public, but this shall stay private. Make it private in its settings, "
            "or choose another repository."
        )
    return str(repo.sha)


def push_folder(
    folder: str | os.PathLike[str],
    repo_id: str,
    path_in_repo: str = "",
    *,
    repo_type: str = "model",
    space_sdk: str | None = None,
    private: bool = False,
    commit_message: str | None = None,
    parent_commit: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """
    Makes a folder of a repository exactly a folder on disk, in one commit.

    Args:
        folder (`str` or `os.PathLike`):
            The folder on disk. Caches and the like (`__pycache__`, `.git`, ...) stay where they are.
        repo_id (`str`):
            The repository, created where it does not exist.
        path_in_repo (`str`, *optional*, defaults to `""`):
            Folder of the repository, such as `"last-checkpoint"`; files outside stay as they are. The whole repository
            where it is left out.
        commit_message (`str`, *optional*):
            First line of the commit.

    Takes the other arguments and raises what [`commit_files`] does.

    Raises:
        FileNotFoundError: If there is no such folder, or nothing in it.
    """
    prefix = f"{path_in_repo.strip('/')}/" if path_in_repo.strip("/") else ""
    files: dict[str, Path | bytes] = {
        prefix + name: path
        for name, path in files_under(Path(folder)).items()
        if not set(PurePosixPath(name).parts) & set(LEFT_BEHIND)
    }
    if not files:
        raise FileNotFoundError(f"Expected files to push in {os.fspath(folder)!r}, found none. Check the folder.")
    return commit_files(
        files.items(),
        repo_id,
        message=commit_message or f"Publish {prefix.rstrip('/') or Path(folder).resolve().name}",
        replaces=lambda name: name.startswith(prefix),
        repo_type=repo_type,
        space_sdk=space_sdk,
        private=private,
        parent_commit=parent_commit,
        token=token,
    )


def fetch_folder(
    repo_id: str,
    path_in_repo: str,
    local_dir: str | os.PathLike[str],
    *,
    repo_type: str = "model",
    revision: str | None = None,
    token: str | None = None,
) -> Path:
    """
    Downloads a folder of a repository. It appears at once and whole, or not at all.

    Args:
        repo_id (`str`):
            The repository.
        path_in_repo (`str`):
            The folder, such as `"last-checkpoint"`.
        local_dir (`str` or `os.PathLike`):
            A folder that does not exist yet, which will hold what the folder of the repository does.
        repo_type (`str`, *optional*, defaults to `"model"`):
            `"model"`, `"dataset"` or `"space"`.
        revision (`str`, *optional*):
            Commit, branch or tag; the newest commit where it is left out.
        token (`str`, *optional*):
            The one of `hf auth login` where it is left out.

    Returns:
        `Path`: `local_dir`.

    Raises:
        FileExistsError: If `local_dir` exists.
        FileNotFoundError: If the repository has no such folder.
        OSError: If the Hub cannot be reached or refuses, or there is no such repository or revision.
    """
    local_dir, path_in_repo = Path(local_dir).absolute(), path_in_repo.strip("/")
    if local_dir.exists():
        raise FileExistsError(f"`local_dir` must not exist yet, got {str(local_dir)!r}. Remove it or give another.")
    with reading_from_hub(repo_id, repo_type, revision):
        api = HfApi(token=token)
        commit = _retry(lambda: api.repo_info(repo_id, repo_type=repo_type, revision=revision)).sha
        snapshot = snapshot_download(
            repo_id, repo_type=repo_type, revision=commit, token=token, allow_patterns=[f"{path_in_repo}/*"]
        )
    found = Path(snapshot, path_in_repo)
    if not found.is_dir():
        raise FileNotFoundError(f"{repo_id} at {commit} must have a folder {path_in_repo!r}, but has none.")
    local_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=local_dir.parent, prefix=f".{local_dir.name}.") as temporary:
        shutil.copytree(found, Path(temporary, "new")).rename(local_dir)
    return local_dir


def files_under(directory: Path) -> dict[str, Path]:
    """All files of a folder, in depth, by their names relative to it."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path for path in paths}


def _retry(call: Callable[[], T]) -> T:
    """Calls again after each of a few pauses, as long as it is the Hub itself that fails."""
    for pause in RETRY_PAUSES:
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
        time.sleep(pause)
    return call()
