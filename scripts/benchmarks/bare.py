"""What scoring cannot do without, each by the library that does it and nothing around: its ceiling.

Knows nothing about this package.
"""

import timeit
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
import torch
from torch import nn
from torchvision.transforms.v2 import functional as tvF


ENOUGH = 1.5  # times the size of the network, at which the fast mode decodes at least


class Forward(NamedTuple):
    """A network alone: what runs it, what it wants a float32 batch turned into, and the call itself."""

    name: str
    prepare: Callable[[torch.Tensor], Any]
    predict: Callable[[Any], Any]

    def seconds(self, batch: torch.Tensor) -> float:
        """Of a call, the least of five."""
        prepared = self.prepare(batch)
        self.predict(prepared)  # compiles what is compiled
        return min(timeit.repeat(lambda: self.predict(prepared), number=1, repeat=5))


class Ceiling(NamedTuple):
    """The two parts of a mode: content of a JPEG file -> pixels at the size of the network, and pixels -> logits."""

    decoder: str
    read: Callable[[bytes], torch.Tensor]
    forward: Forward


def make_ceiling(mode: str, model: nn.Module, size: tuple[int, int], folder: Path, threads: int) -> Ceiling:
    """Of the exact mode, or of the fast one, which has whichever forward pass is the faster here."""
    exact = onnx_forward(model, size, folder / "bare.onnx", threads)
    if mode == "exact":
        return Ceiling("simplejpeg, all pixels", partial(read_exactly, size=size), exact)
    batch = torch.randn(8, 3, *size)
    fastest = min(exact, half_forward(model, size, folder / "bare.pt2"), key=lambda forward: forward.seconds(batch))
    return Ceiling("simplejpeg, reduced in the frequency domain", partial(read_fast, size=size), fastest)


def read_exactly(content: bytes, size: tuple[int, int]) -> torch.Tensor:
    """All pixels, resized with antialiasing."""
    return _resize(simplejpeg.decode_jpeg(content, "RGB"), size)


def read_fast(content: bytes, size: tuple[int, int]) -> torch.Tensor:
    """No more pixels than it takes."""
    height, width = (round(ENOUGH * side) for side in size)
    return _resize(simplejpeg.decode_jpeg(content, "RGB", min_height=height, min_width=width), size)


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    # (H, W, 3) -> (1, 3, height, width), channels last, for which torchvision has the fastest way
    return tvF.resize(torch.from_numpy(pixels).permute(2, 0, 1)[None], list(size), antialias=True)


class _Logits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=pixel_values).logits


def onnx_forward(model: nn.Module, size: tuple[int, int], path: Path, threads: int) -> Forward:
    """onnxruntime on the graph that torch writes."""
    import onnxruntime

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        batch = {0: torch.export.Dim("batch")}
        example = (torch.zeros(2, 3, *size),)
        program = torch.onnx.export(_Logits(model), example, dynamo=True, dynamic_shapes=(batch,), verbose=False)
    program.save(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return Forward(
        "onnxruntime, float32", lambda batch: batch.numpy(), lambda pixels: session.run(None, {name: pixels})
    )


def half_forward(model: nn.Module, size: tuple[int, int], path: Path) -> Forward:
    """Machine code of torch's compiler with folded weights, in bfloat16."""
    half = _Logits(deepcopy(model)).to(torch.bfloat16, memory_format=torch.channels_last)

    def prepare(batch: torch.Tensor) -> torch.Tensor:
        return batch.to(torch.bfloat16, memory_format=torch.channels_last)

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        batch = {0: torch.export.Dim("batch", max=4096)}
        program = torch.export.export(half, (prepare(torch.zeros(2, 3, *size)),), dynamic_shapes=(batch,))
        options = {"freezing": True, "cpp.threads": 1}
        torch._inductor.aoti_compile_and_package(program, package_path=str(path), inductor_configs=options)
    return Forward("AOTInductor, bfloat16", prepare, torch._inductor.aoti_load_package(str(path)))
