"""
A scorer as a folder that runs without PyTorch's models: an ONNX graph, the processor's settings, and how to use them.

Knows nothing about the Hub.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..extras import require_extra
from ..hub_faults import one_line
from .forward_files import write_onnx
from .runtimes import TOLERANCE, check_parity, onnx_forward, torch_forward
from .scorer import AestheticScorer


_README = """# {id}, as ONNX

`model.onnx` is the forward pass of the scorer in float32, for batches of any size; it agrees with PyTorch to
{tolerance:g}.

| input | output |
|---|---|
| {inputs} | {outputs} |

`score` is the predicted mean score, from {min_score:g} to {max_score:g}; higher is better.
Pictures are prepared by the checkpoint's own processor ({preprocessing}), whose code is in this folder:

```python
import onnxruntime
from PIL import Image
from transformers import AutoImageProcessor

processor = AutoImageProcessor.from_pretrained(".", trust_remote_code=True)
session = onnxruntime.InferenceSession("model.onnx")

pictures = [Image.open("photo.jpg")]
[scores] = session.run(["score"], dict(processor(images=pictures, return_tensors="np")))
print(scores)
```
{notice}"""


def export_onnx(scorer: AestheticScorer, folder: str | os.PathLike[str]) -> Path:
    """
    Writes a scorer for [ONNX Runtime](https://onnxruntime.ai), and whatever else reads ONNX.

    The folder holds `model.onnx`, the processor's `preprocessor_config.json` with its code, `config.json`, and a
    `README.md` with a program. The graph carries the scorer's id, how pictures reach it, and what has to be said of
    its scores in its metadata (`scorer`, `preprocessing`, `notice`). It is there when the graph agrees with PyTorch to
    1e-5 on seeded inputs, and else not at all.

    What cannot be exported says so: the named features of `handcrafted`, and an `aadb_net` whose attributes look at
    each other through a transformer, which PyTorch traces for one size of batch alone.

    Args:
        scorer ([`AestheticScorer`]):
            In exact mode, on the CPU.
        folder (`str` or `os.PathLike`):
            Where to; it must not exist, or be empty.

    Returns:
        `Path`: The folder.

    Raises:
        ValueError: If the folder has files, or the model cannot be exported or does not agree.
        ImportError: If onnx, onnxruntime or onnxscript is not installed.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"Expected a new or empty folder, got {str(folder)!r}. Choose another one.")
    if scorer.mode != "exact" or scorer.device.type != "cpu":
        raise ValueError(
            f"Expected a scorer in exact mode on the CPU, got {scorer.mode} mode on {scorer.device}. "
            "Load it with device='cpu'."
        )
    require_extra("export_onnx", "fast", "onnx", "onnxruntime", "onnxscript")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        draft = Path(scratch, "export")
        draft.mkdir()
        examples = scorer.example_inputs()
        reference = torch_forward(scorer.model)
        try:
            write_onnx(scorer.model, examples[0], draft / "model.onnx")
            _add_metadata(scorer, draft / "model.onnx")
            answer = reference(examples[-1])
            check_parity(reference, onnx_forward(draft / "model.onnx", answer), examples, TOLERANCE)
        except Exception as error:  # the exporter raises what it pleases
            raise ValueError(
                f"{scorer.id} cannot be exported: {one_line(error)} "
                f"{type(scorer.model).__name__} runs with PyTorch alone."
            ) from error
        scorer.processor.save_pretrained(draft)
        scorer.model.config.save_pretrained(draft)
        (draft / "README.md").write_text(_describe(scorer, examples[0], answer), encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        shutil.move(draft, folder)
    return folder


def _add_metadata(scorer: AestheticScorer, path: Path) -> None:
    import onnx

    graph = onnx.load(path)
    fields = {"scorer": scorer.id, "preprocessing": scorer.preprocessing, "notice": scorer.notice}
    onnx.helper.set_model_props(graph, {name: value for name, value in fields.items() if value})
    onnx.save(graph, path)


def _describe(scorer: AestheticScorer, inputs: Iterable[str], outputs: Iterable[str]) -> str:
    config = scorer.model.config
    return _README.format(
        id=scorer.id,
        inputs=", ".join(f"`{name}`" for name in inputs),
        outputs=", ".join(f"`{name}`" for name in outputs),
        tolerance=TOLERANCE,
        min_score=config.min_score,
        max_score=config.max_score,
        preprocessing=scorer.preprocessing,
        notice=f"\n{scorer.notice}\n" if scorer.notice else "",
    )
