"""Turns published weights of U²-Net into a checkpoint that `AutoModelForImageSegmentation` loads.

Needed is u2net.pth or u2netp.pth of https://github.com/xuebinqin/U-2-Net (Apache-2.0), or a network with its batch
norms folded into the convolutions (.safetensors):

    python scripts/convert_u2net.py --weights u2netp.pth --output_dir models/u2netp

writes model, code, processor and card. Its maps are those of the modality `saliency_u2net`.
"""

import argparse
import hashlib
import re
from pathlib import Path

import torch


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="u2net.pth, u2netp.pth or folded .safetensors")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--license", default="apache-2.0", help="terms of the weights, for the card")
    args = parser.parse_args(argv)

    from hf_aesthetics import U2NetConfig, U2NetForImageSegmentation, U2NetImageProcessor
    from hf_aesthetics.cards import card_template, fill_template

    weights = read_weights(args.weights)
    is_folded = "out.weight" in weights
    weights = rename_folded(weights) if is_folded else rename_official(weights)
    try:
        model = U2NetForImageSegmentation(U2NetConfig(**read_sizes(weights))).eval()
        model.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise SystemExit(f"--weights: expected those of U²-Net, {args.weights} differs: {error}") from error
    model.save_pretrained(args.output_dir)
    U2NetImageProcessor().save_pretrained(args.output_dir)
    card = fill_template(
        card_template("u2net"),
        name=args.output_dir.resolve().name,
        num_parameters=f"{model.num_parameters() / 1e6:.2f} million",
        size=U2NetImageProcessor.size,
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
    return torch.load(path, map_location="cpu", weights_only=True)


def rename_official(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`stage2.rebnconv5d.bn_s1.bias` -> `encoder.1.decoder.0.normalization.bias`."""
    kinds = {"conv_s1": "convolution", "bn_s1": "normalization"}
    renamed = {}
    for name, value in weights.items():
        if match := re.fullmatch(r"stage(\d)(d?)\.rebnconv(?:in|(\d)(d?))\.(\w+)\.(\w+)", name):
            stage, part = (5 - int(match[1]), "decoder") if match[2] else (int(match[1]) - 1, "encoder")
            layer = "input_layer" if match[3] is None else f"encoder.{int(match[3]) - 1}"
            if match[4]:
                layer = f"decoder.{stage_depth(part, stage) - 1 - int(match[3])}"
            name = f"{part}.{stage}.{layer}.{kinds.get(match[5], match[5])}.{match[6]}"
        name = re.sub(r"^side(\d)", lambda match: f"side_heads.{int(match[1]) - 1}", name)
        renamed[name.replace("outconv", "fusion")] = value
    return renamed


def rename_folded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`dec.0.cin.bias` -> `decoder.0.input_layer.convolution.bias`, and batch norms that change nothing."""
    renamed = {}
    for name, value in weights.items():
        if match := re.fullmatch(r"(enc|dec)\.(\d)\.(?:cin|bot|(enc|dec)\.(\d))\.(weight|bias)", name):
            part, stage = f"{match[1]}oder", int(match[2])
            layer = f"{match[3]}oder.{match[4]}"
            if match[3] is None:
                layer = "input_layer" if ".cin." in name else f"encoder.{stage_depth(part, stage) - 1}"
            name = f"{part}.{stage}.{layer}.convolution.{match[5]}"
            if match[5] == "bias":
                norm = torch.nn.BatchNorm2d(len(value))
                norm.running_var -= norm.eps  # which it adds to the variance
                prefix = name.replace("convolution.bias", "normalization.")
                renamed |= {prefix + key: tensor for key, tensor in norm.state_dict().items()}
        renamed[name.replace("side.", "side_heads.").replace("out.", "fusion.")] = value
    return renamed


def stage_depth(part: str, stage: int) -> int:
    from hf_aesthetics.models.modeling_u2net import DECODER_DEPTHS, ENCODER_DEPTHS

    return (ENCODER_DEPTHS if part == "encoder" else DECODER_DEPTHS)[stage]


def read_sizes(weights: dict[str, torch.Tensor]) -> dict[str, list[int]]:
    """The fields of the configuration, from the shapes."""
    sizes = {}
    for part, num_stages in (("encoder", 6), ("decoder", 5)):
        for kind, layer in (("hidden", "input_layer"), ("inner", "encoder.0")):
            names = [f"{part}.{stage}.{layer}.convolution.weight" for stage in range(num_stages)]
            sizes[f"{part}_{kind}_sizes"] = [len(weights[name]) for name in names]
    return sizes


if __name__ == "__main__":
    main()
