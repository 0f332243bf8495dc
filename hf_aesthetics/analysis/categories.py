"""Category systems: what people or makers say about pictures beyond the score, as one matrix for each system.

Knows nothing about predictions. Columns of a data set become systems by one table, so that another one is a row of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from datasets import Dataset


Kind = Literal["indicator", "rating"]


@dataclass(frozen=True, eq=False)
class CategorySystem:
    """
    Categories that belong together, such as the styles of AVA.

    Args:
        name (`str`):
            What a report calls it.
        kind (`str`):
            `"indicator"`: a picture is a member (1) or not (0); `"rating"`: it has a value.
        names (`tuple[str, ...]`):
            The categories.
        values (`np.ndarray` of shape `(num_images, num_categories)`):
            Indicators or ratings, NaN where nobody has said.

    Raises:
        ValueError: If names and columns do not match, names repeat, or values are impossible.

    Example:
        >>> CategorySystem("light", "indicator", ("dusk", "noon"), [[1, 0], [0, 1], [0, 0]]).values.sum(axis=0)
        array([1., 1.])
    """

    name: str
    kind: Kind
    names: tuple[str, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise ValueError(
                f"`values` of {self.name!r} must have shape (num_images, {len(self.names)}), got {self.values.shape}. "
                "Give a column for each of `names`."
            )
        if len(set(self.names)) < len(self.names):
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            raise ValueError(f"`names` of {self.name!r} must differ, got {repeated} more than once. Rename them.")
        known = self.values[~np.isnan(self.values)]
        if self.kind == "indicator" and not np.isin(known, (0, 1)).all():
            wrong = known[~np.isin(known, (0, 1))][0]
            raise ValueError(f"Indicators of {self.name!r} must be 0, 1 or NaN, got {wrong:g}. Is it a rating?")
        if not np.isfinite(known).all():
            raise ValueError(f"`values` of {self.name!r} must be finite, or NaN for unknown, got inf. Correct them.")


@dataclass(frozen=True)
class CategorySource:
    """
    Which columns of a data set make a system; it applies where all of them are there.

    Args:
        name (`str`):
            Name of the system.
        kind (`str`):
            `"indicator"`: one column with a name or a list of names for each picture; `"rating"`: columns of numbers.
        columns (`tuple[str, ...]`):
            Their names. A `*` stands for anything, and at least one column must fit.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]


SOURCES = (
    CategorySource("AVA semantic tags", "indicator", ("semantic_tags",)),
    CategorySource("AVA styles", "indicator", ("styles",)),
    CategorySource("EVA content", "indicator", ("content_category",)),
    CategorySource("EVA attributes", "rating", ("visual_mean", "composition_mean", "quality_mean", "semantic_mean")),
    CategorySource("CADB composition classes", "indicator", ("composition_classes",)),
    CategorySource(
        "AADB attributes",
        "rating",
        (
            *("balancing_elements", "color_harmony", "interesting_content", "depth_of_field", "good_lighting"),
            *("motion_blur", "object_emphasis", "repetition", "rule_of_thirds", "symmetry", "vivid_color"),
        ),
    ),
    CategorySource(
        "PARA attributes",
        "rating",
        (
            *("quality_mean", "composition_mean", "color_mean", "depth_of_field_mean", "light_mean", "content_mean"),
            *("content_preference_mean", "willingness_to_share_mean"),
        ),
    ),
    CategorySource("scenes", "indicator", ("scene_category",)),  # of CADB and PARA
    CategorySource("OASIS categories", "indicator", ("category",)),
    CategorySource("OASIS valence and arousal", "rating", ("valence_mean", "arousal_mean")),
    CategorySource("causes of rendered scenes", "rating", ("cause_*",)),
)
"""The systems that the loaders of this package know."""


def category_systems(
    rows: Dataset, image_ids: Iterable[str] | None = None, sources: Sequence[CategorySource] = SOURCES
) -> list[CategorySystem]:
    """
    The category systems that a data set has columns for.

    A name that no picture has is no category; a picture without an entry (null) is unknown in all of them, one with
    an empty list is in none.

    Args:
        rows (`Dataset`):
            The pictures; their columns `image` are not read.
        image_ids (`Iterable[str]`, *optional*):
            Pictures, in the order that the systems shall have, such as that of predictions. By default all of `rows`.
        sources (`Sequence[CategorySource]`, *optional*):
            What to look for; `(*SOURCES, CategorySource("lens", "indicator", ("lens",)))` adds a column of your own.

    Returns:
        `list[CategorySystem]`: Those that apply, in the order of `sources`.

    Raises:
        ValueError: If a picture is not in `rows`, or a column of ratings does not hold numbers.

    Example:
        >>> rows = Dataset.from_dict({"image_id": ["a", "b"], "styles": [["HDR"], None], "valence_mean": [1.0, 2.0]})
        >>> [(system.name, system.names, system.values.tolist()) for system in category_systems(rows)]
        [('AVA styles', ('HDR',), [[1.0], [nan]])]
    """
    order = None if image_ids is None else _find_rows(rows, list(image_ids))
    systems = []
    for source in sources:
        columns = [name for pattern in source.columns for name in rows.column_names if fnmatchcase(name, pattern)]
        if not all(any(fnmatchcase(name, pattern) for name in columns) for pattern in source.columns):
            continue
        table = rows.select_columns(columns).with_format("arrow")[:]
        read = _read_indicators if source.kind == "indicator" else _read_ratings
        names, values = read(table, source.name)
        systems.append(CategorySystem(source.name, source.kind, names, values if order is None else values[order]))
    return systems


def _find_rows(rows: Dataset, image_ids: list[str]) -> list[int]:
    position = {image_id: row for row, image_id in enumerate(rows["image_id"])}
    if missing := [image_id for image_id in image_ids if image_id not in position]:
        raise ValueError(
            f"Expected a row for each of {len(image_ids)} pictures, found none for {missing[0]!r} and "
            f"{len(missing) - 1} others. Give the collection that was predicted."
        )
    return [position[image_id] for image_id in image_ids]


def _read_indicators(table: pa.Table, system: str) -> tuple[tuple[str, ...], np.ndarray]:
    (column,) = table.columns
    entries = [_as_names(entry) for entry in column.to_pylist()]
    names = tuple(sorted({name for entry in entries if entry for name in entry}))
    index = {name: column for column, name in enumerate(names)}
    values = np.zeros((len(entries), len(names)))
    for row, entry in enumerate(entries):
        if entry is None:
            values[row] = np.nan
        else:
            values[row, [index[name] for name in entry]] = 1
    return names, values


def _as_names(entry: Any) -> list[str] | None:
    if entry is None:
        return None
    return [str(name) for name in entry] if isinstance(entry, list) else [str(entry)]


def _read_ratings(table: pa.Table, system: str) -> tuple[tuple[str, ...], np.ndarray]:
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise ValueError(f"Column {name!r} of {system} must hold numbers, got {column.type}. Cast it.")
        columns.append(column.cast(pa.float64()).to_numpy())  # null becomes NaN
    names = tuple(name.removeprefix("cause_").removesuffix("_mean").replace("_", " ") for name in table.column_names)
    return names, np.stack(columns, axis=1)
