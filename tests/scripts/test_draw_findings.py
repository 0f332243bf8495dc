"""Figures of a study as files that need nothing else."""

import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sample_findings import bare_findings, full_findings

from hf_aesthetics.analysis.findings import save_findings


SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def draw_findings():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "draw_findings.py"))["main"]


def test_every_figure_that_is_defined_is_a_file_with_its_own_style(draw_findings, tmp_path, capsys):
    for findings in (full_findings(), bare_findings()):
        save_findings(tmp_path / f"{findings.collection}.json", findings)
    draw_findings([*map(str, tmp_path.glob("*.json")), "--output_dir", str(tmp_path / "figures")])
    printed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(printed) == sorted((tmp_path / "figures").iterdir())
    named = {file.stem for file in printed}
    assert {f"made-up-parks-{figure}" for figure in ("srcc", "skill", "unique", "beyond_rgb", "shares")} <= named
    for file in printed:
        svg = ElementTree.parse(file).getroot()
        classes = {part for element in svg.iter() for part in (element.get("class") or "").split()}
        (style,) = svg.iter(f"{SVG}style")
        assert svg.tag == f"{SVG}svg" and classes, file
        assert not [name for name in classes if f".{name}" not in style.text], file


def test_no_findings_are_one_line(draw_findings, tmp_path, capsys):
    with pytest.raises(SystemExit):
        draw_findings([str(tmp_path / "none.json"), "--output_dir", str(tmp_path)])
    assert "error: Expected findings at" in capsys.readouterr().err
