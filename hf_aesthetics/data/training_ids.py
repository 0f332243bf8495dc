"""
Which pictures a checkpoint has seen in training, so that nobody measures it on them by mistake.

The ids are kept as hashes: they find out an overlap, and do not publish what files were called. Knows nothing about
models.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from transformers.utils import cached_file


TRAINING_IDS_FILE = "training_ids.parquet"


@dataclass(frozen=True)
class TrainingIds:
    """
    Ids of the pictures that a checkpoint was trained on, and by which it was chosen.

    Args:
        table (`pyarrow.Table`):
            One row a picture: the `dataset` and `split` it was in, and `id_hash`, the first 8 bytes of the SHA-256 of
            its id as an integer.

    Example:
        >>> seen = TrainingIds.of_splits("parks", {"train": ["I1", "I2"], "validation": ["I3"]})
        >>> seen.overlap("parks", ["I2", "I3", "I4"])
        {'train': 1, 'validation': 1}
        >>> seen.overlap("lakes", ["I2", "I3", "I4"])  # the same ids, but of another collection
        {'train of parks': 1, 'validation of parks': 1}
    """

    table: pa.Table

    @classmethod
    def of_splits(cls, dataset: str, splits: Mapping[str, Iterable[str]]) -> "TrainingIds":
        """Ids of the splits of a data set, by the names of the splits."""
        hashes = {split: _hash_ids(image_ids) for split, image_ids in splits.items()}
        names = np.repeat(list(hashes), [len(found) for found in hashes.values()])
        return cls(
            pa.table(
                {
                    "dataset": pa.array([dataset] * len(names), pa.string()),
                    "split": pa.array(names, pa.string()),
                    "id_hash": pa.array(np.concatenate([*hashes.values()]), pa.uint64()),
                }
            )
        )

    @classmethod
    def of_checkpoint(cls, checkpoint: str | os.PathLike[str], revision: str | None = None) -> "TrainingIds | None":
        """What a checkpoint has seen, a folder or a repository on the Hub; `None` where it does not say."""
        path = cached_file(
            checkpoint,
            TRAINING_IDS_FILE,
            revision=revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_connection_errors=False,
        )
        return None if path is None else cls(pq.read_table(path))

    def __or__(self, other: "TrainingIds") -> "TrainingIds":
        """All that either has seen, as after training in two steps."""
        names = self.table.column_names
        return TrainingIds(pa.concat_tables([self.table, other.table]).group_by(names).aggregate([]).select(names))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the ids beside the weights."""
        order = [(name, "ascending") for name in self.table.column_names]
        pq.write_table(self.table.sort_by(order), Path(folder) / TRAINING_IDS_FILE)

    def overlap(self, dataset: str, image_ids: Iterable[str]) -> dict[str, int]:
        """
        How many of these pictures have been seen, by the split they were in; nothing where none has.

        Args:
            dataset (`str`):
                The collection that the pictures belong to. Ids that were seen in another one are counted as `"split of
                collection"`: EVA's pictures are AVA's and have their ids, but `"1.jpg"` may be anything.
            image_ids (`Iterable[str]`):
                Their ids.
        """
        seen = self.table.filter(pa.array(np.isin(self.table["id_hash"].to_numpy(), _hash_ids(image_ids))))
        found = Counter(zip(seen["dataset"].to_pylist(), seen["split"].to_pylist(), strict=True))
        return {
            split if name == dataset else f"{split} of {name}": count for (name, split), count in sorted(found.items())
        }


def _hash_ids(image_ids: Iterable[str]) -> np.ndarray:
    digests = b"".join(hashlib.sha256(image_id.encode()).digest()[:8] for image_id in image_ids)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)
