"""
A run on the Hub: its checkpoints go there while it trains, and come back where it is resumed on another machine.

Knows nothing about what is in a checkpoint, but for the state of the Trainer.
"""

import json
import logging
import os
import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import HfApi
from transformers.trainer import TRAINER_STATE_NAME

from ..hub import HubPublishError, commit_files, fetch_folder, prepare_repository
from ..hub.commits import files_under
from ..hub_faults import reading_from_hub


LAST, BEST = "last-checkpoint", "best-checkpoint"

logger = logging.getLogger(__name__)


class RunBackup:
    """
    The last and the best checkpoint of a run in a repository, replaced in one commit while training goes on.

    A push that fails is one line of warning, and the next one takes everything along: a fault of the Hub ends no run.

    Args:
        repo_id (`str`):
            The repository, created where it does not exist.
        private (`bool`, *optional*, defaults to `False`):
            Whether it is private.
        token (`str`, *optional*):
            With write access; the one of `hf auth login` where it is left out.

    Raises:
        HubPublishError: If there is no token, or the Hub cannot be reached or refuses: before hours of training.
    """

    def __init__(self, repo_id: str, private: bool = False, token: str | None = None) -> None:
        prepare_repository(repo_id, private=private, token=token)
        self.repo_id, self.private, self.token = repo_id, private, token
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="run-backup")
        self.pending: Future[None] | None = None
        self.postponed: tuple[Path, Path | None] | None = None

    def push(self, last: Path, best: Path | None) -> None:
        """Begins to push two checkpoints, or leaves it to the next time where a push is still going on."""
        if self.pending is not None and not self.pending.done():
            self.postponed = last, best
            return
        self.postponed = None
        # by hard links, because the run deletes its older checkpoints
        staged = Path(tempfile.mkdtemp(dir=last.parent, prefix=".push."))
        for name, folder in {LAST: last, BEST: best}.items():
            if folder is not None:
                shutil.copytree(folder, staged / name, copy_function=os.link)
        self.pending = self.executor.submit(self._push, staged, f"Training in progress, {last.name}")

    def wait(self) -> None:
        """Waits until the newest checkpoint has been pushed."""
        while self.pending is not None:
            self.pending.result()
            self.pending = None
            if self.postponed is not None and self.postponed[0].is_dir():
                self.push(*self.postponed)

    def _push(self, staged: Path, message: str) -> None:
        try:
            commit_files(
                files_under(staged).items(),
                self.repo_id,
                message=message,
                replaces=lambda name: name.split("/")[0] in (LAST, BEST),
                private=self.private,
                token=self.token,
            )
        except HubPublishError as error:
            logger.warning("The run goes on without this backup. %s", error)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def fetch_run(repo_id: str, run_dir: str | Path, token: str | None = None) -> bool:
    """
    Brings the checkpoints of a run back from the Hub.

    Args:
        repo_id (`str`):
            Where [`RunBackup`] put them.
        run_dir (`str` or `Path`):
            Folder of the run, without any checkpoint.
        token (`str`, *optional*):
            With read access; the one of `hf auth login` where it is left out.

    Returns:
        `bool`: Whether there was one to go on from.

    Raises:
        OSError: If the Hub cannot be reached or refuses.
    """
    with reading_from_hub(repo_id):
        api = HfApi(token=token)
        if not api.repo_exists(repo_id):
            return False
        folders = {name.split("/")[0] for name in api.list_repo_files(repo_id)}
    if LAST not in folders:
        return False
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=run_dir, prefix=".fetch.") as temporary:
        last = fetch_folder(repo_id, LAST, Path(temporary, LAST), token=token)
        state = json.loads((last / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        if BEST in folders and state["best_global_step"] != state["global_step"]:
            best = fetch_folder(repo_id, BEST, Path(temporary, BEST), token=token)
            best.rename(run_dir / f"checkpoint-{state['best_global_step']}")
        last.rename(run_dir / f"checkpoint-{state['global_step']}")  # last, so that both are there or none
    return True
