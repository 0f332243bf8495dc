"""Pictures in the order of their scores: lists, candidates of a generator, columns of a data set."""

import io

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from datasets import Dataset, Image

from hf_aesthetics.images import find_images, read_pixels
from hf_aesthetics.pipelines import aesthetics
from hf_aesthetics.scoring import AestheticScorer, best_of_n, score_dataset, score_pictures, sort_by_score


@pytest.fixture(scope="module")
def scorer(tiny_checkpoint) -> AestheticScorer:
    return AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture
def photos(photo_folder) -> list:
    return list(find_images(photo_folder))


@pytest.fixture
def by_score(scorer, photos) -> list:
    """The same files, sorted by hand."""
    scores = np.array([record["score"] for record in scorer.score(photos)])
    assert len(set(scores)) == len(photos)
    return [photos[i] for i in np.argsort(-scores)]


def png(color: str) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 30), color).save(buffer, "PNG")
    return buffer.getvalue()


# --- lists ---


def test_paths_bytes_and_pictures_sort_alike(scorer, photos, by_score):
    assert [path for path, _ in sort_by_score(scorer, photos)] == by_score
    assert [item for item, _ in sort_by_score(scorer, [path.read_bytes() for path in photos])] == [
        path.read_bytes() for path in by_score
    ]
    pictures = {path: PIL.Image.open(path) for path in photos}
    ranked = sort_by_score(scorer, pictures.values())
    assert [item for item, _ in ranked] == [pictures[path] for path in by_score]
    assert [row.score for _, row in ranked] == sorted([row.score or 0 for _, row in ranked], reverse=True)
    assert {row.path for _, row in ranked} == {""}


def test_search_results_keep_what_they_say_and_bad_ones_come_last(scorer, photos, by_score):
    results = [{"rank": 0, "image": "gone.jpg"}, {"rank": 1, "image": None}]
    results += [{"rank": rank, "image": path} for rank, path in enumerate(photos, start=2)]
    ranked = sort_by_score(scorer, results, key="image", batch_size=2)
    assert [result["image"] for result, _ in ranked] == [*by_score, "gone.jpg", None]
    assert "no such file" in str(ranked[-2][1].error) and "no picture in this row" in str(ranked[-1][1].error)
    assert ranked == sort_by_score(scorer, results, key=lambda result: result["image"], batch_size=2)
    with pytest.raises(KeyError, match="under 'picture'.*got \\['image', 'rank'\\]"):
        sort_by_score(scorer, results, key="picture")


def test_equal_scores_stay_in_the_order_given(scorer):
    items = [{"number": number, "image": png(color)} for number, color in enumerate(["navy", "gold"] * 6)]
    numbers = [item["number"] for item, _ in sort_by_score(scorer, items, key="image", batch_size=12)]
    assert numbers[:6] in ([0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]) and numbers[6:] == sorted(numbers[6:])


def test_best_of_n_are_the_first_of_each_prompt_alone(scorer):
    rng = np.random.default_rng(0)
    drawn = [[rng.integers(0, 256, (24, 24, 3), dtype=np.uint8) for _ in range(count)] for count in (4, 1, 3, 0)]
    pictures = [[PIL.Image.fromarray(pixels) for pixels in group] for group in drawn]
    best = best_of_n(scorer, pictures, n=2, batch_size=3)
    for group, chosen in zip(pictures, best, strict=True):
        alone = sort_by_score(scorer, group)[:2]
        assert [id(item) for item, _ in chosen] == [id(item) for item, _ in alone]
        assert [row.score for _, row in chosen] == pytest.approx([row.score for _, row in alone], abs=1e-5)
    samples = [[{"image": picture, "seed": seed} for seed, picture in enumerate(group)] for group in pictures[:3]]
    assert [item["image"] for ((item, _),) in best_of_n(scorer, samples, key="image")] == [b[0][0] for b in best[:3]]


def test_what_has_no_score_is_never_the_best(scorer):
    assert [len(chosen) for chosen in best_of_n(scorer, [["gone.jpg", png("red")], ["gone.jpg"]], n=2)] == [1, 0]
    with pytest.raises(ValueError, match="`n` must be at least 1, got 0"):
        best_of_n(scorer, [[]], n=0)


# --- data sets ---


@pytest.fixture
def dataset(photos) -> Dataset:
    names = [str(path) for path in photos]
    names.insert(1, "gone.jpg")
    rows = {"image": names, "title": [f"picture {i}" for i in range(len(names))]}
    return Dataset.from_dict(rows).cast_column("image", Image())


def test_a_column_sorts_with_bad_pictures_last(scorer, dataset, by_score):
    scored = score_dataset(scorer, dataset, batch_size=2)
    assert scored["title"][:] == dataset["title"][:]
    assert scored.features["image"] == Image() and scored.features["score"] == datasets.Value("float64")
    rows = scored.cast_column("image", Image(decode=False)).sort("score", reverse=True)
    assert [row["image"]["path"] for row in rows] == [*map(str, by_score), "gone.jpg"]
    assert rows[-1]["score"] is rows[-1]["score_std"] is rows[-1]["percentile"] is None
    assert "no such file" in rows[-1]["error"] and rows[0]["error"] is None
    assert set(rows["scorer"]) == {scorer.id}
    expected = {row.path: (row.score, row.score_std, row.percentile) for row in score_pictures(scorer, by_score)}
    for row in rows.select(range(len(by_score))):
        numbers = row["score"], row["score_std"], row["percentile"]
        assert numbers == pytest.approx(expected[row["image"]["path"]], abs=1e-4)


def test_thresholds_follow(scorer, dataset):
    scored = score_dataset(scorer, dataset)
    scores = [score for score in scored["score"] if score is not None]
    cut = float(np.median(scores))
    kept = scored.filter(lambda score: score is not None and score > cut, input_columns="score")
    assert sorted(kept["score"]) == sorted(score for score in scores if score > cut) and len(kept) == 2


def test_equal_rows_keep_their_order(scorer):
    rows = Dataset.from_dict({"image": [png("gold"), png("navy")] * 8, "number": list(range(16))})
    numbers = score_dataset(scorer, rows).sort("score", reverse=True)["number"][:]
    assert numbers[:8] == sorted(numbers[:8]) and numbers[8:] == sorted(numbers[8:])


@pytest.mark.parametrize("kind", ["decoded", "undecoded", "bytes", "paths", "embedded", "formatted", "selected"])
def test_a_column_of_any_kind_scores_alike(scorer, photos, kind, tmp_path):
    paths = [str(path) for path in photos]
    expected = [record["score"] for record in scorer.score(photos)]
    content = [path.read_bytes() for path in photos]
    rows = Dataset.from_dict({"photo": content if kind == "bytes" else paths, "number": range(len(paths))})
    if kind not in ("bytes", "paths"):
        rows = rows.cast_column("photo", Image(decode=kind != "undecoded"))
    if kind == "embedded":
        rows.to_parquet(tmp_path / "rows.parquet")
        rows = Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path))
    elif kind == "formatted":
        rows = rows.with_format("numpy", columns=["number"])
    elif kind == "selected":
        rows, expected = rows.select([2, 0]), [expected[2], expected[0]]
    scored = score_dataset(scorer, rows, image_column="photo", prefix="nima_")
    assert scored["nima_score"][:] == pytest.approx(expected, abs=1e-5)
    assert scored.with_format(None)["number"][:] == rows.with_format(None)["number"][:]


def test_every_picture_is_read_once_and_other_columns_never(scorer, photos, monkeypatch):
    rows = Dataset.from_dict({"image": [path.read_bytes() for path in photos], "depth": [b"no picture"] * len(photos)})
    rows = rows.cast_column("image", Image()).cast_column("depth", Image())
    read, decoded = [], []
    monkeypatch.setattr(aesthetics, "read_pixels", lambda source, **size: read.append(source) or read_pixels(source))
    monkeypatch.setattr(Image, "decode_example", lambda self, value, **kwargs: decoded.append(value))
    assert not any(score_dataset(scorer, rows)["error"])
    assert sorted(read) == sorted(path.read_bytes() for path in photos) and decoded == []


def test_scores_of_another_model_are_never_taken_from_a_cache(scorer, tiny_checkpoint, photos, tmp_path):
    """Sorting and filtering are cached by the fingerprint, which has to tell models apart that have one name."""
    source = Dataset.from_dict({"image": [str(path) for path in photos]}).cast_column("image", Image())
    source.save_to_disk(tmp_path / "rows")
    rows = Dataset.load_from_disk(tmp_path / "rows")
    other = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    first, again = score_dataset(scorer, rows), score_dataset(other, rows)
    assert first._fingerprint == again._fingerprint != rows._fingerprint
    sorted_once = first.sort("score", reverse=True)["score"][:]
    with torch.no_grad():
        other.model.score_head.dense.weight.neg_()  # as training on would, without a new name
    changed = score_dataset(other, rows)
    assert other.id == scorer.id and changed._fingerprint != first._fingerprint
    assert changed.sort("score", reverse=True)["score"][:] == sorted(changed["score"], reverse=True) != sorted_once


def test_data_sets_that_cannot_be_scored_are_refused(scorer, dataset):
    with pytest.raises(TypeError, match="datasets.Dataset, got IterableDataset"):
        score_dataset(scorer, dataset.to_iterable_dataset())
    with pytest.raises(KeyError, match="'picture' is not a column of the dataset .image, title."):
        score_dataset(scorer, dataset, "picture")
    with pytest.raises(ValueError, match="'number' must hold pictures, paths or bytes, got .*int64"):
        score_dataset(scorer, dataset.add_column("number", [0] * len(dataset)), "number")
    with pytest.raises(ValueError, match="has score, error already. Pass a `prefix`"):
        rows = dataset.add_column("score", [0] * len(dataset)).add_column("error", [0] * len(dataset))
        score_dataset(scorer, rows)
    assert len(score_dataset(scorer, dataset.select([]))) == 0
