"""A folder culled by a scorer whose taste is known: proposals, sidecars, contact sheet, and untouched originals."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from bare_package import bare
from PIL import Image
from planted_scorer import planted_scorer

from hf_aesthetics.cli import main
from hf_aesthetics.scoring import rank
from hf_aesthetics.series.command import describe_ratings
from hf_aesthetics.series.contact_sheet import write_contact_sheet
from hf_aesthetics.series.culling import RatingsWritten, cull, propose, write_ratings
from hf_aesthetics.series.sidecars import read_rating, write_rating


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    return 1 + 9 * pixels.mean(dim=(1, 2, 3))


def save_shot(path: Path, seed: int, light: float, second: int) -> Path:
    """A pattern of its own for each seed, brighter or darker."""
    pattern = np.random.default_rng(seed).uniform(0, 200, (5, 6, 3)).astype(np.uint8)
    image = Image.fromarray(pattern).resize((120, 100), Image.Resampling.BICUBIC).point(lambda value: value * light)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = f"2026:05:01 12:{second // 60:02d}:{second % 60:02d}"
    image.save(path, exif=exif)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two series, of three shots and of two, and a picture that stands alone."""
    folder = tmp_path / "trip <1>"
    folder.mkdir()
    light = {"a1": 0.5, "a2": 1.0, "a3": 0.8, "b1": 1.0, "b2": 0.3, "c1": 1.0}
    for second, name in enumerate(light):
        save_shot(folder / f"{name}.jpg", ord(name[0]), light[name], second + 60 * ord(name[0]) - 5000)
    return folder


def state(folder: Path) -> dict:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.jpg")}


def ratings_in(folder: Path) -> dict[str, int | None]:
    return {path.name: read_rating(path) for path in folder.glob("*.xmp")}


@pytest.fixture(scope="module")
def scorer():
    return planted_scorer(brightness, side=16)


def test_the_brightest_shots_are_proposed(scorer, folder):
    culling = cull(scorer, sorted(folder.glob("*.jpg")), error=0.5)
    proposed = [[(shot.path.stem, shot.rating, shot.is_kept) for shot in shots] for shots in culling.series]
    assert proposed == [[("a2", 5, True), ("a3", 2, False), ("a1", 1, False)], [("b1", 5, True), ("b2", 1, False)]]
    assert culling.num_kept == 2 and [path.stem for path in culling.found.singles] == ["c1"]
    two = cull(scorer, sorted(folder.glob("*.jpg")), keep=2, reject=True, error=0.2)
    assert [[shot.rating for shot in shots] for shots in two.series] == [[5, 4, -1], [5, 4]]


@pytest.mark.parametrize(("error", "stars"), [(0.01, [5, 1, 1]), (0.5, [5, 2, 1]), (2.0, [5, 3, 3])])
def test_the_less_sure_a_scorer_the_more_stars_stay(scorer, folder, error, stars):
    shots = [folder / f"a{number}.jpg" for number in (1, 2, 3)]
    assert [shot.rating for shot in propose(shots, rank(scorer, shots, error=error), keep=1)] == stars


def test_sidecars_are_written_once_and_originals_never(scorer, folder):
    before = state(folder)
    culling = cull(scorer, sorted(folder.glob("*.jpg")), error=0.5)
    assert ratings_in(folder) == {}  # proposing writes nothing
    report = write_ratings(culling)
    assert ratings_in(folder) == {"a1.xmp": 1, "a2.xmp": 5, "a3.xmp": 2, "b1.xmp": 5, "b2.xmp": 1}
    assert len(report.written) == 5 and not report.failed
    write_rating(folder / "a1.xmp", 4)  # the photographer thinks otherwise
    again = write_ratings(culling)
    assert len(again.respected) == 5 and not again.written and read_rating(folder / "a1.xmp") == 4
    forced = write_ratings(culling, overwrite=True)
    assert [path.name for path in forced.written] == ["a1.xmp"] and len(forced.unchanged) == 4
    assert read_rating(folder / "a1.xmp") == 1
    assert state(folder) == before


def test_two_pictures_that_would_share_a_sidecar_get_none(scorer, folder):
    save_shot(folder / "a2.png", 9, 1.0, 500)
    culling = cull(scorer, sorted(folder.glob("*.[jp]*g")), error=0.5)
    report = write_ratings(culling)
    assert "2 pictures would share" in report.failed[folder / "a2.jpg"] and not (folder / "a2.xmp").exists()
    assert write_ratings(culling, naming="file").failed == {}
    assert read_rating(folder / "a2.jpg.xmp") == 5


def test_a_broken_sidecar_is_told_and_left(scorer, folder):
    (folder / "a1.xmp").write_text("<x>")
    report = write_ratings(cull(scorer, sorted(folder.glob("*.jpg")), error=0.5), overwrite=True)
    assert "cannot be read as XMP" in report.failed[folder / "a1.jpg"] and len(report.written) == 4
    assert (folder / "a1.xmp").read_text() == "<x>"


def test_what_cannot_be_written_is_told_and_not_a_page_long(scorer, folder):
    culling = cull(scorer, sorted(folder.glob("*.jpg")), error=0.5)
    shutil.rmtree(folder)
    report = write_ratings(culling)
    assert f"{folder / 'a1.xmp'} cannot be written (No such file or directory)" in report.failed[folder / "a1.jpg"]
    many = RatingsWritten(failed={folder / f"{number}.jpg": "full" for number in range(1030)})
    assert len(describe_ratings(many)) == 23 and describe_ratings(many)[-1] == "  and 1,010 more"


def test_the_contact_sheet_has_every_shot_and_nothing_from_elsewhere(scorer, folder, tmp_path):
    culling = cull(scorer, sorted(folder.glob("*.jpg")), error=0.5)
    write_contact_sheet(culling, tmp_path / "sheet.html", folder.name)
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert re.findall(r'alt="(.*?)"', page) == ["a2.jpg", "a3.jpg", "a1.jpg", "b1.jpg", "b2.jpg"]
    assert page.count("data:image/jpeg;base64,") == 5 and page.count('class="kept"') == 2
    assert not re.search(r"https?://|src=\"(?!data:)|<script|url\(", page)
    assert "<h1>trip &lt;1&gt;</h1>" in page  # names are text
    write_contact_sheet(culling, tmp_path / "sheet.html", "again")  # its own file may be replaced
    (tmp_path / "notes.html").write_text("mine")
    with pytest.raises(FileExistsError, match="notes.html' is there and no contact sheet"):
        write_contact_sheet(culling, tmp_path / "notes.html", "x")
    assert (tmp_path / "notes.html").read_text() == "mine"


def command(folder: Path, checkpoint: Path, *options: str) -> list[str]:
    return ["cull", str(folder), "--model", str(checkpoint), "--device", "cpu", *options]


def test_the_command_is_dry_until_it_is_told(folder, tiny_checkpoint, tmp_path, capsys):
    before, sheet = state(folder), str(tmp_path / "sheet.html")
    assert main(command(folder, tiny_checkpoint, "--sheet", sheet)) == 0
    said = capsys.readouterr().out
    assert "2 series of 5 shots, of which 2 proposed to keep; 1 picture resembles no other one" in said
    assert "No rating was written" in said and ratings_in(folder) == {}
    assert main(command(folder, tiny_checkpoint, "--sheet", sheet, "--xmp", "--keep", "2")) == 0
    assert "5 ratings were written" in capsys.readouterr().out
    assert sorted(ratings_in(folder).values())[-4:] == [4, 4, 5, 5]
    assert main(command(folder, tiny_checkpoint, "--sheet", sheet, "--xmp")) == 0
    assert "5 sidecars were there and left as they are: " in capsys.readouterr().out
    assert state(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.html", "trip <1>"]


def test_the_command_says_what_is_wrong(folder, tiny_checkpoint, tmp_path, capsys):
    assert main(command(folder, tiny_checkpoint, "--overwrite")) == 2
    assert "Add --xmp" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(command(tmp_path / "empty", tiny_checkpoint, "--sheet", str(tmp_path / "s.html"))) == 1
    assert "at least one picture" in capsys.readouterr().err


_WRITER = """
from pathlib import Path
from hf_aesthetics.series.sidecars import write_rating
while True:
    for number in range(200):
        write_rating(Path(sys.argv[1]) / f"{number}.xmp", number % 5 + 1)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process by a signal")
def test_who_is_killed_leaves_whole_sidecars(tmp_path):
    program = bare("hf_aesthetics", "hf_aesthetics.series") + _WRITER
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    while len(list(tmp_path.glob("[0-9]*.xmp"))) < 200:
        assert writer.poll() is None
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert {path.name: read_rating(path) for path in tmp_path.glob("[0-9]*.xmp")} == {
        f"{number}.xmp": number % 5 + 1 for number in range(200)
    }
