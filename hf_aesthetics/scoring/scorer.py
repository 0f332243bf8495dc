"""
A model and its processor, ready to score: the one path from pictures to predictions.

Knows nothing about folders, data sets or metrics.
"""

import functools
import hashlib
import json
import math
import os
import threading
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from transformers import AutoModelForImageClassification, BatchFeature, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import ModelOutput

from ..extraction import ModalityExtractor, choose_device
from ..models.modality_maps import split_modality
from ..pipelines import AestheticRecord, aesthetic_records, check_scorer_config, make_pixel_values
from ..strict_loading import load_checkpoint
from .runtimes import Runtime, build_forward, choose_forward


Mode = Literal["exact", "fast"]

_OVERSAMPLING = 1.5


class AestheticScorer:
    """
    A model and its processor, on a device, ready to score batches.

    Args:
        model (`PreTrainedModel`):
            A scorer, such as [`NimaForAestheticAssessment`]. It is moved to `device` and set to eval mode.
        processor (`BaseImageProcessor`):
            Its image processor.
        name (`str`):
            What the scorer is called in results.
        revision (`str`, *optional*):
            Which state of `name` this is: a commit, or the start of the hash of the weights.
        device (`str` or `torch.device`, *optional*):
            CUDA where there is one, else Apple's MPS, else the CPU.
        runtime (`str`, *optional*, defaults to `"auto"`):
            What runs the forward pass: `"torch"`; `"onnxruntime"`, float32 on the CPU and three to five times as fast;
            `"inductor"`, bfloat16, in fast mode alone; or `"auto"` for PyTorch until [`optimize`] is called.
        mode (`str`, *optional*, defaults to `"exact"`):
            `"exact"` gives the same scores to 1e-5 with either runtime. `"fast"` decodes JPEG files at a half, quarter
            or eighth of their size, if that is 1.5 times the size of `pixel_values` (our choice: at less, scores of
            1.5-megapixel photographs moved by twice as much), and may compute in bfloat16. Whether that is close
            enough depends on the checkpoint and the pictures; [`check_fast_mode`] measures it.

    Raises:
        ValueError: If the model is no scorer, the machine has no such device, or the runtime is not fit for them.
        ImportError: If onnxruntime is asked for, but not installed.

    Example:
        >>> from PIL import Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> scorer = AestheticScorer(model, ModalityImageProcessor(), name="tiny", device="cpu")
        >>> [record] = scorer.score([Image.new("RGB", (640, 480))])
        >>> list(record), list(record["distribution"])[-1]
        (['score', 'score_std', 'percentile', 'distribution'], '10')
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: BaseImageProcessor,
        *,
        name: str,
        revision: str | None = None,
        device: str | torch.device | None = None,
        runtime: Runtime | Literal["auto"] = "auto",
        mode: Mode = "exact",
    ) -> None:
        check_scorer_config(model.config, name)
        _check_runtime(runtime, mode)
        self.device = choose_device(device)
        self.model = model.eval()
        self.model.to(self.device)
        self.processor = processor
        self.name = name
        self.revision = revision
        self.mode = mode
        self.runtime: Runtime = "torch" if runtime == "auto" else runtime
        self.runtime_reason = "it is there without preparation" if runtime == "auto" else "it was asked for"
        self._forward = build_forward(
            self.model, self.runtime, [] if self.runtime == "torch" else self.example_inputs()
        )
        self._extractor: ModalityExtractor | None = None
        self._extractor_lock = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        runtime: Runtime | Literal["auto"] = "auto",
        mode: Mode = "exact",
        trust_remote_code: bool = False,
    ) -> "AestheticScorer":
        """
        Loads a checkpoint in float32 and strictly; a folder without any use of the network. See [`load_checkpoint`].

        Args:
            checkpoint (`str` or `os.PathLike`):
                A folder, or a repository on the Hub.
            revision (`str`, *optional*):
                Commit, branch or tag of the repository; the newest commit where it is left out.
            device (`str` or `torch.device`, *optional*):
                CUDA where there is one, else Apple's MPS, else the CPU.
            runtime (`str`, *optional*, defaults to `"auto"`):
                `"torch"`, `"onnxruntime"`, `"inductor"`, or `"auto"` for PyTorch until [`optimize`] is called.
            mode (`str`, *optional*, defaults to `"exact"`):
                `"exact"` or `"fast"`.
            trust_remote_code (`bool`, *optional*, defaults to `False`):
                Whether to run the code that the checkpoint brings along, for model types that this package lacks.

        Raises:
            OSError: If there is no such checkpoint or revision, or it cannot be read.
            ValueError: If it is no scorer, its weights do not fit the model, or the machine has no such device.
        """
        device = choose_device(device)  # before anything is downloaded
        loaded = load_checkpoint(
            checkpoint,
            AutoModelForImageClassification,
            check_scorer_config,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        return cls(
            loaded.model,
            loaded.processor,
            name=loaded.name,
            revision=loaded.revision,
            device=device,
            runtime=runtime,
            mode=mode,
        )

    def optimize(self, num_pictures: int) -> Runtime:
        """
        Changes to the runtime with which this many pictures are scored soonest, what it takes to prepare it included.

        Preparing a runtime takes seconds, once for each checkpoint and machine; `runtime_reason` says why the choice
        was as it is. The scorers of other processes are loaded with the runtime that this returns.

        Args:
            num_pictures (`int`):
                Number of pictures that will be scored.
        """
        choice = choose_forward(
            self.model,
            (self.runtime, self._forward),
            self.example_inputs(),
            num_pictures,
            allow_bfloat16=self.mode == "fast",
        )
        self.runtime, self._forward, self.runtime_reason = choice
        return self.runtime

    def example_inputs(self) -> list[BatchFeature]:
        """Inputs of seeded random pictures, in batches of 5 and 1."""
        generator = np.random.default_rng(0)
        pictures = list(generator.integers(0, 256, (5, 12, 16, 3), dtype=np.uint8))
        needs_maps = split_modality(getattr(self.processor, "modality", "rgb"))[1] is not None
        maps: dict[str, Any] = {"modality_maps": [picture[..., 0] for picture in pictures]} if needs_maps else {}
        inputs = make_pixel_values(self.processor, pictures, **maps)
        return [inputs, BatchFeature({name: value[:1] for name, value in inputs.items()})]

    @property
    def id(self) -> str:
        """
        What to cite: `"repository@commit"`, or `"folder@hash"` with the first 12 digits of `sha256sum
        model.safetensors`. The name alone where no revision is known.
        """
        return self.name if self.revision is None else f"{self.name}@{self.revision}"

    @property
    def preprocessing(self) -> str:
        """
        How pictures reach the model, such as `"rgb, squash 224x224, 5d1c0a94be27"`: modality, view, height and width,
        or `keep up to 2048` where proportions are kept, `fast` in fast mode, and a hash of all the processor's fields,
        the same wherever it was loaded from.
        """
        fields = {
            name: value
            for name, value in self.processor.to_dict().items()
            # where code and extractor lie is no part of what they do; the revision says which extractor it is
            if value is not None and name not in ("auto_map", "extractor_checkpoint") and not name.startswith("_")
        }
        digest = hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()[:12]
        size = dict(fields.get("size", {}))
        view = f"{fields.get('view', 'resize')} {'x'.join(str(side) for side in size.values() if side is not None)}"
        if size.get("height") is None and size.get("longest_edge") is not None:
            view = f"keep up to {size['longest_edge']}"
        fast = "fast, " if self.mode == "fast" else ""
        return f"{fields.get('modality', 'rgb')}, {view}, {fast}{digest}"

    @property
    def extractor(self) -> ModalityExtractor | None:
        """
        The network that makes the maps which the model sees; `None` where it needs none. Loaded when it is first
        asked for: who has the maps does not need it.

        Raises:
            OSError: If it cannot be loaded.
            ValueError: If the processor names none, or a network for another task.
        """
        with self._extractor_lock:
            if self._extractor is None:
                self._extractor = ModalityExtractor.of_processor(self.processor, self.device)
            return self._extractor

    @property
    def notice(self) -> str | None:
        """What has to be said wherever a score of this model is shown; `None` for nothing."""
        return getattr(self.model.config, "notice", None)

    def preprocess(self, images: list[Any], modality_maps: list[Any] | None = None) -> BatchFeature:
        """
        Makes the inputs of the model, on the CPU. May be called from several threads.

        Args:
            images (`list` of `str`, `os.PathLike`, `bytes`, `PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
                Pictures; all but arrays are read by [`read_image`].
            modality_maps (`list`, *optional*):
                Maps of the pictures that were made before, such as a column of a data set. They are used in place of
                `images`, or beside them by a model for `"rgb+<map>"`. Where they are missing, they are made.

        Raises:
            ImageReadError: If a picture cannot be read.
        """
        extractor = self.extractor if modality_maps is None else None
        return make_pixel_values(self.processor, images, modality_maps, extractor, self._enough)

    @functools.cached_property
    def _enough(self) -> tuple[int, int] | None:
        """Height and width of which a JPEG file need not be decoded larger; `None` where it has to be whole."""
        if self.mode == "exact":
            return None
        fields = self.processor.to_dict()
        size = fields.get("size") or {}
        if fields.get("modality") != "rgb" or not size.get("height"):
            return None  # maps are made of more pixels than the model sees
        shown = fields["crop_fraction"] if fields["view"] == "crop" else 1.0
        return math.ceil(_OVERSAMPLING * size["height"] / shown), math.ceil(_OVERSAMPLING * size["width"] / shown)

    def forward(self, inputs: BatchFeature) -> ModelOutput:
        """
        Runs the model on one batch, without gradients.

        Args:
            inputs (`BatchFeature`):
                What [`preprocess`] returned. Left as it is.

        Returns:
            `ModelOutput`: The model's own, its tensors float32 and on the CPU.
        """
        return self._forward(inputs)

    def predict(self, images: list[Any], modality_maps: list[Any] | None = None) -> ModelOutput:
        """One batch through processor and model: [`preprocess`], then [`forward`]."""
        return self.forward(self.preprocess(images, modality_maps))

    def score(self, images: list[Any], modality_maps: list[Any] | None = None) -> list[AestheticRecord]:
        """One batch as records, one a picture; takes what [`predict`] takes."""
        return aesthetic_records(self.predict(images, modality_maps), self.model.config)


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """
    How to load a scorer, in a few words that travel to other processes and machines.

    Args:
        checkpoint, revision, device, runtime, mode, trust_remote_code:
            What [`AestheticScorer.from_pretrained`] takes.

    Example:
        >>> ScorerSpec("alice/nima", mode="fast").runtime
        'auto'
    """

    checkpoint: str
    revision: str | None = None
    device: str | None = None
    runtime: Runtime | Literal["auto"] = "auto"
    mode: Mode = "exact"
    trust_remote_code: bool = False


@functools.lru_cache(maxsize=2)  # an exact and a fast one, to be compared
def load_scorer(spec: ScorerSpec) -> AestheticScorer:
    """
    The scorer of a spec, which a process loads once.

    Args:
        spec ([`ScorerSpec`]):
            How to load it.

    Raises:
        OSError, ValueError, ImportError: As [`AestheticScorer.from_pretrained`] does.
    """
    return AestheticScorer.from_pretrained(**asdict(spec))


def _check_runtime(runtime: str, mode: str) -> None:
    for name, value, known in (
        ("runtime", runtime, ("auto", *get_args(Runtime))),
        ("mode", mode, get_args(Mode)),
    ):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {list(known)}, got {value!r}.")
    if runtime == "inductor" and mode == "exact":
        raise ValueError(
            "`runtime='inductor'` computes in bfloat16, which is not exact: expected it with mode='fast', got "
            "mode='exact'. Use runtime='onnxruntime'."
        )
