"""FastDepth against a reference in the published layout. `tiny_models` feeds the contract tests."""

import os
import re
import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForDepthEstimation

from hf_aesthetics import FastDepthConfig, FastDepthForDepthEstimation


BAD_VALUES = [
    ({"encoder_hidden_sizes": [8] * 13}, "`encoder_hidden_sizes` must be 14 positive numbers"),
    ({"decoder_hidden_sizes": [8, 8, 8, 8, 8]}, "must be [256, 128, 64], the widths of layers 5, 3 and 1"),
    ({"depth_estimation_type": "relative"}, "relative"),
]
ENCODER = [4, 6, 7, 8, 9, 10, 8, 8, 7, 8, 8, 8, 9, 12]
DECODER = [9, 10, 8, 6, 5]


def tiny_models() -> dict[str, FastDepthConfig]:
    return {"tiny": FastDepthConfig(encoder_hidden_sizes=ENCODER, decoder_hidden_sizes=DECODER)}


@pytest.fixture(scope="module")
def convert():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "convert_fastdepth.py"))["main"]


def published_network(encoder: list[int], decoder: list[int]) -> torch.nn.ModuleDict:
    """Layers as the published files name them, with random weights."""

    def step(read: int, out: int, size: int, stride: int = 1, groups: int = 1) -> list[torch.nn.Module]:
        norm = torch.nn.BatchNorm2d(out)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.running_var, 0.1, 0.3)
        torch.nn.init.normal_(norm.bias, std=0.1)
        torch.nn.init.normal_(norm.running_mean, std=0.1)
        return [torch.nn.Conv2d(read, out, size, stride, size // 2, groups=groups, bias=False), norm]

    network = torch.nn.ModuleDict({"conv0": torch.nn.Sequential(*step(3, encoder[0], 3, 2), torch.nn.ReLU6())})
    for index in range(1, 14):
        read, out = encoder[index - 1], encoder[index]
        depthwise = step(read, read, 3, 2 if index in (2, 4, 6, 12) else 1, groups=read)
        network[f"conv{index}"] = torch.nn.Sequential(
            *depthwise, torch.nn.ReLU6(), *step(read, out, 1), torch.nn.ReLU6()
        )
    for index, (read, out) in enumerate(zip([encoder[-1], *decoder], decoder, strict=False), start=1):
        halves = step(read, read, 5, groups=read), step(read, out, 1)
        network[f"decode_conv{index}"] = torch.nn.Sequential(
            *(torch.nn.Sequential(*half, torch.nn.ReLU()) for half in halves)
        )
    network["decode_conv6"] = torch.nn.Sequential(*step(decoder[-1], 1, 1), torch.nn.ReLU())
    return network.eval()


def published_forward(network: torch.nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    encoded = []
    for index in range(14):
        x = network[f"conv{index}"](x)
        encoded.append(x)
    for index in range(1, 6):
        x = F.interpolate(network[f"decode_conv{index}"](x), scale_factor=2, mode="nearest")
        x = x + {2: encoded[5], 3: encoded[3], 4: encoded[1]}.get(index, 0)
    return network["decode_conv6"](x)[:, 0]


def test_published_weights_give_the_published_network(convert, tmp_path):
    torch.manual_seed(0)
    network = published_network(ENCODER, DECODER)
    torch.save(network.state_dict(), tmp_path / "fastdepth.pth")
    convert(["--weights", str(tmp_path / "fastdepth.pth"), "--output_dir", str(tmp_path / "converted")])
    model = AutoModelForDepthEstimation.from_pretrained(tmp_path / "converted").eval()
    pictures = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        expected = published_forward(network, pictures)
        torch.testing.assert_close(model(pictures).predicted_depth, expected, atol=1e-5, rtol=1e-4)
    assert expected.std() > 0.01
    processor = AutoImageProcessor.from_pretrained(tmp_path / "converted")
    white = processor(torch.full((3, 40, 60), 255, dtype=torch.uint8), return_tensors="pt")["pixel_values"]
    assert white.shape == (1, 3, 224, 224) and torch.equal(white, torch.ones_like(white))

    card = (tmp_path / "converted" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n") and "| these weights | not settled: " in card
    for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        compile(block, "card", "exec")


def test_default_widths_are_those_of_mobilenet_and_the_published_decoder():
    with torch.device("meta"):
        ours = FastDepthForDepthEstimation(FastDepthConfig()).num_parameters()
        encoder = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
        published = published_network(encoder, [512, 256, 128, 64, 32])
    assert ours == sum(parameter.numel() for parameter in published.parameters())


def test_files_that_hold_more_than_weights_are_not_run(convert, tmp_path):
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "model.pth.tar")
    with pytest.raises(SystemExit, match="expected a state dict, .*model.pth.tar holds Python objects. See --help"):
        convert(["--weights", str(tmp_path / "model.pth.tar"), "--output_dir", str(tmp_path / "converted")])
    torch.save({"conv0.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(SystemExit, match="expected those of FastDepth, .*other.pth differs"):
        convert(["--weights", str(tmp_path / "other.pth"), "--output_dir", str(tmp_path / "converted")])


def test_loss_is_the_mean_absolute_error_where_the_distance_is_known():
    torch.manual_seed(0)
    model = FastDepthForDepthEstimation(tiny_models()["tiny"]).eval()
    pictures, metres = torch.rand(1, 3, 40, 50), torch.zeros(1, 40, 50)  # sides need not divide by 32
    metres[0, 3, 4], metres[0, 20, 30] = 2.0, 5.0
    with torch.no_grad():
        depth = model(pictures).predicted_depth
        expected = ((depth[0, 3, 4] - 2).abs() + (depth[0, 20, 30] - 5).abs()) / 2
        assert model(pictures, labels=metres).loss.item() == pytest.approx(expected.item())
        assert model(pictures, labels=0 * metres).loss.item() == 0
    with pytest.raises(ValueError, match=re.escape("(1, 40, 50), got (1, 1, 40, 50)")):
        model(pictures, labels=metres[None])


def test_folded_network_equals_its_reference_runner(convert, tmp_path):
    folder = Path(os.environ.get("HF_AESTHETICS_MODELS_DIR", "")) / "fastdepth_224"
    if not (folder / "fastdepth_torch.py").is_file():
        pytest.skip("needs FastDepth: set HF_AESTHETICS_MODELS_DIR to the folder that holds fastdepth_224/")
    reference = runpy.run_path(str(folder / "fastdepth_torch.py"))["FastDepth"]().eval()
    reference.load_state_dict(load_file(folder / "model.safetensors"))
    convert(["--weights", str(folder / "model.safetensors"), "--output_dir", str(tmp_path)])
    model = AutoModelForDepthEstimation.from_pretrained(tmp_path).eval()
    pictures = F.interpolate(torch.rand(2, 3, 7, 7, generator=torch.Generator().manual_seed(0)), size=(224, 224))
    with torch.no_grad():
        expected = reference(pictures)[:, 0]
        torch.testing.assert_close(model(pictures).predicted_depth, expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.01
