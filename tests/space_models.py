"""A scorer with what belongs to it, small enough to start a Space in seconds, with planted evaluations."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny import TINY_RESNET, tiny_model
from tiny_series import SERIES_PROCESSOR, tiny_fgaesq

from hf_aesthetics import (
    HandcraftedConfig,
    HandcraftedForAestheticAssessment,
    HandcraftedImageProcessor,
    ModalityImageProcessor,
)
from hf_aesthetics.hub import save_checkpoint
from hf_aesthetics.scoring import hash_weights


SIZE = {"height": 32, "width": 32}
ERROR = 0.002  # of random weights, whose scores hardly differ


def save_models(folder: Path) -> Path:
    """Saves a NIMA for pictures, which is returned, and beside it one for blur maps and a model of named features."""
    nima = tiny_model(TINY_RESNET, notice="demonstration <of tests>", score_quantiles=[2.0, 3.0, 4.0])
    blur = tiny_model(TINY_RESNET)
    features = HandcraftedForAestheticAssessment(HandcraftedConfig(max_score=5, num_labels=5))
    for name, model, processor in (
        ("nima", nima, ModalityImageProcessor(size=SIZE)),
        ("nima-blur", blur, ModalityImageProcessor(modality="blur", size=SIZE)),
        ("features", features, HandcraftedImageProcessor()),
    ):
        save_checkpoint(model, processor, folder / name)
        write_report(folder / name, ERROR)
    return folder / "nima"


def save_comparing_model(folder: Path) -> Path:
    """Saves a model that compares pictures, whose random weights prefer one to another clearly."""
    model = tiny_fgaesq()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    save_checkpoint(model, SERIES_PROCESSOR, folder / "fgaesq")
    return folder / "fgaesq"


def write_report(checkpoint: Path, error: float) -> None:
    report = {
        "metrics": {"mae": error},
        "intervals": {"srcc_std": [0.1, 0.5]},
        "num_images": 40,
        "dataset_name": "parks",
        "weights_sha256": hash_weights(checkpoint),
    }
    (checkpoint / "evaluation").mkdir()
    (checkpoint / "evaluation" / "report.json").write_text(json.dumps(report))


def save_pictures(folder: Path, count: int) -> list[Path]:
    """Pictures of different colours and proportions, `0.png`, `1.png`, ..."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        low = generator.integers(0, 200, 3)
        pixels = generator.integers(low, low + 56, (60 + 4 * number, 90, 3), dtype=np.int64).astype(np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths
