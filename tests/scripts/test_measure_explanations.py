"""Explanations measured by a program."""

import re


def test_every_method_has_a_row_with_intervals(folder, run, tiny_checkpoint, capsys):
    few = ["--num_pictures", "2", "--num_steps", "4", "--methods", "grad_cam", "integrated_gradients"]
    run(folder, "measure_explanations", str(tiny_checkpoint), "--dataset", "folder", "--data_dir", "pictures", *few)
    printed = capsys.readouterr().out
    assert "2 pictures of folder, test, by nima-tiny@" in printed
    rows = re.findall(r"^\| (\w+) \| ([-+]\d\.\d\d \[[-+]\d\.\d\d, [-+]\d\.\d\d\]) \|", printed, re.MULTILINE)
    assert [name for name, _ in rows] == ["grad_cam", "integrated_gradients", "centre"]
