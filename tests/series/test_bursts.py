"""Planted bursts of rendered scenes: found whole, apart from each other, and what is no series is said to be none."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.data.rendering import render_scene
from hf_aesthetics.series import bursts
from hf_aesthetics.series.bursts import find_series, read_capture_time


NOON = datetime(2026, 5, 1, 12)


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [Image.open(io.BytesIO(render_scene(seed).jpeg)).convert("RGB") for seed in range(6)]


def frame(scene: Image.Image, number: int) -> Image.Image:
    """What a hand that is not quite still sees: a tenth less on each side, up to 3 % to and fro."""
    rng = np.random.default_rng(number)
    (width, height), shift = scene.size, rng.uniform(-0.03, 0.03, 2)
    left, top = width * (0.1 + shift[0]), height * (0.1 + shift[1])
    return scene.crop((round(left), round(top), round(left + 0.8 * width), round(top + 0.8 * height)))


def save(image: Image.Image, path: Path, seconds: float | None = None, **tags) -> Path:
    exif = Image.Exif()
    if seconds is not None:
        taken = NOON + timedelta(seconds=seconds)
        folder = exif.get_ifd(0x8769)
        folder[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
        folder[0x9291] = f"{taken.microsecond // 1000:03d}"
        if "offset" in tags:
            folder[0x9011] = tags["offset"]
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif, quality=90)
    return path


def names(groups) -> list[list[str]]:
    return [[path.stem for path in group] for group in groups]


def test_bursts_are_parted_by_time_and_by_what_they_show(scenes, tmp_path):
    plan = {  # scene and second of each shot
        "a1": (0, 0), "a2": (0, 0.4), "a3": (0, 1.1),
        "b1": (1, 3), "b2": (1, 4),  # another thing, seconds later
        "a4": (0, 5),  # and back
        "a5": (0, 100), "a6": (0, 101),  # the same thing again, later
        "c1": (2, 200),
    }  # fmt: skip
    paths = [
        save(frame(scenes[scene], number), tmp_path / f"{name}.jpg", second)
        for number, (name, (scene, second)) in enumerate(plan.items())
    ]
    shuffled = [paths[place] for place in np.random.default_rng(0).permutation(len(paths))]
    found = find_series(shuffled)
    assert sorted(names(found.series)) == [["a1", "a2", "a3", "a4"], ["a5", "a6"], ["b1", "b2"]]
    assert [path.stem for path in found.singles] == ["c1"]
    assert sorted(names(find_series(paths, max_gap=1000).series)) == [
        ["a1", "a2", "a3", "a4", "a5", "a6"],
        ["b1", "b2"],
    ]
    assert names(find_series(paths, max_gap=0.5).series) == [["a1", "a2"]]


def test_one_blurred_frame_does_not_end_a_series(scenes, tmp_path):
    paths = [save(frame(scenes[3], number), tmp_path / f"{number}.jpg", number) for number in range(5)]
    save(Image.new("RGB", (80, 60), "gray"), paths[2], 2)
    found = find_series(paths)
    assert names(found.series) == [["0", "1", "3", "4"]] and [path.stem for path in found.singles] == ["2"]


def test_pictures_without_a_time_belong_together_if_they_are_near_duplicates(scenes, tmp_path):
    paths = [save(scene, tmp_path / f"{number}.png") for number, scene in enumerate(scenes)]
    paths.append(save(scenes[1].resize((150, 100)), tmp_path / "small.png"))
    paths.append(save(frame(scenes[2], 0), tmp_path / "later.jpg", 7))  # has one, so it is a shot of its own
    found = find_series(paths)
    assert names(found.series) == [["1", "small"]]
    assert len(found.singles) == 6


def test_copies_and_what_cannot_be_read_are_no_series(scenes, tmp_path):
    first = save(frame(scenes[0], 0), tmp_path / "a.jpg", 0)
    copy = tmp_path / "backup" / "a.jpg"
    copy.parent.mkdir()
    copy.write_bytes(first.read_bytes())
    (tmp_path / "torn.jpg").write_bytes(first.read_bytes()[:500])
    found = find_series([first, copy, tmp_path / "torn.jpg", tmp_path / "gone.jpg", first])
    assert (found.series, found.singles, found.copies) == ([], [first], {copy: first})
    assert list(found.unreadable) == [tmp_path / "torn.jpg", tmp_path / "gone.jpg"]
    assert "no such file" in found.unreadable[tmp_path / "gone.jpg"]


def test_capture_times_have_fractions_and_offsets(tmp_path):
    plain = Image.new("RGB", (8, 8))
    first = read_capture_time(save(plain, tmp_path / "a.jpg", 0.25))
    assert read_capture_time(save(plain, tmp_path / "b.jpg", 1.5)) - first == pytest.approx(1.25)
    ahead = read_capture_time(save(plain, tmp_path / "c.jpg", 0.25, offset="+02:00"))
    assert first - ahead == pytest.approx(7200)
    assert read_capture_time(save(plain, tmp_path / "d.png")) is None
    assert read_capture_time(tmp_path / "gone.jpg") is None


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="at least 0 seconds, got -1"):
        find_series([], max_gap=-1)
    with pytest.raises(ValueError, match=r"in \(0, 1\], got 0"):
        find_series([], min_similarity=0)


def test_scans_of_one_time_are_compared_with_those_that_look_alike(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    patterns = [Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).resize((96, 96)) for _ in range(15)]
    paths = [
        save(pattern.crop((side, 0, 90 + side, 90)), tmp_path / f"{version}-{number}.jpg", 0)
        for version, side in enumerate((0, 1))
        for number, pattern in enumerate(patterns)
    ]
    found = find_series(paths).series
    assert {tuple(group) for group in names(found)} == {(f"0-{number}", f"1-{number}") for number in range(15)}
    monkeypatch.setattr(bursts, "_NUM_COMPARED", 1000)
    assert find_series(paths).series == found
