"""Turns published weights of FastDepth into a checkpoint that `AutoModelForDepthEstimation` loads.

Needed are weights of mobilenet-nnconv5dw-skipadd, pruned or not, of https://github.com/dwofk/fast-depth, or a network
with its batch norms folded into the convolutions (.safetensors). The published file holds a whole Python object, which
only that repository can open, and running foreign files is not for a converter. In a checkout of it:

    python -c "import torch; torch.save(torch.load('model.pth.tar', map_location='cpu', \\
        weights_only=False)['model'].state_dict(), 'fastdepth.pth')"

    python scripts/convert_fastdepth.py --weights fastdepth.pth --output_dir models/fastdepth

writes model, code, processor and card. The terms of the weights are not the converter's to say: give --license.
"""

import argparse
import hashlib
import pickle
import re
from pathlib import Path

import torch


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="state dict (.pth) or folded .safetensors")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--license", help="terms of the weights, for the card; where it is left out: not settled")
    args = parser.parse_args(argv)

    from hf_aesthetics import FastDepthConfig, FastDepthForDepthEstimation, ModalityImageProcessor
    from hf_aesthetics.cards import card_template, fill_template

    weights = read_weights(args.weights)
    is_folded = "stem.weight" in weights
    weights = rename_folded(weights) if is_folded else rename_official(weights)
    try:
        model = FastDepthForDepthEstimation(FastDepthConfig(**read_sizes(weights))).eval()
        model.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise SystemExit(f"--weights: expected those of FastDepth, {args.weights} differs: {error}") from error
    processor = ModalityImageProcessor(image_mean=[0.0] * 3, image_std=[1.0] * 3)  # at 224 x 224
    model.save_pretrained(args.output_dir)
    processor.save_pretrained(args.output_dir)
    card = fill_template(
        card_template("fastdepth"),
        name=args.output_dir.resolve().name,
        num_parameters=f"{model.num_parameters() / 1e6:.2f} million",
        size=processor.size,
        source={"name": args.weights.name, "sha256": hashlib.sha256(args.weights.read_bytes()).hexdigest()},
        is_folded=is_folded,
        license=args.license,
    )
    (args.output_dir / "README.md").write_text(card, encoding="utf-8")
    print(f"{args.output_dir}: {model.num_parameters():,} parameters")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SystemExit(
            f"--weights: expected a state dict, {path} holds Python objects. See --help for how to save one."
        ) from error


def rename_official(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`conv3.4.bias` -> `encoder.3.pointwise.normalization.bias`; `decode_conv1.0.0.weight`, too."""
    kinds = ("convolution", "normalization")
    renamed = {}
    for name, value in weights.items():
        if match := re.fullmatch(r"conv0\.(\d)\.(\w+)", name):
            name = f"encoder.0.{kinds[int(match[1])]}.{match[2]}"
        elif match := re.fullmatch(r"conv(\d+)\.(\d)\.(\w+)", name):
            step = int(match[2])  # convolution, norm, rectifier, twice
            name = f"encoder.{match[1]}.{('depthwise', 'pointwise')[step // 3]}.{kinds[step % 3]}.{match[3]}"
        elif match := re.fullmatch(r"decode_conv(\d)\.(\d)\.(\d)\.(\w+)", name):
            layer, half = int(match[1]) - 1, ("depthwise", "pointwise")[int(match[2])]
            name = f"decoder.{layer}.{half}.{kinds[int(match[3])]}.{match[4]}"
        elif match := re.fullmatch(r"decode_conv6\.(\d)\.(\w+)", name):
            name = f"head.{kinds[int(match[1])]}.{match[2]}"
        renamed[name] = value
    return renamed


def rename_folded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`dec.0.dw.bias` -> `decoder.0.depthwise.normalization.bias`, of a batch norm that changes nothing else."""
    renamed = {}
    for name, value in weights.items():
        layer, field = name.rsplit(".", 1)
        layer = re.sub(r"^enc\.(\d+)", lambda match: f"encoder.{int(match[1]) + 1}", layer)
        layer = layer.replace("stem", "encoder.0").replace("dec.", "decoder.")
        layer = layer.replace(".dw", ".depthwise").replace(".pw", ".pointwise")
        if field == "weight":
            renamed[f"{layer}.convolution.weight"] = value
        else:
            norm = torch.nn.BatchNorm2d(len(value))
            norm.running_var -= norm.eps  # which it adds to the variance
            norm.bias.data = value
            renamed |= {f"{layer}.normalization.{key}": tensor for key, tensor in norm.state_dict().items()}
    return renamed


def read_sizes(weights: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    """The fields of the configuration, from the shapes."""
    encoder = ["encoder.0", *(f"encoder.{index}.pointwise" for index in range(1, 14))]
    decoder = [f"decoder.{index}.pointwise" for index in range(5)]
    return {
        f"{part}_hidden_sizes": [len(weights[f"{layer}.convolution.weight"]) for layer in layers]
        for part, layers in (("encoder", encoder), ("decoder", decoder))
    }


if __name__ == "__main__":
    main()
