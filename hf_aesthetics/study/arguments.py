"""The arguments of a study, beside those of data, model, folds and training.

Know nothing about how they are carried out.
"""

from dataclasses import dataclass, field
from typing import Literal

from ..analysis.cues import is_cue
from ..extraction import name_extractors
from ..models.modality_maps import EARLY_FUSION, check_modality


@dataclass
class StudyArguments:
    """
    Which modalities, who makes their maps, and how their models start.

    Raises:
        ValueError: If a modality is unknown or named twice, an extractor or a degradation is for none of them, or the
            models should start from `rgb`, which is not trained.

    Example:
        >>> StudyArguments(modalities=["rgb", "depth"], extractors=["depth=org/network@v2"]).networks
        {'depth': 'org/network@v2'}
        >>> StudyArguments(modalities=["blur"], initialise="rgb")
        Traceback (most recent call last):
        ...
        ValueError: --initialise rgb needs the models of rgb, got --modalities blur. Add rgb.
    """

    modalities: list[str] = field(
        default_factory=lambda: ["rgb", "gray", "constant", "saliency", "blur"],
        metadata={"help": "what the models see: rgb, maps, or rgb+<map>"},
    )
    extractors: list[str] = field(
        default_factory=list, metadata={"help": "networks, each as MODALITY=FOLDER_OR_REPOSITORY[@REVISION]"}
    )
    degrade: list[str] = field(
        default_factory=list,
        metadata={"help": "cues that are studied again with worse maps, for want of a second extractor"},
    )
    depths: list[int] | None = field(
        default=None,
        metadata={
            "help": "numbers of frozen stages to choose from, for each modality; by default as many as can be, which "
            "leaves the head alone, and one less"
        },
    )
    initialise: Literal["pretrained", "rgb"] = field(
        default="pretrained", metadata={"help": "start from the backbone, or from the model of rgb of the same fold"}
    )
    beside: list[str] = field(
        default_factory=list, metadata={"help": "findings.json of other collections, for the same report"}
    )
    report_only: bool = field(
        default=False, metadata={"help": "train nothing; the report is about the modalities that are finished"}
    )
    networks: dict[str, str] = field(init=False, default_factory=dict)  # by map

    def __post_init__(self) -> None:
        for name in self.modalities:
            check_modality(name)
        if not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise ValueError(f"--modalities must name each modality once, got {' '.join(self.modalities) or 'none'}.")
        self.networks = name_extractors(self.extractors, [name.removeprefix(EARLY_FUSION) for name in self.modalities])
        if wrong := [name for name in self.degrade if name not in self.modalities or not is_cue(name)]:
            raise ValueError(
                f"--degrade must name some of --modalities {' '.join(self.modalities)} that are cues, got "
                f"{' '.join(wrong)}."
            )
        if self.initialise == "rgb" and "rgb" not in self.modalities:
            raise ValueError(
                f"--initialise rgb needs the models of rgb, got --modalities {' '.join(self.modalities)}. Add rgb."
            )
        if self.initialise == "rgb":
            self.modalities = sorted(self.modalities, key=lambda name: name != "rgb")  # the others wait for it
