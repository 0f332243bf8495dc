"""
A model and its processor, ready to score: the one path from pictures to predictions.

Knows nothing about folders, data sets or metrics.
"""

import hashlib
import json
import os
import threading
from typing import Any

import torch
from transformers import AutoModelForImageClassification, BatchFeature, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import ModelOutput

from ..extraction import ModalityExtractor, choose_device
from ..pipelines import AestheticRecord, aesthetic_records, check_scorer_config, make_pixel_values
from ..strict_loading import load_checkpoint


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

    Raises:
        ValueError: If the model is no scorer, or the machine has no such device.

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
    ) -> None:
        check_scorer_config(model.config, name)
        self.device = choose_device(device)
        self.model = model.eval()
        self.model.to(self.device)
        self.processor = processor
        self.name = name
        self.revision = revision
        self._extractor: ModalityExtractor | None = None
        self._extractor_lock = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
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
        return cls(loaded.model, loaded.processor, name=loaded.name, revision=loaded.revision, device=device)

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
        and a hash of all the processor's fields, the same wherever the processor was loaded from.
        """
        fields = {
            name: value
            for name, value in self.processor.to_dict().items()
            # where code and extractor lie is no part of what they do; the revision says which extractor it is
            if value is not None and name not in ("auto_map", "extractor_checkpoint") and not name.startswith("_")
        }
        digest = hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()[:12]
        size = "x".join(str(side) for side in dict(fields.get("size", {})).values() if side is not None)
        return f"{fields.get('modality', 'rgb')}, {fields.get('view', 'resize')} {size}, {digest}"

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
        return make_pixel_values(self.processor, images, modality_maps, extractor)

    def forward(self, inputs: BatchFeature) -> ModelOutput:
        """
        Runs the model on one batch, without gradients.

        Args:
            inputs (`BatchFeature`):
                What [`preprocess`] returned. Left as it is.

        Returns:
            `ModelOutput`: The model's own, its tensors float32 and on the CPU.
        """
        with torch.inference_mode():
            outputs = self.model(**BatchFeature(dict(inputs)).to(self.device, self.model.dtype))
        return type(outputs)(
            **{name: value.float().cpu() for name, value in outputs.items() if isinstance(value, torch.Tensor)}
        )

    def predict(self, images: list[Any], modality_maps: list[Any] | None = None) -> ModelOutput:
        """One batch through processor and model: [`preprocess`], then [`forward`]."""
        return self.forward(self.preprocess(images, modality_maps))

    def score(self, images: list[Any], modality_maps: list[Any] | None = None) -> list[AestheticRecord]:
        """One batch as records, one a picture; takes what [`predict`] takes."""
        return aesthetic_records(self.predict(images, modality_maps), self.model.config)
