"""
A model's forward pass as a file that needs no Python: an ONNX graph, or machine code in bfloat16; made once and kept.

Knows nothing about pictures, processors or scorers.
"""

import copy
import hashlib
import json
import platform
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from huggingface_hub import constants
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from transformers import PreTrainedModel
from transformers.utils import ModelOutput


Inputs = Mapping[str, torch.Tensor]


def tensors_of(outputs: ModelOutput) -> dict[str, torch.Tensor]:
    """
    What a model answers, tensors alone, as float32 on the CPU.

    Example:
        >>> tensors_of(ModelOutput(score=torch.ones(1, dtype=torch.bfloat16), hidden_states=(torch.ones(1),)))
        {'score': tensor([1.])}
    """
    return {name: value.float().cpu() for name, value in outputs.items() if isinstance(value, torch.Tensor)}


def write_onnx(model: PreTrainedModel, inputs: Inputs, path: Path) -> None:
    """
    Writes a forward pass as an ONNX graph in float32, for batches of any size.

    Args:
        model (`PreTrainedModel`):
            In eval mode, in float32 and on the CPU.
        inputs (`Mapping[str, torch.Tensor]`):
            An example of what it takes, several pictures. The graph takes the same names.
        path (`Path`):
            The file. Its outputs are those of the model that are tensors, by their names.

    Raises:
        ImportError: If onnx or onnxscript is not installed.
        RuntimeError: If the model does something that ONNX has no word for.
    """
    names = list(tensors_of(_run(model, inputs)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about what it takes care of itself
        program = torch.onnx.export(
            _Tensors(model, names),
            kwargs=dict(inputs),
            input_names=list(inputs),
            output_names=names,
            dynamic_shapes={"inputs": {name: {0: torch.export.Dim("batch")} for name in inputs}},
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("The exporter of PyTorch gave no graph.")
    program.save(str(path), external_data=False)


def write_compiled(model: PreTrainedModel, inputs: Inputs, path: Path) -> None:
    """
    Writes a forward pass as machine code for this CPU, in bfloat16, its weights folded and laid out as the CPU likes
    them ([AOTInductor](https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html)).

    The loops outside of matrix products and convolutions run on one thread: several processes use a machine better.

    Args:
        model, inputs:
            As in [`write_onnx`].
        path (`Path`):
            The file; its suffix must be `.pt2`.

    Raises:
        RuntimeError: If the model cannot be traced, or there is no C++ compiler.
    """
    answer = tensors_of(_run(model, inputs))
    folded = fold_batch_norms(model, inputs)
    if (tensors_of(_run(folded, inputs))["score"] - answer["score"]).abs().max() > 1e-3:
        folded = copy.deepcopy(model)  # somebody else reads what a convolution says before its batch norm does
    half = folded.to(torch.bfloat16).to(memory_format=torch.channels_last)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            _Tensors(half, list(answer)),
            (),
            half_precision(inputs),
            dynamic_shapes={"inputs": {name: {0: torch.export.Dim("batch", max=4096)} for name in inputs}},
        )
        torch._inductor.aoti_compile_and_package(
            program, package_path=str(path), inductor_configs={"freezing": True, "cpp.threads": 1}
        )


def fold_batch_norms(model: PreTrainedModel, inputs: Inputs) -> PreTrainedModel:
    """
    A copy of a model whose convolutions do the work of the batch norms that follow them, which then change nothing.

    Weights that are rounded to bfloat16 after this are rounded once, and so are scores off by a third less.

    Args:
        model (`PreTrainedModel`):
            In eval mode.
        inputs (`Mapping[str, torch.Tensor]`):
            An example, which shows what follows what. That nothing else reads a convolution it does not show.
    """
    model = copy.deepcopy(model)
    said: dict[int, tuple[nn.Conv2d, torch.Tensor]] = {}  # the tensor, too, so that its id is not given anew
    pairs: list[tuple[nn.Conv2d, _BatchNorm]] = []

    def note(convolution: nn.Conv2d, _: Any, output: torch.Tensor) -> None:
        said[id(output)] = (convolution, output)

    def pair(norm: _BatchNorm, arguments: tuple[torch.Tensor, ...]) -> None:
        if id(arguments[0]) in said:
            pairs.append((said[id(arguments[0])][0], norm))

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(pair) for m in model.modules() if isinstance(m, _BatchNorm)]
    _run(model, inputs)
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for convolution, norm in pairs:
            mean, variance = norm.running_mean, norm.running_var
            if mean is None or variance is None:
                continue
            convolution.weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
            )
            mean.zero_()
            variance.fill_(1 - norm.eps)
            if norm.affine:
                norm.weight.fill_(1)
                norm.bias.zero_()
    return model


def half_precision(inputs: Inputs) -> dict[str, torch.Tensor]:
    """Inputs in bfloat16, pictures with their channels last in memory."""
    return {name: channels_last(value) for name, value in in_precision(inputs, torch.bfloat16).items()}


def in_precision(inputs: Inputs, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Inputs in a floating-point type; whole numbers, such as the scales of tokens, stay what they are."""
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}


def channels_last(value: torch.Tensor) -> torch.Tensor:
    """Pictures with their channels last in memory, anything else as it is."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


def cached_path(model: PreTrainedModel, suffix: str) -> Path:
    """
    Where the forward pass of a model is kept: the name follows from its weights and configuration and the versions of
    the libraries, and for machine code (`.pt2`) from the CPU.

    Args:
        model (`PreTrainedModel`):
            The model.
        suffix (`str`):
            `.onnx` or `.pt2`.
    """
    digest = hashlib.sha256(f"{type(model).__name__} {model.config.to_json_string(use_diff=False)}".encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    versions = [_version(package) for package in ("hf_aesthetics", "torch", "transformers", "onnx", "onnxscript")]
    digest.update(json.dumps(versions).encode())
    if suffix == ".pt2":
        # whoever shares the folder with a machine of another kind must not run its instructions
        digest.update(json.dumps(cpu_capabilities(), sort_keys=True).encode())
    return Path(constants.HF_HOME, "hf_aesthetics", "forward", f"{digest.hexdigest()[:32]}{suffix}")


def cpu_capabilities() -> dict[str, Any]:
    """What PyTorch says this CPU can do; of a PyTorch that does not say so, its name alone."""
    known: Callable[[], Mapping[str, Any]] | None = getattr(torch.cpu, "get_capabilities", None)
    return {"processor": platform.processor()} if known is None else dict(known())


def make_once(path: Path, write: Callable[[Path], None]) -> None:
    """
    Writes a file unless it is there. Of several processes one writes, and the others wait; it is whole or absent.

    Example:
        >>> path = Path(tempfile.mkdtemp(), "new", "greeting.txt")
        >>> for text in ("hello", "again"):
        ...     make_once(path, lambda file: file.write_text(text))
        >>> path.read_text()
        'hello'
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            return
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            partial = Path(scratch, path.name)
            write(partial)
            partial.replace(path)


class _Tensors(torch.nn.Module):
    """A model that answers with tensors in a fixed order, which is what a graph can do."""

    def __init__(self, model: PreTrainedModel, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.model(**inputs)
        return tuple(outputs[name].float() for name in self.names)


def _run(model: PreTrainedModel, inputs: Inputs) -> ModelOutput:
    with torch.inference_mode():
        return model(**inputs)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
