"""AVA's styles against votes: from a table of votes, and from AVA's own layout."""

import gzip
import importlib
from pathlib import Path

import numpy as np
import pytest


SCRIPTS = Path(__file__).parents[2] / "scripts"
STYLES = ("HDR", "Motion_Blur", "Rare")


@pytest.fixture
def covary(monkeypatch, capsys):
    """Runs the program and returns the cells of its table by style."""
    monkeypatch.syspath_prepend(SCRIPTS)

    def covary(folder: Path) -> tuple[str, dict[str, list[str]]]:
        importlib.import_module("covary_ava_styles").main(["--data_dir", str(folder), "--num_permutations", "500"])
        output = capsys.readouterr().out
        rows = [line.strip("| ").split(" | ") for line in output.splitlines() if line.startswith("| ")]
        return output, {row[0]: row[1:] for row in rows[1:]}

    return covary


def write_styles(folder: Path, single: dict[int, int], several: dict[int, list[int]]) -> None:
    lists = {
        "styles.txt": [f"{number} {style}" for number, style in enumerate(STYLES, start=1)],
        "train.jpgl": single,
        "train.lab": single.values(),
        "test.jpgl": several,
        "test.multilab": [" ".join(map(str, flags)) for flags in several.values()],
    }
    (folder / "style_image_lists").mkdir()
    for name, lines in lists.items():
        (folder / "style_image_lists" / name).write_text("\n".join(map(str, lines)) + "\n")


def test_a_style_that_people_like_stands_first_with_its_difference(tmp_path, covary):
    rng = np.random.default_rng(0)
    single = {number: 1 if number % 3 == 0 else 2 for number in range(1, 91)}
    several = {number: [number % 2, 1 - number % 2, int(number == 91)] for number in range(91, 121)}
    write_styles(tmp_path, single, several)
    liked = {number for number, style in single.items() if style == 1} | {n for n in several if n % 2}
    shares = {True: [0.05] * 6 + [0.1, 0.2, 0.2, 0.2], False: [0.05] * 6 + [0.2, 0.2, 0.2, 0.1]}
    votes = {number: rng.multinomial(100, shares[number in liked]) for number in range(1, 151)}
    with gzip.open(tmp_path / "ava_votes_150.csv.gz", "wt") as file:
        file.write("image_id," + ",".join(f"votes_{score}" for score in range(1, 11)) + "\n")
        file.writelines(f"{number},{','.join(map(str, counts))}\n" for number, counts in votes.items())
    output, table = covary(tmp_path)
    means = {number: counts @ np.arange(1, 11) / 100 for number, counts in votes.items() if number <= 120}
    difference = np.mean([means[n] for n in means if n in liked]) - np.mean(
        [means[n] for n in means if n not in liked]
    )
    assert output.startswith("120 pictures, mean score")
    assert list(table) == ["HDR", "Motion Blur"]
    assert table["HDR"][:2] == ["45", f"{difference:+.3f}"] and float(table["HDR"][4]) < 0.05
    assert "Rare: 1 of 120 pictures are in it, 2 are needed." in output


def test_the_published_layout_tells_the_contests(tmp_path, covary):
    importlib.import_module("synthetic_ava").write_synthetic_ava(tmp_path / "ava", 600)
    output, table = covary(tmp_path / "ava")
    assert " contests, mean score" in output and set(table) <= {f"Style {number}" for number in range(1, 15)}
    # whole contests were drawn, of which hardly one has two pictures; the styles are drawn by chance
    assert table and all(float(cells[4]) > 0.01 for cells in table.values())


def test_a_folder_without_votes_is_refused_in_one_line(tmp_path, covary):
    with pytest.raises(SystemExit, match="Expected AVA.txt or one ava_votes.*, found 0 tables"):
        covary(tmp_path)
