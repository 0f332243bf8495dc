"""A leaderboard's page and table say what was measured, and an undefined figure is said to be one."""

import pytest
from page_parser import parse, words

from hf_aesthetics.analysis.findings import Estimate
from hf_aesthetics.analysis.input_sets import InputSetFigures
from hf_aesthetics.analysis.leaderboard import (
    CONSTANT,
    DuplicatePair,
    Leaderboard,
    LeaderboardRow,
    Leakage,
    Transfer,
    TransferCell,
)
from hf_aesthetics.reports import write_leaderboard


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05)


def make_board() -> Leaderboard:
    figures = {name: estimate(0.6) for name in ("srcc", "plcc", "krcc", "accuracy", "f1")}
    rows = [
        LeaderboardRow("nima", "deep", "distribution", {**figures, "emd_skill": estimate(0.3)}, 0.9, 1234567, 88.4),
        LeaderboardRow("ranking", "deep", "ranking", {**figures, "srcc": estimate(0.51), "emd_skill": None}),
        LeaderboardRow(CONSTANT, "none", "distribution", dict.fromkeys(["srcc", "plcc", "krcc", "f1", "emd_skill"])),
    ]
    cells = {
        "sea": {"sea": TransferCell(estimate(0.5), estimate(0)), "<sky>": TransferCell(None, None)},
        "<sky>": {"sea": TransferCell(estimate(0.31), estimate(0.19)), "<sky>": TransferCell(None, None)},
    }
    return Leaderboard(
        "parks & <squares>",
        "1f00abcd" * 8,
        4321,
        40,
        "theme",
        5,
        [0, 1],
        rows,
        "python scripts/leaderboard.py --dataset folder",
        "cpu, 2 threads",
        0.81,
        Leakage(3, [DuplicatePair("a<b", "c", 0.987)], {"nima": estimate(0.58)}),
        [Transfer("handcrafted", "place", {"sea": 20, "<sky>": 30}, 12, cells)],
        [InputSetFigures("deep", estimate(0.4), estimate(0.2))],
        [InputSetFigures("composition", estimate(0.08), estimate(-0.001), estimate(0.012))],
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_leaderboard(tmp_path_factory.mktemp("board"), make_board())


def test_the_page_is_well_formed_and_says_all(files):
    page = parse(files[0].read_text())
    tables = page.findall(".//table")
    rows = [[words(cell) for cell in row] for row in tables[0].find("tbody")]
    assert rows[0][:2] == ["nimadeep → distribution", "0.60 [0.55, 0.65]"]
    assert rows[0][-3:] == ["0.90", "1,234,567", "88"]
    assert rows[1][6] == "undefined" and rows[2][1] == "undefined"
    said = words(page)
    assert "4,321 pictures in 40 groups by theme" in said and "A perfect model would reach SRCC 0.90" in said
    assert "a<b" in said and "parks & <squares>" in said
    (transfer,) = [table for table in tables if "trained on" in words(table.find("thead"))]
    cells = [[words(cell) for cell in row] for row in transfer.find("tbody")]
    assert cells[1][:2] == ["<sky>", "0.31 drop +0.19 [+0.14, +0.24]"]
    assert not page.findall(".//script") and "http" not in files[0].read_text().replace("http-equiv", "")


def test_the_table_has_as_many_cells_in_every_row(files):
    text = files[1].read_text()
    assert "| nima | deep | distribution | 0.600 [0.550, 0.650] |" in text
    assert "| ranking | deep | ranking | 0.510 [0.460, 0.560] |" in text
    blocks = [block for block in text.split("\n\n") if block.startswith("| ")]
    assert len(blocks) == 4
    for block in blocks:
        heading, rule, *rows = block.strip().splitlines()
        assert set(rule) == {"|", "-"} and rows
        assert {line.count("|") for line in (rule, *rows)} == {heading.count("|")}
    assert "| composition | 0.080 [0.030, 0.130] | −0.001 [−0.051, 0.049] | 0.012 [−0.038, 0.062] |" in text
