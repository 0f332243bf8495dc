"""A study: models of all modalities on one rated collection, and the report of what they explain.

python -m hf_aesthetics.study --dataset oasis --data_dir PATH --groups theme --output_dir outputs/study
"""

from ..extras import require_extra


require_extra(__name__, "train", "accelerate", "datasets", "pyarrow", "scipy", "jinja2", "sklearn")

from .analyse import find_all
from .arguments import StudyArguments
from .degradations import DEGRADATIONS, degrade
from .modality_models import StudiedModality, load_modality, map_modality, train_modality
from .summary import describe_method, findings_table
from .write_up import write_study


__all__ = [
    "DEGRADATIONS",
    "StudiedModality",
    "StudyArguments",
    "degrade",
    "describe_method",
    "find_all",
    "findings_table",
    "load_modality",
    "map_modality",
    "train_modality",
    "write_study",
]
