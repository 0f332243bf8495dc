import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.reports.map_sheet import CELL, GAP, LINE


@pytest.fixture(scope="module")
def draw_maps():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "draw_maps.py"))


def test_a_sheet_has_a_row_a_picture_and_a_column_a_map(draw_maps, photo_folder, tiny_depth, tmp_path):
    output = tmp_path / "sheets" / "maps.png"
    maps = ["--modality", "gray", "depth", "--extractor", f"depth={tiny_depth}"]
    draw_maps["main"](["--data_dir", str(photo_folder), *maps, "--num_pictures", "3", "--output", str(output)])
    sheet = np.asarray(Image.open(output), dtype=int)
    (width, height), gap, line = CELL, GAP, LINE
    assert sheet.shape == (line + 3 * (height + line + gap), 3 * (width + gap) + gap, 3)
    cells = [sheet[line : line + height, gap + c * (width + gap) :][:, :width] for c in range(3)]
    np.testing.assert_allclose(cells[1][..., 0], cells[0] @ [0.299, 0.587, 0.114], atol=8)  # but for the margins' tint
    assert (cells[2] == cells[2][..., :1]).mean() > 0.9 and cells[2].std() > 5


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data_dir", "{tmp}"], "Expected pictures in"),
        ([], "Expected --dataset or --data_dir"),
        (["--data_dir", "{tmp}", "--modality", "saliency_u2net"], "none is named"),
    ],
)
def test_an_error_is_one_line(draw_maps, flags, message, tmp_path):
    with pytest.raises(SystemExit, match=f"^error: [^\n]*{message}[^\n]*$"):
        draw_maps["main"]([*(flag.format(tmp=tmp_path) for flag in flags), "--output", str(tmp_path / "x.png")])
