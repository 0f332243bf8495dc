"""A card says what its report and its checkpoint say, and nothing else."""

import ast
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, parse_eval_result_entries
from transformers import AutoModelForImageClassification
from yaml import safe_load

from hf_aesthetics import MODEL_ROWS, ModalityImageProcessor, NimaConfig
from hf_aesthetics.cards import card_template, eval_result_files, render_model_card, report_folders
from hf_aesthetics.data.columns import DatasetFacts
from hf_aesthetics.evaluation import EvaluationReport


FACTS = DatasetFacts(
    name="Parks",
    license="CC-BY-4.0 | pictures",
    description="Forty students of one school rated parks.",
    source_url="hf.co/datasets/org/parks",
    citation="Doe, Parks, 2024.",
)
REPORT = EvaluationReport(
    dataset_name="org/parks",
    dataset_revision="ab" * 20,
    split="test",
    num_images=1234,
    unreadable_ids=["p7", "p8"],
    image_ids_sha256="1d" * 32,
    seen_in_training={"validation": 3, "train of lakes": 12},
    min_score=1.0,
    max_score=10.0,
    num_bins=10,
    scorer_id="nima-tiny@0123456789ab",
    weights_sha256="3e" * 32,
    preprocessing="rgb, squash 32x32, 5d1c0a94be27",
    metrics={
        **{"srcc": 0.61234, "plcc": 0.62345, "krcc": None, "mse": 0.30456, "mae": 0.43567, "accuracy": 0.77777},
        **{
            "emd": 0.048765,
            "emd_2": 0.068765,
            "emd_skill": 0.23456,
            "majority_accuracy": 0.70321,
            "pit_error": 0.0219,
        },
    },
    intervals={"srcc": [0.57123, 0.65432], "emd": [0.045678, 0.051234]},
    constant_metrics={"srcc": None, "emd": 0.063333, "mae": 0.58585},
    srcc_ceiling=0.93579,
    score_bands=[
        {"low": 1.0, "high": 2.0, "num_images": 0, "bias": None, "mae": None},
        {"low": 4.0, "high": 5.0, "num_images": 1234, "bias": 0.11111, "mae": 0.43567},
    ],
    pit=[0.12, 0.1, 0.1, 0.09, 0.09, 0.09, 0.1, 0.1, 0.1, 0.11],
    num_resamples=1000,
    seed=5,
    versions={"hf_aesthetics": "0.1.0", "torch": "2.15.0"},
    device="cpu",
    date="2026-01-02T03:04:05+00:00",
    command="measure --split test",
    notice=None,
)


@pytest.fixture
def card(tiny_checkpoint) -> ModelCard:
    return render_model_card(tiny_checkpoint, REPORT, facts=FACTS, repo_id="org/nima-tiny", license="mit")


def table_rows(text: str) -> dict[str, list[str]]:
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}


def section(card: ModelCard, title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card.text, re.DOTALL | re.MULTILINE)[1]


def test_results_stand_beside_their_intervals_and_the_constant(card):
    rows = table_rows(section(card, "Results"))
    assert rows["SRCC of the mean score ↑"] == ["0.612", "0.571 to 0.654", "", "0.936"]
    assert rows["earth mover's distance, order 1 ↓"] == ["0.0488", "0.0457 to 0.0512", "0.0633", ""]
    assert rows["mean absolute error ↓"] == ["0.436", "", "0.586", ""]
    # always the more frequent class is the floor of an accuracy
    assert rows["accuracy, above 5 or not ↑"] == ["0.778", "", "0.703", ""]
    assert rows["4 to 5"] == ["1,234", "+0.11", "0.44"]
    assert not {"KRCC of the mean score ↑", "1 to 2"} & rows.keys()


def test_every_decimal_number_of_the_results_is_in_the_report(card):
    known = set(re.findall(r"-?\d+\.\d+", REPORT.to_json()))
    for shown in re.findall(r"-?\d+\.\d{2,}", section(card, "Results")):
        decimals = len(shown.split(".")[1])
        assert any(f"{float(value):.{decimals}f}" == shown for value in known), shown


@pytest.mark.parametrize(
    "fact", ["ab" * 20, "1d" * 32, "3e" * 32, "nima-tiny@0123456789ab", "measure --split test", "torch 2.15.0"]
)
def test_results_can_be_traced(card, fact):
    assert fact in section(card, "Results")


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({}, "| seen in training | none of them |"),
        (None, "| seen in training | not recorded |"),
        (REPORT.seen_in_training, "| seen in training | **3 in validation**, **12 in train of lakes** |"),
    ],
)
def test_pictures_seen_in_training_are_told(seen, told, tiny_checkpoint):
    card = render_model_card(tiny_checkpoint, replace(REPORT, seen_in_training=seen), facts=FACTS)
    assert told in section(card, "Results")


def test_the_model_index_round_trips(card):
    read = ModelCard(str(card))
    assert read.data.to_dict() == card.data.to_dict()
    results = {result.metric_type: result for result in read.data.eval_results}
    assert {key: result.metric_value for key, result in results.items()} == {
        key: value for key, value in REPORT.metrics.items() if value is not None and key != "majority_accuracy"
    }
    srcc = results["srcc"]
    assert (srcc.dataset_type, srcc.dataset_split, srcc.dataset_revision) == ("org/parks", "test", "ab" * 20)
    assert srcc.metric_name == "SRCC of the mean score"
    assert (read.data.library_name, read.data.pipeline_tag) == ("transformers", "image-classification")
    assert (read.data.license, read.data.datasets) == ("mit", ["org/parks"])


def test_what_is_not_on_the_hub_is_not_linked_to_it(tiny_checkpoint):
    local = replace(REPORT, dataset_name="My Parks!", dataset_revision="sha256:77")
    facts = DatasetFacts(name="parks", license="mine", source_url="https://example.org/parks")
    card = render_model_card(tiny_checkpoint, local, facts=facts, backbone=str(tiny_checkpoint))
    result = card.data.eval_results[0]
    assert (result.dataset_type, result.dataset_name, result.dataset_revision) == ("my-parks", "My Parks!", None)
    assert card.data.datasets is None and card.data.base_model is None and card.data.license is None
    assert "not chosen: ask" in section(card, "Licences")
    assert "# nima-tiny\n" in card.text  # the folder gives the name


@pytest.mark.parametrize(
    ("backbone", "base_model"),
    [("google/mobilenet_v2_1.0_224", "google/mobilenet_v2_1.0_224"), ("torchvision/alexnet", None), (None, None)],
)
def test_the_base_model_is_a_repository(tiny_checkpoint, backbone, base_model):
    card = render_model_card(tiny_checkpoint, REPORT, facts=FACTS, backbone=backbone, backbone_license="apache-2.0")
    assert card.data.base_model == base_model
    assert (f"| backbone `{backbone}` | apache-2.0 |" in card.text) == (backbone is not None)


def test_code_blocks_are_python(card):
    blocks = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        ast.parse(block)
        assert '"org/nima-tiny"' in block


def test_the_notice_comes_before_everything_else(tiny_checkpoint, tmp_path):
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "demo"))
    config = NimaConfig.from_pretrained(folder)
    config.notice = "demonstration, trained on rendered scenes"
    config.score_quantiles = None
    config.save_pretrained(folder)
    card = render_model_card(folder, [], facts=FACTS)
    assert card.text.index("**Demonstration, trained on rendered scenes.**") < card.text.index("How would people rate")
    assert "`percentile`" not in card.text
    assert "This checkpoint has not been evaluated." in section(card, "Results")


def test_percentiles_are_explained_with_the_stored_quantiles(card):
    # the checkpoint stores 101 quantiles from 2 to 9
    assert "a quarter below 3.75, half below 5.50 and three\nquarters below 7.25" in section(
        card, "What the numbers mean"
    )


def test_modality_and_view_are_told(tiny_checkpoint, tmp_path):
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "gray"))
    ModalityImageProcessor(modality="gray", view="crop", crop_fraction=0.5).save_pretrained(folder)
    card = render_model_card(folder, REPORT, facts=FACTS)
    assert "only a **gray** map" in card.text and "gray" in card.data.tags
    assert "50 % of the shorter side" in section(card, "Limits")
    assert "Proportions are lost" not in card.text


def test_training_and_data_are_told(tiny_checkpoint):
    training = {"optimizer": "AdamW | 1e-4", "loss": "squared error", "num_epochs": 3}
    card = render_model_card(tiny_checkpoint, REPORT, facts=FACTS, training=training)
    made = table_rows(section(card, "How it was made").replace(r"\|", "/"))
    assert made["optimiser"][1] == "AdamW / 1e-4"
    assert "| loss | earth mover's distance of order 2 | squared error |" in card.text
    assert made["num epochs"] == ["3"]
    assert FACTS.description in section(card, "Limits")
    assert r"| CC-BY-4.0 \| pictures ([source](https://hf.co/datasets/org/parks)) |" in card.text
    assert FACTS.citation in section(card, "Citation")


def test_tables_are_whole(card):
    """Rows of one table have as many cells as its header; a stray blank line or bar would break it on the Hub."""
    tables = re.findall(r"(?:^\|.*\n)+", card.text, re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        header, rule, *rows = (len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines())
        assert header == rule and set(rows) == {header}, table
    assert "\n\n\n" not in card.text


def test_several_reports_have_folders_of_their_own(tiny_checkpoint):
    reports = [REPORT, replace(REPORT, dataset_name="AVA", dataset_revision="sha256:1"), replace(REPORT, split="val")]
    assert report_folders(reports) == ["evaluation", "evaluation/ava-test", "evaluation/org-parks-val"]
    card = render_model_card(tiny_checkpoint, reports, facts=FACTS)
    assert "### AVA, test: 1,234 pictures" in card.text
    assert "(evaluation/ava-test/report.json)" in card.text
    # a data set without a commit cannot have a benchmark
    files = eval_result_files(reports)
    assert sorted(files) == [".eval_results/org-parks-test.yaml", ".eval_results/org-parks-val.yaml"]
    [entry] = parse_eval_result_entries(safe_load(files[".eval_results/org-parks-val.yaml"]))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("org/parks", "val", 0.61234)
    assert entry.dataset_revision == "ab" * 20


CARDS = Path(__file__).parents[1] / "model_cards"
SCORERS = [config.model_type for config, _, auto, _ in MODEL_ROWS if auto is AutoModelForImageClassification]


@pytest.mark.parametrize("model_type", SCORERS)
def test_every_scorer_has_a_card(model_type):
    assert card_template(model_type).startswith("---\n{{ metadata }}\n---")


def test_a_missing_card_is_asked_for():
    known = re.escape(str(sorted(path.stem for path in CARDS.glob("*.md"))))
    with pytest.raises(ValueError, match=rf"no model card for 'vit', only for {known}. Write model_cards/vit.md"):
        card_template("vit")
