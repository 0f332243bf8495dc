"""The step of every engine: a row for a row, a reason for a row without a picture, the same scores in any batch."""

import io
import subprocess
import sys

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from PIL import Image as PillowImage

from hf_aesthetics.images import find_images
from hf_aesthetics.scoring import AestheticScorer, ScorerSpec, load_scorer, score_batch, score_pictures


@pytest.fixture(scope="module")
def spec(tiny_checkpoint) -> ScorerSpec:
    return ScorerSpec(str(tiny_checkpoint), device="cpu")


@pytest.fixture
def photos(photo_folder) -> list[str]:
    return [str(path) for path in find_images(photo_folder)]


def test_columns_say_what_the_records_of_a_scorer_say(spec, photos):
    scored = score_batch({"path": photos, "image": photos}, spec)
    records = AestheticScorer.from_pretrained(spec.checkpoint, device="cpu").score(photos)
    assert scored["path"] == photos
    for place, record in enumerate(records):
        assert scored["score"][place] == pytest.approx(record["score"], abs=1e-5)
        assert scored["score_std"][place] == pytest.approx(record["score_std"], abs=1e-5)
        assert scored["percentile"][place] == pytest.approx(record["percentile"], abs=1e-3)
        shares = [scored[f"p_{rating}"][place] for rating in range(1, 11)]
        np.testing.assert_allclose(shares, list(record["distribution"].values()), atol=1e-6)
    assert set(scored["scorer"]) == {load_scorer(spec).id} and load_scorer(spec).revision


def test_rows_without_a_picture_keep_their_place_and_say_why(spec, photos):
    cells = [photos[0], None, b"no picture", {"bytes": None, "path": photos[1]}, None]
    columns = {"image": cells, "error": [None, None, None, None, "Cannot read 'a.tar/7.jpg': gone."], "n": [*range(5)]}
    scored = score_batch(columns, spec)
    assert [score is None for score in scored["score"]] == [False, True, True, False, True]
    assert scored["path"] == [photos[0], "", "", photos[1], ""]
    assert scored["error"][0] is scored["error"][3] is None
    assert "no picture in this row" in scored["error"][1] and scored["error"][4] == columns["error"][4]
    assert "no picture" in scored["error"][2] and scored["n"] == [0, 1, 2, 3, 4]
    assert {len(values) for values in scored.values()} == {5}


def test_the_batch_is_left_as_it_was(spec, photos):
    columns = {"image": list(photos), "title": ["sea"] * len(photos)}
    before = {name: list(values) for name, values in columns.items()}
    assert score_batch(columns, spec) == score_batch(columns, spec)
    assert columns == before


def test_columns_that_would_hide_scores_are_refused(spec, photos):
    with pytest.raises(ValueError, match="'score', 'scorer' came in"):
        score_batch({"image": photos, "score": photos, "scorer": photos}, spec)
    with pytest.raises(KeyError, match="'image' with pictures, got photo, title"):
        score_batch({"photo": photos, "title": photos}, spec)


def test_a_data_set_and_a_stream_of_it_are_scored_as_files_are(spec, photos):
    contents = [{"bytes": open(path, "rb").read(), "path": None} for path in photos]
    features = Features({"image": Image(decode=False), "title": Value("string")})
    dataset = Dataset.from_dict({"image": contents, "title": [f"no {n}" for n in range(len(photos))]}, features)
    expected = [row.score for row in score_pictures(load_scorer(spec), photos)]
    call = {"fn_kwargs": {"scorer": spec}, "batched": True, "batch_size": 2, "remove_columns": ["image"]}
    mapped, streamed = dataset.map(score_batch, **call), list(dataset.to_iterable_dataset().map(score_batch, **call))
    np.testing.assert_allclose(mapped["score"][:], expected, atol=1e-5)
    np.testing.assert_allclose([row["score"] for row in streamed], expected, atol=1e-5)
    assert mapped["title"][:] == [row["title"] for row in streamed] == [f"no {n}" for n in range(len(photos))]


def test_another_process_gives_the_same_scores(spec, photos):
    program = "import sys\nfrom hf_aesthetics.scoring import *\nspec = ScorerSpec(sys.argv[1], device='cpu')\n"
    program += "print(*score_batch({'image': sys.argv[2:]}, spec)['score'])"
    result = subprocess.run([sys.executable, "-c", program, spec.checkpoint, *photos], capture_output=True, check=True)
    np.testing.assert_allclose(
        [float(score) for score in result.stdout.split()], score_batch({"image": photos}, spec)["score"], atol=1e-5
    )


def test_an_open_picture_is_a_cell_too(spec, photos):
    with PillowImage.open(photos[0]) as picture:
        content = io.BytesIO()
        picture.convert("RGB").save(content, "PNG")
        whole = picture.convert("RGB")
    first, second = score_batch({"image": [content.getvalue(), whole]}, spec)["score"]
    assert first == pytest.approx(second, abs=1e-5)
