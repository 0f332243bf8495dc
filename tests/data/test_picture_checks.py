"""Verdicts on pictures: right, kept, and not lost when the check is killed."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.data.cache_files import cache_folder, make_files
from hf_aesthetics.data.picture_checks import SkippedPicture, check_pictures
from hf_aesthetics.whole_files import whole_file


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Forty pictures, of which the third is cut, the tenth no picture and the last not there."""
    files = [str(tmp_path / f"{number}.jpg") for number in range(40)]
    rng = np.random.default_rng(0)
    for file in files[:-1]:
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(file)
    Path(files[2]).write_bytes(Path(files[2]).read_bytes()[:300])
    Path(files[9]).write_text("no picture")
    return files


def check(files: list[str], **options) -> list[SkippedPicture | None]:
    return check_pictures(files, [Path(file).name for file in files], **options)


def verdict_files() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache_folder("picture_checks").glob("*/*.json")}


def test_what_is_wrong_is_said_of_the_right_picture(files):
    problems = check(files, pictures_a_file=7)
    wrong = {number: problem for number, problem in enumerate(problems) if problem is not None}
    assert list(wrong) == [2, 9, 39]
    assert [(problem.file_name, problem.kind) for problem in wrong.values()] == [
        ("2.jpg", "unreadable"),
        ("9.jpg", "unreadable"),
        ("39.jpg", "missing"),
    ]
    assert "cut short" in wrong[2].reason and "no such file" in wrong[39].reason


def test_only_the_neighbours_of_a_changed_picture_are_checked_again(files):
    check(files, pictures_a_file=8)
    before = verdict_files()
    check(files, pictures_a_file=8)
    assert verdict_files() == before
    Image.new("RGB", (8, 8)).save(files[39])
    assert check(files, pictures_a_file=8)[39] is None
    after = verdict_files()
    assert len(after) == len(before) + 1 and before.items() < after.items()
    status = os.stat(files[20])
    Path(files[20]).write_bytes(Path(files[20]).read_bytes()[::-1])
    os.utime(files[20], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert check(files, pictures_a_file=8)[20].kind == "unreadable"


def test_no_pictures_have_no_problems():
    assert check([]) == []


def test_a_file_is_whole_or_absent(tmp_path):
    with pytest.raises(KeyError), whole_file(tmp_path / "votes") as partial:
        partial.write_text("half")
        raise KeyError
    assert not (tmp_path / "votes").exists()
    make_files(tmp_path, _write_job, {"votes": "all"})
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["votes"]
    assert (tmp_path / "votes").read_text() == "all"


def test_what_was_made_before_a_fault_stays(tmp_path):
    jobs = {"a": "all", "b": "", "c": "all"}
    with pytest.raises(ValueError, match="nothing to write"):
        make_files(tmp_path, _write_job, jobs)
    assert [(tmp_path / name).exists() for name in jobs] == [True, False, False]
    jobs["b"] = "die"
    with pytest.raises(RuntimeError, match=f"process ended before it had made its file in '{tmp_path}'"):
        make_files(tmp_path, _write_job, jobs, num_proc=2)
    assert not (tmp_path / "b").exists() and (tmp_path / "b.partial").read_text() == "die"
    jobs["b"] = "all"
    make_files(tmp_path, _write_job, jobs)
    assert {(tmp_path / name).read_text() for name in jobs} == {"all"}


def _write_job(path: Path, job: str) -> None:
    if not job:
        raise ValueError("nothing to write")
    path.write_text(job)
    if job == "die":
        os._exit(9)


PROGRAM = """
import sys
from pathlib import Path
from hf_aesthetics.data.picture_checks import check_pictures

files = sorted(map(str, Path(sys.argv[1]).iterdir()))
check_pictures(files, files, num_proc=2, pictures_a_file=20)
"""


def test_a_killed_check_goes_on_where_it_was_and_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    from prove_scale import run

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.effect_noise((600, 400), 60).save(pictures / "0.jpg")
    for number in range(1, 1200):
        os.link(pictures / "0.jpg", pictures / f"{number}.jpg")
    (pictures / "00.jpg").write_text("no picture")  # the second one, in what is checked before the kill
    before = verdict_files()
    command = [sys.executable, "-c", PROGRAM, str(pictures)]
    run(command, Path(os.environ["HF_HOME"]), tmp_path / "log.txt", lambda: len(verdict_files()) >= len(before) + 5)
    made = verdict_files()
    assert len(before) + 5 <= len(made) < len(before) + 61
    files = sorted(map(str, pictures.iterdir()))
    problems = check_pictures(files, files, pictures_a_file=20)
    assert [problem.file_name for problem in problems if problem is not None] == [str(pictures / "00.jpg")]
    assert made.items() <= verdict_files().items() and len(verdict_files()) == len(before) + 61
