import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter


sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import prove_causes


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> list[str]:
    """The proof on a few scenes, without those panels that need more of them."""
    work_dir = tmp_path_factory.mktemp("proof")
    patch = pytest.MonkeyPatch()
    patch.setattr(prove_causes, "MIXTURES", [{"depth": 0.6, "focus": 0.4}])
    patch.setattr(prove_causes, "NUM_NOTHING", 6)
    flags = ["--work_dir", str(work_dir), "--seeds", "100", "--num_pictures", "100", "--num_proc", "1"]
    prove_causes.main(flags)
    patch.setattr(prove_causes, "prove_seed", None)  # all is kept: a second call only prints
    prove_causes.main(flags)
    rows = prove_causes._kept(work_dir / "verdicts-100-100.json", lambda: [])
    patch.undo()
    return rows


@pytest.mark.parametrize("cue", ["depth", "blur", "colour"])
def test_a_cause_that_is_known_is_named(table, cue):
    (row,) = [row for row in table if row["kind"] == "one cause" and cue in row["truth"]]
    assert row["cause"] == cue and row["shares"][cue][0] > 0.8


def test_shares_of_a_mixture_are_found(table):
    (row,) = [row for row in table if row["kind"] == "mixture" and set(row["truth"]) == {"depth", "blur"}]
    assert all(abs(row["shares"][cue][0] - share) < 0.2 for cue, share in row["truth"].items())


def test_votes_of_other_pictures_lead_to_hardly_any_claim(table):
    assert sum(row["is_claim"] for row in table if row["kind"] == "nothing") <= 2  # of 6; 3 have a chance of 0.2 %


def test_the_table_counts_what_was_named(table):
    lines = prove_causes.table(table).splitlines()
    assert "| depth alone | 1 of 1" in "\n".join(lines) and lines[-1].endswith("| | |")


def test_measured_properties_follow_what_they_are_called():
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (200, 300, 3)).astype(np.uint8))
    slopes = [prove_causes.spectral_slope(noise.filter(ImageFilter.GaussianBlur(r))) for r in (0, 1, 2)]
    assert slopes[0] == pytest.approx(0, abs=0.1) and slopes[0] > slopes[1] > slopes[2]
    spot = np.full((64, 64, 3), 90, np.uint8)
    spot[6:12, 50:56] = 230
    expected = np.hypot(53 / 64 - 0.5, 9 / 64 - 0.5)
    assert prove_causes.signature_place(Image.fromarray(spot)) == pytest.approx(expected, abs=0.05)
    # by hand: rg = 255 and yb = 127.5 in half of the picture, 0 in the other
    half = np.zeros((2, 2, 3), np.uint8)
    half[0, :, 0] = 255
    by_hand = np.hypot(127.5, 63.75) + 0.3 * np.hypot(127.5, 63.75)
    assert prove_causes.colourfulness(Image.fromarray(half)) == pytest.approx(by_hand)
    assert prove_causes.colourfulness(Image.new("RGB", (9, 9), "gray")) == 0
