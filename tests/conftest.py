"""Fixtures that several test files share, and the walls around the test run: its own home, no network but loopback."""

import atexit
import os
import shutil
import tempfile


_HOME = tempfile.mkdtemp(prefix="hf_aesthetics_tests_")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
# Hugging Face libraries read their environment once, at import
os.environ.update(
    HF_HOME=_HOME,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_UPDATE_CHECK="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
)
# `make test` runs as many files side by side as there are cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY_RESNET

from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment


@pytest.fixture(autouse=True, scope="session")
def loopback_only():
    """A test that reaches for another machine fails, here and not on the plane."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise OSError(f"Tests may only use loopback, got a connection to {address}.")
        return connect(self, address)

    socket.socket.connect = guarded
    yield
    socket.socket.connect = connect


@pytest.fixture
def tiny_nima_config() -> NimaConfig:
    return NimaConfig(backbone_config=dict(TINY_RESNET))


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """A saved tiny NIMA with random weights whose scores differ between pictures, and its 32-pixel processor."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny") / "nima-tiny"
    model = NimaForAestheticAssessment(
        NimaConfig(backbone_config=dict(TINY_RESNET), score_quantiles=[float(q) for q in np.linspace(2, 9, 101)])
    )
    torch.nn.init.normal_(model.score_head.dense.weight, std=2.0)
    model.save_pretrained(folder)
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_depth(tmp_path_factory) -> Path:
    """A saved Depth Anything with random weights, and its processor, which keeps the proportions of a picture."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    folder = tmp_path_factory.mktemp("depth") / "tiny-depth"
    stages = [f"stage{number}" for number in range(1, 5)]
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=28,
        out_features=stages,
        reshape_hidden_states=False,
    )
    sizes = {"reassemble_hidden_size": 16, "neck_hidden_sizes": [4, 4, 8, 8], "fusion_hidden_size": 8}
    torch.manual_seed(0)
    model = DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=backbone, head_hidden_size=4, **sizes))
    model.save_pretrained(folder)
    size = {"height": 28, "width": 28}
    DPTImageProcessor(size=size, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)
    return folder


@pytest.fixture
def photo_folder(tmp_path) -> Path:
    """A few pictures of several sizes and formats, in a folder with a sub-folder."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    names = ["beach.jpg", "grey.png", "trip/été 夏.jpg", "trip/wide.png"]
    for name, (height, width) in zip(names, [(48, 64), (64, 48), (50, 50), (40, 120)], strict=True):
        ramp = np.linspace(0, 200, width)[None, :, None] * generator.uniform(0.2, 1, size=(1, 1, 3))
        pixels = np.clip(ramp + generator.normal(20, 10, size=(height, width, 3)), 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels)
        (image.convert("L") if name == "grey.png" else image).save(folder / name)
    return folder
