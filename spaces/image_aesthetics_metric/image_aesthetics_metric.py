"""
The metrics of image aesthetic assessment as one `evaluate` metric. Knows nothing about the formulas, which are in
`hf_aesthetics.metrics`.

`evaluate` reads the imports of this file with a regular expression and takes the first metric class that it finds in
the module: import one module a line, and never `evaluate.Metric` by name.
"""

from typing import Any

import datasets
import evaluate

from hf_aesthetics.metrics import summarize


_DESCRIPTION = """\
How well predicted distributions of human ratings match the true ones: rank and linear correlations of the mean score
and of the standard deviation, earth mover's distance, errors, two-class accuracy and calibration.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (list of list of float): One predicted distribution a picture, lowest rating first, summing to 1.
    references (list of list of float): The shares of the votes of the same pictures.
    bin_values (list of float, optional): The rating of each bin; 1, 2, 3, ... unless given.
    vote_counts (list of list of int, optional): Numbers of votes, for an exact true class.
    constant_distribution (list of float, optional): Mean distribution of the training pictures; adds `emd_skill`.
    threshold (float, optional): Score above which a picture is high; the middle bin unless given (5 on 1 to 10).
    num_resamples (int, optional): Bootstrap draws over pictures; adds `intervals`. 0 unless given.
    seed (int, optional): Seed of the draws. 0 unless given.

Returns:
    dict: `num_images`, `srcc`, `plcc`, `krcc`, `mse`, `mae`, `accuracy`, `balanced_accuracy`, `f1`, `srcc_std`,
    `plcc_std`, `krcc_std`, `emd` (order 1), `emd_2` (order 2), `majority_accuracy`, `pit_error`.
"""

_CITATION = """\
@article{talebi2018nima,
  title={{NIMA}: Neural Image Assessment},
  author={Talebi, Hossein and Milanfar, Peyman},
  journal={IEEE Transactions on Image Processing},
  volume={27},
  number={8},
  pages={3998--4011},
  year={2018}
}
"""


class ImageAestheticsMetric(evaluate.Metric):
    """All metrics of `hf_aesthetics.metrics.summarize` over predicted and true rating distributions."""

    def _info(self) -> evaluate.MetricInfo:
        distribution = datasets.List(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": distribution, "references": distribution}),
            reference_urls=["https://huggingface.co/papers/1709.05424"],
        )

    def _compute(
        self, *, predictions: Any = None, references: Any = None, bin_values: list[float] | None = None, **options: Any
    ) -> dict[str, Any]:
        if bin_values is None:
            bin_values = [float(rating) for rating in range(1, len(predictions[0]) + 1)]
        return summarize(predictions, references, bin_values, **options)
