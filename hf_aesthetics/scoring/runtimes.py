"""
What runs a scorer's forward pass: PyTorch, onnxruntime in float32, or machine code in bfloat16; all answer alike.

Knows nothing about pictures or processors.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import BatchFeature, PreTrainedModel
from transformers.utils import ModelOutput

from ..extras import require_extra
from ..hub_faults import one_line
from .forward_files import (
    Inputs,
    cached_path,
    channels_last,
    cpu_capabilities,
    half_precision,
    in_precision,
    make_once,
    tensors_of,
    write_compiled,
    write_onnx,
)


Runtime = Literal["torch", "onnxruntime", "inductor"]
Forward = Callable[[Inputs], ModelOutput]
"""Takes inputs on the CPU and gives the outputs of the model that are tensors, float32 and on the CPU."""

# what it takes on a core of 2022, and what another runtime saves of PyTorch's time at least, both roughly
_SECONDS_TO_MAKE: dict[Runtime, float] = {"onnxruntime": 10.0, "inductor": 60.0}
_SECONDS_TO_LOAD = 1.0
_FEWEST_PICTURES = 50
_SHARE_SAVED = 0.4
_SUFFIXES: dict[Runtime, str] = {"onnxruntime": ".onnx", "inductor": ".pt2"}

TOLERANCE = 1e-5
"""How far a score of an exact runtime may be from PyTorch's, in rating units."""


class RuntimeUnavailable(ValueError):
    """A model cannot be run this way here. The message is one line."""


def torch_forward(model: PreTrainedModel) -> Forward:
    """PyTorch, as the model stands: on its device, in its precision. A GPU computes float32 in full there."""
    is_cuda = model.device.type == "cuda"

    def run(inputs: Inputs) -> ModelOutput:
        # the default of PyTorch, TF32, keeps 10 bits
        full = torch.backends.cudnn.flags(allow_tf32=False) if is_cuda else nullcontext()
        with torch.inference_mode(), full:
            outputs = model(**_to(inputs, model.device, model.dtype))
        return type(outputs)(**tensors_of(outputs))

    if is_cuda:
        model.to(memory_format=torch.channels_last)
    return run


def build_forward(model: PreTrainedModel, runtime: Runtime, examples: Sequence[Inputs]) -> Forward:
    """
    A forward pass by name, ready to run.

    Files are kept in `HF_HOME`, so that the second process loads what the first has made; one that is broken is made
    again. What onnxruntime answers to `examples` is compared with PyTorch whenever it is loaded.

    Args:
        model (`PreTrainedModel`):
            In eval mode, on its device.
        runtime (`str`):
            `"torch"`, `"onnxruntime"` (float32 on the CPU) or `"inductor"` (bfloat16).
        examples (`Sequence` of inputs):
            Batches of several sizes, the largest first.

    Raises:
        RuntimeUnavailable: If this model or machine is not fit for it, or onnxruntime does not agree to 1e-5.
        ImportError: If onnxruntime is not installed.
    """
    if runtime == "torch":
        return torch_forward(model)
    if runtime == "inductor" and model.device.type == "cuda":
        return _compile_for_gpu(model)
    if model.device.type != "cpu":
        raise RuntimeUnavailable(f"{runtime} runs on the CPU, got a model on {model.device}. Use runtime='torch'.")
    if runtime == "onnxruntime":
        require_extra("runtime='onnxruntime'", "fast", "onnxruntime", "onnx", "onnxscript")
    path = cached_path(model, _SUFFIXES[runtime])
    reference = torch_forward(model)

    def load() -> Forward:
        answer = reference(examples[-1])
        forward = onnx_forward(path, answer) if runtime == "onnxruntime" else _compiled_forward(path, answer)
        # how far bfloat16 may be is for the pictures of a job to say
        check_parity(reference, forward, examples, TOLERANCE if runtime == "onnxruntime" else math.inf)
        return forward

    if path.exists():
        try:
            return load()
        except Exception:  # half a file of a disk that was full, say
            path.unlink(missing_ok=True)
    write = write_onnx if runtime == "onnxruntime" else write_compiled
    try:
        make_once(path, lambda partial: write(model, examples[0], partial))
        return load()
    except Exception as error:  # exporters, compilers and loaders raise what they please
        path.unlink(missing_ok=True)
        raise RuntimeUnavailable(
            f"{type(model).__name__} does not run with {runtime} here: {one_line(error)}"
        ) from error


def choose_forward(
    model: PreTrainedModel,
    current: tuple[Runtime, Forward],
    examples: Sequence[Inputs],
    num_pictures: int,
    *,
    allow_bfloat16: bool,
) -> tuple[Runtime, Forward, str]:
    """
    The runtime with which a number of pictures are through soonest, with what it takes to prepare it.

    Each that can win back its preparation is prepared, and the fastest of them stays.

    Args:
        model (`PreTrainedModel`):
            In eval mode, on its device.
        current (`tuple`):
            The runtime that is ready, and its forward pass.
        examples (`Sequence` of inputs):
            Batches of several sizes, the largest first.
        num_pictures (`int`):
            How many there are to score.
        allow_bfloat16 (`bool`):
            Whether `"inductor"` is among the candidates.

    Returns:
        Its name, its forward pass, and what was measured, on one line.
    """
    name, forward = current
    candidates: list[Runtime] = ["onnxruntime"] if model.device.type == "cpu" else []
    if allow_bfloat16 and (model.device.type == "cuda" or (model.device.type == "cpu" and _computes_bfloat16())):
        candidates.append("inductor")
    if num_pictures < _FEWEST_PICTURES or name in candidates[-1:]:
        return name, forward, f"{name} is ready for {num_pictures:,} pictures"
    gain = _SHARE_SAVED * _time_forward(forward, examples[-1]) * num_pictures
    ready, notes = {name: forward}, []
    for candidate in candidates:
        is_made = model.device.type == "cpu" and cached_path(model, _SUFFIXES[candidate]).exists()
        if gain < (_SECONDS_TO_LOAD if is_made else _SECONDS_TO_MAKE[candidate]):
            notes.append(f"{candidate} would save about {gain:.1f} s, less than it takes to prepare")
            continue
        try:
            ready.setdefault(candidate, build_forward(model, candidate, examples))
        except (RuntimeUnavailable, ImportError) as error:
            notes.append(str(error))
    seconds = {runtime: _time_forward(run, examples[0]) for runtime, run in ready.items()} if len(ready) > 1 else {}
    fastest = min(seconds, key=seconds.__getitem__, default=name)
    times = [f"{runtime} takes {1000 * value:.1f} ms a picture" for runtime, value in seconds.items()]
    return fastest, ready[fastest], "; ".join([*times, *notes])


def _time_forward(forward: Forward, inputs: Inputs) -> float:
    """Seconds a picture, the less of two runs."""
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        forward(inputs)
        times.append(time.perf_counter() - begin)
    return min(times) / len(next(iter(inputs.values())))


def _computes_bfloat16() -> bool:
    """Whether this CPU has instructions for it; in software it is slower than float32."""
    capabilities = cpu_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def check_parity(reference: Forward, forward: Forward, examples: Sequence[Inputs], tolerance: float) -> None:
    """
    Refuses a forward pass that does not answer as PyTorch does.

    Raises:
        ValueError: If a score differs by more than `tolerance`, another output by ten times as much (of its largest
            value, where that exceeds 1: logits have no scale), or a shape or name does.

    Example:
        >>> inputs = [{"pixel_values": torch.zeros(1, 3, 2, 2)}]
        >>> torch_says, other_says = (ModelOutput(score=torch.tensor([score])) for score in (5.0, 5.1))
        >>> check_parity(lambda _: torch_says, lambda _: other_says, inputs, tolerance=1e-5)
        Traceback (most recent call last):
            ...
        ValueError: Expected outputs within 1e-05 of PyTorch, got a difference of 0.1 in `score` of a batch of 1.
    """
    for inputs in examples:
        wanted, got = reference(inputs), forward(inputs)
        size = len(next(iter(inputs.values())))
        for name, value in wanted.items():
            if name not in got or got[name].shape != value.shape:
                shape = tuple(got[name].shape) if name in got else None
                raise ValueError(
                    f"Expected `{name}` of shape {tuple(value.shape)}, got {shape} for a batch of {size}."
                )
            limit = 1 if name == "score" else 10 * value.abs().max().clamp(min=1)
            difference = ((got[name] - value).abs().max() / limit).item()
            if not difference <= tolerance:
                raise ValueError(
                    f"Expected outputs within {tolerance:g} of PyTorch, got a difference of {difference:.2g} in "
                    f"`{name}` of a batch of {size}."
                )


def onnx_forward(path: Path, answer: ModelOutput) -> Forward:
    """An ONNX file in onnxruntime, on as many threads as PyTorch has; outputs are of the type of `answer`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others work on this machine, too
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Inputs) -> ModelOutput:
        given = {name: value.numpy() for name, value in in_precision(inputs, torch.float32).items()}
        answers = session.run(names, given)
        return type(answer)(**{name: torch.from_numpy(array) for name, array in zip(names, answers, strict=True)})

    return run


def _compiled_forward(path: Path, answer: ModelOutput) -> Forward:
    package: Any = torch._inductor.aoti_load_package(str(path))

    def run(inputs: Inputs) -> ModelOutput:
        with torch.no_grad():
            return type(answer)(**dict(zip(answer, package(**half_precision(inputs)), strict=True)))

    return run


def _compile_for_gpu(model: PreTrainedModel) -> Forward:
    half = copy.deepcopy(model).to(torch.bfloat16).to(memory_format=torch.channels_last)
    compiled: Any = torch.compile(half)

    def run(inputs: Inputs) -> ModelOutput:
        with torch.inference_mode():
            outputs = compiled(**_to(inputs, half.device, half.dtype))
        return type(outputs)(**tensors_of(outputs))

    return run


def _to(inputs: Inputs, device: torch.device, dtype: torch.dtype) -> Inputs:
    if device.type != "cuda":
        return BatchFeature(dict(inputs)).to(device, dtype)
    pinned = {name: value.pin_memory().to(device, non_blocking=True) for name, value in inputs.items()}
    return {name: channels_last(value) for name, value in in_precision(pinned, dtype).items()}
