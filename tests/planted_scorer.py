"""A scorer that is a formula over the pixels, so that tests know what it likes."""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.models.configuration_rating_scale import RatingScaleConfig
from hf_aesthetics.models.score_outputs import ScoreOutput
from hf_aesthetics.scoring import AestheticScorer


Formula = Callable[[torch.Tensor], torch.Tensor]


class PlantedModel(PreTrainedModel):
    """Its score is what a formula says of pictures in [0, 1], `(B, 3, height, width)` -> `(B,)`."""

    config: RatingScaleConfig

    def __init__(self, formula: Formula) -> None:
        super().__init__(RatingScaleConfig())
        self.formula = formula
        self.weight = torch.nn.Parameter(torch.zeros(()))  # by which a model knows its device and type

    def forward(self, pixel_values: torch.Tensor, **kwargs) -> ScoreOutput:
        score = self.formula(pixel_values)
        return ScoreOutput(logits=score.new_zeros(len(score), 10), score=score, score_std=torch.ones_like(score))


def planted_scorer(formula: Formula, side: int = 64) -> AestheticScorer:
    processor = ModalityImageProcessor(size={"height": side, "width": side}, do_normalize=False)
    return AestheticScorer(PlantedModel(formula), processor, name="planted", device="cpu")
