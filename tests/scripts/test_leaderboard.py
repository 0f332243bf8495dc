"""The leaderboard as a program, at a size that takes seconds."""

import pytest
from page_parser import parse, words

from hf_aesthetics.analysis.findings import load_findings
from hf_aesthetics.analysis.leaderboard import CONSTANT, SHUFFLED, Leaderboard


BOARD = [
    *("--dataset", "folder", "--data_dir", "pictures", "--backbone", "backbone", "--head_dropout", "0"),
    *("--num_train_epochs", "1", "--linear_probe", "--freeze_stages", "1", "--use_cpu", "--disable_tqdm", "1"),
    *(
        "--num_folds",
        "3",
        "--fold_seeds",
        "0",
        "--num_resamples",
        "100",
        "--speed_pictures",
        "4",
        "--output_dir",
        "board",
    ),
    *("--entries", "handcrafted", "nima", SHUFFLED, "--adjust", "handcrafted:image_size=32"),
]


@pytest.fixture(scope="module")
def board(folder, run) -> Leaderboard:
    run(folder, "leaderboard", *BOARD)
    return load_findings(folder / "board" / "leaderboard.json", Leaderboard)


def test_pictures_rated_by_brightness_are_learnt_by_eye_and_by_feature_but_not_from_others_ratings(board):
    assert {row.name for row in board.ranked} == {"nima", "handcrafted"}
    assert [row.name for row in board.rows[2:]] == [SHUFFLED, CONSTANT]
    assert all(row.srcc > 0.6 and row.figures["srcc"].low > 0 for row in board.ranked)
    assert board.row(SHUFFLED).srcc < 0.5
    assert board.row(SHUFFLED).features == "deep" and board.row(CONSTANT).figures["emd_skill"].value == 0


def test_what_it_costs_is_measured(board):
    numbers = {row.name: row.num_values for row in board.ranked}
    assert numbers["handcrafted"] == 35 * 5 + 5 + 2 * 35 + 34 * 34  # weights, biases, statistics
    assert all(row.images_per_second > 0 for row in board.ranked)


def test_light_is_the_criterion(board):
    by_name = {found.name: found for found in board.criteria}
    assert by_name["lighting"].alone.value > 0.5
    assert by_name["lighting"].unique.value == max(found.unique.value for found in board.criteria)
    assert {found.name for found in board.classes} == {"deep", "hand-crafted"}


def test_finished_entries_are_not_trained_again_and_others_join(board, folder, run, capsys):
    before = {file: file.stat().st_mtime_ns for file in (folder / "board").glob("*/seed*.parquet")}
    assert len(before) == 9
    entries = BOARD.index("--entries")
    flags = [*BOARD[: entries + 1], "handcrafted", *BOARD[entries + 3 :], "--groups", "image_id"]
    with pytest.raises(SystemExit, match="2"):
        run(folder, "leaderboard", *flags)
    assert "holds runs of a recipe with groups=None" in capsys.readouterr().err
    run(folder, "leaderboard", *BOARD, "--transfer_by", "place", "--transfer_entries", "nima")
    assert before == {file: file.stat().st_mtime_ns for file in before}
    page = parse((folder / "board" / "leaderboard.html").read_text())
    assert "30 pictures in 30 groups by image_id" in words(page)
    found = load_findings(folder / "board" / "leaderboard.json", Leaderboard)
    assert found.command.startswith("python scripts/leaderboard.py --dataset folder")
    (transfer,) = found.transfers  # light is light, wherever it was learnt
    assert transfer.num_pictures == {"sea": 15, "sky": 15} and transfer.cells["sea"]["sky"].srcc.value > 0.5


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--adjust", "nina:image_size=32"], "error: --adjust must be ENTRY:FLAG=VALUE with an entry of "),
        (["--entries", "nina"], "error: An entry must be one of handcrafted, "),
        (["--transfer_by", "palce"], "error: pictures must have the column to part it by, got 'palce'."),
        (["--transfer_by", "place"], "error: --transfer_entries must be some of the entries, handcrafted, nima, "),
    ],
)
def test_a_wrong_entry_is_one_line(folder, run, capsys, flags, told):
    with pytest.raises(SystemExit, match="2"):
        run(folder, "leaderboard", *BOARD, *flags)
    assert capsys.readouterr().err.splitlines()[-1].startswith(told)
