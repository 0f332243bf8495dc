"""Everything that is published: checkpoints, data sets and Spaces, each in one commit, or not at all."""

from ..extras import require_extra


require_extra(__name__, "evaluation", "datasets", "pyarrow", "scipy", "jinja2")

from ..hub_faults import HubPublishError
from .checkpoints import (
    add_results,
    check_checkpoint,
    push_checkpoint,
    push_code,
    require_replaceable,
    save_checkpoint,
)
from .commits import commit_files, fetch_folder, prepare_repository, push_folder
from .datasets import push_dataset
from .spaces import push_space
from .verdicts import Verdict, judge_checkpoint, judge_dataset, judge_space


__all__ = [
    "HubPublishError",
    "Verdict",
    "add_results",
    "check_checkpoint",
    "commit_files",
    "fetch_folder",
    "judge_checkpoint",
    "judge_dataset",
    "judge_space",
    "prepare_repository",
    "push_checkpoint",
    "push_code",
    "push_dataset",
    "push_folder",
    "push_space",
    "require_replaceable",
    "save_checkpoint",
]
