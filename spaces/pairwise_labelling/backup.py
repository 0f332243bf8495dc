"""Answers in a dataset repository: pushed while people answer, and fetched where the disk has lost them.

Knows nothing about what an answer is.
"""

import logging
import threading
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download

from hf_aesthetics.hub.commits import commit_files, prepare_repository
from hf_aesthetics.hub_faults import HubPublishError, reading_from_hub


FOLDER = "answers"

logger = logging.getLogger(__name__)


class AnswersBackup:
    """
    The files of a folder in a private dataset repository, in one commit at a time.

    A push that fails is one line of warning, and the next one takes everything along: nobody who answers waits for the
    Hub. `pause` is the least time between two pushes, in seconds.
    """

    def __init__(self, repo_id: str, folder: Path, pause: float = 60.0) -> None:
        prepare_repository(repo_id, repo_type="dataset", private=True)
        self.repo_id, self.folder, self.pause = repo_id, folder, pause
        self.is_new, self.is_closing = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work, name="answers-backup", daemon=True)
        self.thread.start()

    def push(self) -> None:
        """Says that there are new answers."""
        self.is_new.set()

    def close(self) -> None:
        """Pushes what is new, and ends."""
        self.is_closing.set()
        self.is_new.set()
        self.thread.join()

    def _work(self) -> None:
        while not self.is_closing.is_set():
            self.is_new.wait()
            self.is_new.clear()
            if not self._push():
                self.is_new.set()
            self.is_closing.wait(self.pause)
        self._push()

    def _push(self) -> bool:
        # read here, so that what is added while it is uploaded is for the next time
        files = [(f"{FOLDER}/{path.name}", path.read_bytes()) for path in sorted(self.folder.glob("*.jsonl"))]
        if not files:
            return True
        try:
            commit_files(
                files,
                self.repo_id,
                message="Answers in progress",
                replaces=lambda name: False,
                repo_type="dataset",
                private=True,
            )
        except HubPublishError as error:
            logger.warning("Answers stay in %s until the next push. %s", self.folder, error)
            return False
        return True


def fetch_answers(repo_id: str, folder: Path) -> None:
    """
    Brings back what the folder lacks. Files only grow, so that of two the longer one has everything.

    Raises:
        OSError: If the Hub cannot be reached or refuses: better not to begin than to begin anew.
        ValueError: If a person answered here and elsewhere at once.
    """
    with reading_from_hub(repo_id, "dataset"):
        api = HfApi()
        if not api.repo_exists(repo_id, repo_type="dataset"):
            return
        names = [name for name in api.list_repo_files(repo_id, repo_type="dataset") if name.startswith(f"{FOLDER}/")]
        pushed = {name: Path(hf_hub_download(repo_id, name, repo_type="dataset")).read_bytes() for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    for name, theirs in pushed.items():
        place = folder / Path(name).name
        ours = place.read_bytes() if place.exists() else b""
        ours = ours[: ours.rfind(b"\n") + 1]
        if not theirs.startswith(ours) and not ours.startswith(theirs):
            raise ValueError(
                f"{place} must continue {name} of {repo_id}, or the other way round, but somebody answered at two "
                "servers at once. Keep one of both files elsewhere."
            )
        if len(theirs) > len(ours):
            partial = place.with_suffix(".part")
            partial.write_bytes(theirs)
            partial.replace(place)
