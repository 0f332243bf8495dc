import json
import shutil
from pathlib import Path

import pytest
from tiny import PROCESSOR, TINY_RESNET, tiny_model

from hf_aesthetics import HandcraftedConfig, HandcraftedForAestheticAssessment, HandcraftedImageProcessor
from hf_aesthetics.hub import save_checkpoint
from hf_aesthetics.models.configuration_rating_scale import RatingScaleConfig
from hf_aesthetics.models.image_processing_modality import ModalityImageProcessor
from hf_aesthetics.scoring import AestheticScorer, Reliability, describe_score, find_companions, hash_weights


def write_report(folder: Path, srcc_std: list[float | None], weights: str | None = None) -> None:
    (folder / "evaluation").mkdir(exist_ok=True)
    report = {
        "metrics": {"mae": 0.25, "srcc_std": 0.3},
        "intervals": {"srcc_std": srcc_std},
        "num_images": 40,
        "dataset_name": "parks",
        "weights_sha256": weights or hash_weights(folder),
    }
    (folder / "evaluation" / "report.json").write_text(json.dumps(report))


@pytest.fixture(scope="module")
def nima(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "nima"
    return save_checkpoint(tiny_model(TINY_RESNET), PROCESSOR, folder)


@pytest.mark.parametrize(("interval", "knows"), [([0.1, 0.5], True), ([-0.1, 0.5], False), ([None, None], False)])
def test_a_checkpoint_says_how_far_it_is_off(nima, interval, knows):
    write_report(nima, interval)
    found = Reliability.of_scorer(AestheticScorer.from_pretrained(nima, device="cpu"))
    assert found == Reliability(error=0.25, knows_spread=knows, num_images=40, dataset_name="parks")


def test_a_report_of_other_weights_is_none(nima):
    write_report(nima, [0.1, 0.5], weights="0" * 64)
    assert Reliability.of_scorer(AestheticScorer.from_pretrained(nima, device="cpu")) is None


def test_without_a_report_nothing_is_known(nima):
    shutil.rmtree(nima / "evaluation", ignore_errors=True)
    assert Reliability.of_scorer(AestheticScorer.from_pretrained(nima, device="cpu")) is None


def test_companions_are_the_folders_beside_with_the_same_scale(nima):
    for name in ("saliency", "blur"):
        processor = ModalityImageProcessor(modality=name)
        save_checkpoint(tiny_model(TINY_RESNET), processor, nima.with_name(f"of-{name}"))
    save_checkpoint(
        tiny_model(TINY_RESNET, max_score=10, num_labels=10),
        ModalityImageProcessor(modality="gray"),
        nima.with_name("another-scale"),
    )
    handcrafted = HandcraftedForAestheticAssessment(HandcraftedConfig(max_score=5, num_labels=5))
    save_checkpoint(handcrafted, HandcraftedImageProcessor(), nima.with_name("features"))
    assert find_companions(nima) == {
        "saliency": str(nima.with_name("of-saliency")),
        "blur": str(nima.with_name("of-blur")),
        "handcrafted": str(nima.with_name("features")),
    }


MEASURED = Reliability(error=0.25, knows_spread=True, num_images=40, dataset_name="parks")
RECORD = {"score": 3.04, "score_std": 0.6, "percentile": 83.4, "distribution": None}


@pytest.mark.parametrize(
    ("std", "words"), [(0.6, "disagree little"), (0.7, "disagree somewhat"), (1.1, "disagree much"), (2.0, "much")]
)
def test_disagreement_is_told_by_the_scale(std, words):
    opening, *_ = describe_score({**RECORD, "score_std": std}, RatingScaleConfig(max_score=5, num_labels=5), MEASURED)
    assert opening.startswith("3.0 of 5, people ") and opening.endswith(f"{words}.")


def test_nothing_is_said_that_is_not_known():
    config = RatingScaleConfig(max_score=5, num_labels=5)
    bare = {"score": 3.04, "score_std": None, "percentile": None, "distribution": None}
    assert describe_score(bare, config) == ["3.0 of 5.", "How far the model is off has not been published with it."]
    unsure = Reliability(error=0.25, knows_spread=False, num_images=40, dataset_name="parks")
    told = describe_score(RECORD, config, unsure)
    assert told[0] == "3.0 of 5." and told[-1] == "On which pictures people disagree it could not tell."
