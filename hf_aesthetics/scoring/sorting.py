"""
Pictures in the order of their scores: lists, candidates of a generator, columns of a data set.

Knows nothing about models; it asks a scorer, and a picture that cannot be read comes last and says why.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from .batch import PictureScore
from .scorer import AestheticScorer
from .stream import score_pictures


if TYPE_CHECKING:
    from datasets import Dataset

Item = TypeVar("Item")

SCORE_COLUMNS = {
    "score": "float64",
    "score_std": "float64",
    "percentile": "float64",
    "error": "string",
    "scorer": "string",
}
"""The columns that `score_dataset` adds, and their types."""


def sort_by_score(
    scorer: AestheticScorer,
    items: Iterable[Item],
    *,
    key: str | Callable[[Item], Any] | None = None,
    batch_size: int = 16,
    num_workers: int | None = None,
) -> list[tuple[Item, PictureScore]]:
    """
    Sorts pictures, or whatever has one, by their scores: the highest first, equal ones in the order given, and those
    that cannot be read last.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        items (`Iterable`):
            Pictures as [`score_pictures`] takes them, or items that have one, such as the results of a search.
        key (`str` or `Callable`, *optional*):
            Where the picture of an item is: under a key, or what a function gives. Leave it out if items are pictures.
        batch_size, num_workers (`int`, *optional*):
            As in [`score_pictures`].

    Returns:
        `list[tuple[Item, PictureScore]]`: Every item, and what the scorer says of it; in place of a score there may be
        an `error`.

    Raises:
        KeyError: If an item has no such key.

    Example:
        >>> from PIL import Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> scorer = AestheticScorer(model, ModalityImageProcessor(), name="tiny", device="cpu")
        >>> found = [{"title": "gone", "image": "gone.jpg"}, {"title": "sea", "image": Image.new("RGB", (64, 48))}]
        >>> [(result["title"], row.score is None) for result, row in sort_by_score(scorer, found, key="image")]
        [('sea', False), ('gone', True)]
    """
    items = list(items)
    pictures = items if key is None else (_picture_of(item, key) for item in items)
    rows = score_pictures(scorer, pictures, batch_size=batch_size, num_workers=num_workers)
    return sorted(zip(items, rows, strict=True), key=lambda pair: _rank(pair[1]))


def best_of_n(
    scorer: AestheticScorer,
    candidates: Iterable[Iterable[Item]],
    n: int = 1,
    *,
    key: str | Callable[[Item], Any] | None = None,
    batch_size: int = 16,
    num_workers: int | None = None,
) -> list[list[tuple[Item, PictureScore]]]:
    """
    The best of the pictures that a generator made for each prompt. The pictures of all prompts share batches.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        candidates (`Iterable[Iterable]`):
            For each prompt its pictures, as [`sort_by_score`] takes them.
        n (`int`, *optional*, defaults to 1):
            How many to keep of each prompt.
        key, batch_size, num_workers (*optional*):
            As in [`sort_by_score`].

    Returns:
        `list[list[tuple[Item, PictureScore]]]`: For each prompt its `n` best, the highest score first; fewer where
        fewer have a score.

    Raises:
        ValueError: If `n` is less than 1.

    Example:
        >>> from PIL import Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> scorer = AestheticScorer(model, ModalityImageProcessor(), name="tiny", device="cpu")
        >>> drawn = [[Image.new("RGB", (64, 64), color) for color in ("red", "gold", "navy")] for _ in range(2)]
        >>> [[picture.size for picture, _ in best] for best in best_of_n(scorer, drawn, n=2)]
        [[(64, 64), (64, 64)], [(64, 64), (64, 64)]]
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n}.")
    numbered: list[tuple[int, Item]] = []
    best: list[list[tuple[Item, PictureScore]]] = []
    for number, group in enumerate(candidates):
        numbered.extend((number, item) for item in group)
        best.append([])
    ranked = sort_by_score(
        scorer,
        numbered,
        key=lambda pair: pair[1] if key is None else _picture_of(pair[1], key),
        batch_size=batch_size,
        num_workers=num_workers,
    )
    for (number, item), row in ranked:
        if row.score is not None and len(best[number]) < n:
            best[number].append((item, row))
    return best


def score_dataset(
    scorer: AestheticScorer,
    dataset: "Dataset",
    image_column: str = "image",
    *,
    prefix: str = "",
    batch_size: int = 16,
    num_workers: int | None = None,
) -> "Dataset":
    """
    Adds scores to a data set, which then sorts and filters by them:

        scored = score_dataset(scorer, dataset)
        best_first = scored.sort("score", reverse=True)  # what cannot be read comes last
        top_tenth = best_first.select(range(len(scored) // 10))
        good = scored.filter(lambda score: score is not None and score > 6, input_columns="score")

    Only the column of pictures is read, and each of its pictures is decoded once. The fingerprint of the result
    follows from the scores themselves: nothing that `datasets` cached for another model is taken for this one's. Rows
    that were shuffled, selected or sorted before are copied with their pictures; score first, where there are many.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        dataset (`Dataset`):
            Rows with pictures.
        image_column (`str`, *optional*, defaults to `"image"`):
            Column of pictures (`datasets.Image`, decoded or not), paths or bytes.
        prefix (`str`, *optional*):
            What the names of the new columns begin with, so that those of several scorers have room in a data set.
        batch_size, num_workers (`int`, *optional*):
            As in [`score_pictures`].

    Returns:
        `Dataset`: The rows in their order, with the columns of `SCORE_COLUMNS`: `score`, `score_std` and `percentile`,
        which are null where there is an `error`, and `scorer`, to be cited with them.

    Raises:
        KeyError: If there is no such column.
        TypeError: If `dataset` is no `datasets.Dataset`: a stream cannot be sorted, a dictionary of splits is several.
        ValueError: If the column holds no pictures, or a column to add is there already.

    Example:
        >>> from datasets import Dataset, Image
        >>> import PIL.Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> scorer = AestheticScorer(model, ModalityImageProcessor(), name="tiny", device="cpu")
        >>> rows = Dataset.from_dict({"image": [None, PIL.Image.new("RGB", (64, 48))], "title": ["none", "sea"]})
        >>> score_dataset(scorer, rows.cast_column("image", Image())).sort("score", reverse=True)["title"][:]
        ['sea', 'none']
    """
    from datasets import Dataset, Value

    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"`dataset` must be a datasets.Dataset, got {type(dataset).__name__}. Pass one split; of a stream, pass "
            "the pictures to score_pictures."
        )
    names = {name: f"{prefix}{name}" for name in SCORE_COLUMNS}
    if taken := [name for name in names.values() if name in dataset.column_names]:
        raise ValueError(
            f"The columns {', '.join(names.values())} are added, but the data set has {', '.join(taken)} already. "
            "Pass a `prefix`, such as 'predicted_', or remove them."
        )
    pictures = _undecoded_pictures(dataset, image_column)
    rows = list(score_pictures(scorer, pictures, batch_size=batch_size, num_workers=num_workers))
    for name, dtype in SCORE_COLUMNS.items():
        dataset = dataset.add_column(names[name], [getattr(row, name) for row in rows], feature=Value(dtype))
    return dataset


def _picture_of(item: Any, key: str | Callable[[Any], Any]) -> Any:
    if callable(key):
        return key(item)
    try:
        return item[key]
    except KeyError:
        raise KeyError(
            f"Expected a picture under {key!r} in every item, got {sorted(item)}. Pass another key."
        ) from None


def _rank(row: PictureScore) -> tuple[bool, float]:
    return row.score is None, -(row.score or 0.0)


def _undecoded_pictures(dataset: "Dataset", column: str) -> Iterator[Any]:
    """Paths, bytes or both, as they are stored."""
    from datasets import Image

    if column not in dataset.column_names:
        raise KeyError(f"{column!r} is not a column of the dataset ({', '.join(dataset.column_names)}).")
    feature = dataset.features[column]
    rows = dataset.with_format(None).select_columns(column)
    if isinstance(feature, Image):
        rows = rows.cast_column(column, Image(decode=False))
    elif getattr(feature, "dtype", None) not in ("string", "large_string", "binary", "large_binary"):
        raise ValueError(
            f"The column {column!r} must hold pictures, paths or bytes, got {feature}. Cast it: "
            f"dataset.cast_column({column!r}, datasets.Image())."
        )
    yield from (row[column] for row in rows)
