"""Files to make units of, and their rows. Knows nothing about what is in them."""

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hf_aesthetics.sources import Unit


def make_files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return folder


def rows_of(found: Iterable[Unit], batch_size: int = 7) -> list[dict[str, Any]]:
    """All rows, one dictionary each; units are sent to another process before they are read."""
    rows = []
    for unit in found:
        batches = list(pickle.loads(pickle.dumps(unit)).read(batch_size))
        lengths = {len(column) for batch in batches for column in batch.values()}
        assert all(len({len(column) for column in batch.values()}) == 1 for batch in batches)
        assert max(lengths, default=0) <= batch_size
        rows += [dict(zip(batch, row, strict=True)) for batch in batches for row in zip(*batch.values(), strict=True)]
    return rows


def paths_of(found: Iterable[Unit]) -> list[str]:
    return [row["path"] for row in rows_of(found)]
