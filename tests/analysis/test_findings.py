"""Findings come back from their file as they were, and what no reader could use is refused by its name."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sample_findings import bare_findings, full_findings

from hf_aesthetics.analysis.findings import Dominance, Estimate, load_findings, save_findings


@pytest.mark.parametrize("findings", [full_findings(), bare_findings()], ids=["full", "bare"])
def test_findings_come_back_as_they_were(tmp_path, findings):
    save_findings(tmp_path / "findings.json", findings)
    assert load_findings(tmp_path / "findings.json") == findings


def test_numbers_and_names_of_arrays_come_back_as_plain_ones(tmp_path):
    counts = dict(zip(np.array(["depth", "blur"]), np.array([3, 4]), strict=True))
    findings = replace(bare_findings(), dominance=Dominance(counts, np.int64(5), np.float32(0.25), {}))
    save_findings(tmp_path / "findings.json", findings)
    dominance = load_findings(tmp_path / "findings.json").dominance
    assert dominance == Dominance({"depth": 3, "blur": 4}, 5, 0.25, {})
    assert type(dominance.noise) is float and {type(name) for name in dominance.counts} == {str}


def with_skill(skill):
    findings = full_findings()
    rows = [*findings.modalities[:2], replace(findings.modalities[2], skill=skill)]
    return replace(findings, modalities=rows)


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        (
            with_skill(Estimate(0.1, float("nan"), 0.2)),
            r"modalities\[2\]\.skill\.low must be a finite number, got nan",
        ),
        (
            with_skill(Estimate(0.1, 0.0, float("inf"))),
            r"modalities\[2\]\.skill\.high must be a finite number, got inf",
        ),
        (with_skill(None), r"modalities\[2\]\.skill must be Estimate, got None"),
        (replace(full_findings(), num_pictures=1.5), r"num_pictures must be int, got 1\.5"),
        (replace(full_findings(), agreement={"rgb": {3: 0.1}}), r"a name in findings\.agreement\['rgb'\].* got 3"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(tmp_path, findings, message):
    with pytest.raises(ValueError, match=message):
        save_findings(tmp_path / "findings.json", findings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plain: plain["verdict"].pop("cause"), r"findings\.verdict must have the fields .*'cause'.*, got \["),
        (lambda plain: plain.update(mood="good"), r"findings must have the fields .*'mood'"),
        (lambda plain: plain["trends"].append(7), r"findings\.trends\[4\] must be Trend, got 7"),
    ],
)
def test_files_of_another_version_are_refused_by_the_field(tmp_path, change, message):
    path = tmp_path / "findings.json"
    save_findings(path, full_findings())
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=rf"findings\.json does not hold findings of this version \({message}"):
        load_findings(path)


def test_a_file_that_is_absent_or_cut_short_is_said_to_be_so(tmp_path):
    path = tmp_path / "findings.json"
    with pytest.raises(ValueError, match=r"Expected findings at .*findings\.json, found none"):
        load_findings(path)
    save_findings(path, full_findings())
    path.write_text(path.read_text()[:500])
    with pytest.raises(ValueError, match=r"findings\.json does not hold findings"):
        load_findings(path)
