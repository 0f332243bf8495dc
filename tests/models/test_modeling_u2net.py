"""U²-Net against a reference in the published layout. `tiny_models` feeds the contract tests."""

import os
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageSegmentation

from hf_aesthetics import U2NetConfig, U2NetForImageSegmentation, U2NetImageProcessor


BAD_VALUES = [
    ({"encoder_hidden_sizes": [8] * 5}, "`encoder_hidden_sizes` must be 6 positive numbers"),
    ({"decoder_inner_sizes": [4, 4, 0, 4, 4]}, "got [4, 4, 0, 4, 4]"),
    ({"decoder_hidden_sizes": "wide"}, "decoder_hidden_sizes"),
]
SMALL = {
    "encoder_hidden_sizes": [64] * 6,
    "encoder_inner_sizes": [16] * 6,
    "decoder_hidden_sizes": [64] * 5,
    "decoder_inner_sizes": [16] * 5,
}
# published names of the stages, and the layers of each
STAGES = {f"stage{number}": depth for number, depth in enumerate((7, 6, 5, 4, 4, 4), start=1)}
STAGES |= {f"stage{number}d": depth for number, depth in enumerate((7, 6, 5, 4, 4), start=1)}
DILATED = {"stage5", "stage6", "stage5d"}


def tiny_models() -> dict[str, U2NetConfig]:
    return {
        "tiny": U2NetConfig(
            encoder_hidden_sizes=[4, 5, 6, 7, 8, 9],
            encoder_inner_sizes=[2, 3, 3, 4, 4, 5],
            decoder_hidden_sizes=[8, 7, 6, 5, 4],
            decoder_inner_sizes=[4, 3, 3, 2, 2],
        )
    }


@pytest.fixture(scope="module")
def convert():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "convert_u2net.py"))["main"]


@pytest.fixture
def model() -> U2NetForImageSegmentation:
    torch.manual_seed(0)
    return U2NetForImageSegmentation(tiny_models()["tiny"]).eval()


def published_weights(config: U2NetConfig) -> dict[str, torch.Tensor]:
    """Random weights as the published files name them."""
    generator, weights = torch.Generator().manual_seed(0), {}

    def add_convolution(name: str, in_channels: int, out_channels: int, size: int) -> None:
        spread = (2 / (in_channels * size**2)) ** 0.5
        weights[f"{name}.weight"] = spread * torch.randn(out_channels, in_channels, size, size, generator=generator)
        weights[f"{name}.bias"] = 0.1 * torch.randn(out_channels, generator=generator)

    def add_layer(name: str, in_channels: int, out_channels: int) -> None:
        add_convolution(f"{name}.conv_s1", in_channels, out_channels, 3)
        for field in ("weight", "running_var"):
            weights[f"{name}.bn_s1.{field}"] = 0.5 + torch.rand(out_channels, generator=generator)
        for field in ("bias", "running_mean"):
            weights[f"{name}.bn_s1.{field}"] = 0.1 * torch.randn(out_channels, generator=generator)
        weights[f"{name}.bn_s1.num_batches_tracked"] = torch.tensor(7)

    encoder, decoder = config.encoder_hidden_sizes, config.decoder_hidden_sizes[::-1]
    for name, depth in STAGES.items():
        index = int(name[5]) - 1
        if name.endswith("d"):
            read = encoder[index] + ([*decoder, encoder[5]])[index + 1]
            inner, out = config.decoder_inner_sizes[4 - index], decoder[index]
        else:
            read, inner, out = [3, *encoder][index], config.encoder_inner_sizes[index], encoder[index]
        add_layer(f"{name}.rebnconvin", read, out)
        for number in range(1, depth + 1):
            add_layer(f"{name}.rebnconv{number}", out if number == 1 else inner, inner)
            if number < depth:
                add_layer(f"{name}.rebnconv{number}d", 2 * inner, out if number == 1 else inner)
    for number, channels in enumerate([*decoder, encoder[5]], start=1):
        add_convolution(f"side{number}", channels, 1, 3)
    add_convolution("outconv", 6, 1, 1)
    return weights


def published_forward(weights: dict[str, torch.Tensor], pictures: torch.Tensor) -> list[torch.Tensor]:
    """The fused logits and the six side outputs, for sides that divide by 32, doubled as published."""

    def double(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear")

    def halve(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 2, 2)

    def layer(name: str, x: torch.Tensor, reach: int) -> torch.Tensor:
        def of(field: str) -> torch.Tensor:
            return weights[f"{name}.{field}"]

        x = F.conv2d(x, of("conv_s1.weight"), of("conv_s1.bias"), padding=reach, dilation=reach)
        scale = of("bn_s1.weight") / (of("bn_s1.running_var") + 1e-5).sqrt()
        shift = of("bn_s1.bias") - scale * of("bn_s1.running_mean")
        return (x * scale[:, None, None] + shift[:, None, None]).clamp(min=0)

    def stage(name: str, x: torch.Tensor) -> torch.Tensor:
        depth, first = STAGES[name], layer(f"{name}.rebnconvin", x, 1)
        if name in DILATED:
            a = layer(f"{name}.rebnconv1", first, 1)
            b = layer(f"{name}.rebnconv2", a, 2)
            c = layer(f"{name}.rebnconv3", b, 4)
            x = layer(f"{name}.rebnconv4", c, 8)
            x = layer(f"{name}.rebnconv3d", torch.cat([x, c], 1), 4)
            x = layer(f"{name}.rebnconv2d", torch.cat([x, b], 1), 2)
            return first + layer(f"{name}.rebnconv1d", torch.cat([x, a], 1), 1)
        down = [layer(f"{name}.rebnconv1", first, 1)]
        for number in range(2, depth):
            down.append(layer(f"{name}.rebnconv{number}", halve(down[-1]), 1))
        x = layer(f"{name}.rebnconv{depth}", down[-1], 2)
        for number in range(depth - 1, 0, -1):
            x = layer(f"{name}.rebnconv{number}d", torch.cat([x, down[number - 1]], 1), 1)
            x = double(x) if number > 1 else x
        return first + x

    down = [stage("stage1", pictures)]
    for number in range(2, 7):
        down.append(stage(f"stage{number}", halve(down[-1])))
    up = [down[5]]
    for number in range(5, 0, -1):
        up.insert(0, stage(f"stage{number}d", torch.cat([double(up[0]), down[number - 1]], 1)))
    sides = []
    for number, x in enumerate(up, start=1):
        side = F.conv2d(x, weights[f"side{number}.weight"], weights[f"side{number}.bias"], padding=1)
        sides.append(F.interpolate(side, scale_factor=2 ** (number - 1), mode="bilinear"))
    return [F.conv2d(torch.cat(sides, 1), weights["outconv.weight"], weights["outconv.bias"]), *sides]


@pytest.mark.parametrize(("fields", "published"), [({}, 44_009_869), (SMALL, 1_131_181)])
def test_both_networks_have_the_published_number_of_parameters(fields, published):
    with torch.device("meta"):
        assert U2NetForImageSegmentation(U2NetConfig(**fields)).num_parameters() == published


def test_published_weights_give_the_published_network(convert, tmp_path, capsys):
    weights = published_weights(tiny_models()["tiny"])
    torch.save(weights, tmp_path / "u2net.pth")
    convert(["--weights", str(tmp_path / "u2net.pth"), "--output_dir", str(tmp_path / "converted")])
    model = AutoModelForImageSegmentation.from_pretrained(tmp_path / "converted").eval()
    assert f"converted: {model.num_parameters():,} parameters" in capsys.readouterr().out
    pictures = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        outputs = model(pictures, output_side_logits=True)
    expected = published_forward(weights, pictures)
    assert expected[0].std() > 0.01
    for actual, reference in zip([outputs.logits, *outputs.side_logits], expected, strict=True):
        torch.testing.assert_close(actual, reference, atol=1e-4, rtol=1e-4)

    card = (tmp_path / "converted" / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n") and "| these weights | apache-2.0 |" in card
    for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        compile(block, "card", "exec")


def test_other_weights_are_refused(convert, tmp_path):
    weights = published_weights(tiny_models()["tiny"])
    del weights["stage3.rebnconv2d.bn_s1.bias"]
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(SystemExit, match=r"other.pth differs: (.|\n)*encoder.2.decoder.2.normalization.bias"):
        convert(["--weights", str(tmp_path / "other.pth"), "--output_dir", str(tmp_path / "converted")])
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize("size", [(33, 50), (97, 64)])
def test_logits_have_the_size_of_any_picture(model, size):
    with torch.no_grad():
        assert model(torch.rand(1, 3, *size)).logits.shape == (1, 1, *size)


def test_loss_is_the_sum_of_seven_cross_entropies(model):
    generator = torch.Generator().manual_seed(2)
    pictures = torch.rand(2, 3, 32, 32, generator=generator)
    masks = (torch.rand(2, 1, 32, 32, generator=generator) > 0.5).float()
    with torch.no_grad():
        outputs = model(pictures, labels=masks, output_side_logits=True)
    expected = 0.0
    for logits in (outputs.logits, *outputs.side_logits):
        share, truth = 1 / (1 + np.exp(-logits.double().numpy())), masks.numpy()
        expected -= np.mean(truth * np.log(share) + (1 - truth) * np.log(1 - share))
    assert outputs.loss.item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=re.escape("(2, 1, 32, 32), got (2, 32, 32)")):
        model(pictures, labels=masks[:, 0])


def test_a_picture_is_divided_by_its_brightest_value():
    dark = np.zeros((40, 60, 3), dtype=np.uint8)
    dark[:, 30:] = (80, 40, 20)
    processor = U2NetImageProcessor(size={"height": 8, "width": 12})
    values = processor([Image.fromarray(dark), Image.new("RGB", (60, 40))], return_tensors="pt")["pixel_values"]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(values[0, :, 4, 11], (torch.tensor([1.0, 0.5, 0.25]) - mean) / std)
    torch.testing.assert_close(values[1, :, 4, 6], -mean / std)  # black
    with pytest.raises(ValueError, match="got 'gray'"):
        U2NetImageProcessor(modality="gray")


def test_folded_network_equals_its_reference_runner(convert, tmp_path):
    folder = Path(os.environ.get("HF_AESTHETICS_MODELS_DIR", "")) / "u2netp"
    if not (folder / "u2netp_torch.py").is_file():
        pytest.skip("needs U²-Net-P: set HF_AESTHETICS_MODELS_DIR to the folder that holds u2netp/")
    runner = runpy.run_path(str(folder / "u2netp_torch.py"))
    reference = runner["U2NetP"]().eval()
    reference.load_state_dict(load_file(folder / "model.safetensors"))
    convert(["--weights", str(folder / "model.safetensors"), "--output_dir", str(tmp_path)])
    model = AutoModelForImageSegmentation.from_pretrained(tmp_path).eval()
    pixels = np.random.default_rng(0).integers(0, 200, (12, 16, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels).resize((256, 192), Image.Resampling.BICUBIC)
    with torch.no_grad():
        expected = reference(runner["preprocess"](picture))
        actual = model(**AutoImageProcessor.from_pretrained(tmp_path)(picture, return_tensors="pt")).logits.sigmoid()
    assert expected.std() > 0.01
    torch.testing.assert_close(actual, expected, atol=0.01, rtol=0)
