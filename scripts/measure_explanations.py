"""Are explanations true to a checkpoint? What they name is covered and uncovered, and its weights are made random.

    python scripts/measure_explanations.py outputs/nima-oasis --dataset oasis --data_dir PATH --num_pictures 40

`deletion` is how much faster the score falls than with random places, when what is said to raise it most is covered
first; `insertion` how much faster it rises when that is uncovered first. Both are differences of areas under curves,
in rating units, positive where the explanation is better, with 95 % intervals over pictures. The places that it has to
beat are smooth noise, and the distance from the centre, where photographers put what matters. `random weights` is the
rank correlation of the explanation with that of a network that has learnt nothing, which is to be small.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.explain import METHODS, Prediction, explain_prediction
from hf_aesthetics.explain.faithfulness import (
    area_under_curve,
    deletion_curve,
    insertion_curve,
    randomisation_correlation,
    with_random_weights,
)
from hf_aesthetics.metrics import bootstrap_interval
from hf_aesthetics.scoring import AestheticScorer


CHANCE, CENTRE = "chance", "centre"
NOISE_SIZE = 7  # places a side, as many as a usual network has


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a checkpoint: a folder or a Hub repository")
    parser.add_argument("--dataset", required=True, help="as in training")
    parser.add_argument("--data_dir")
    parser.add_argument("--split", default="test")
    parser.add_argument("--num_pictures", type=int, default=40, help="the first ones of the split")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--num_steps", type=int, default=16, help="equal parts of a picture that are covered in turn")
    args = parser.parse_args(argv)
    scorer = AestheticScorer.from_pretrained(args.model)
    pictures = load_collection(args.dataset, args.data_dir).splits[args.split]
    pictures = pictures.select(range(min(args.num_pictures, len(pictures))))
    methods = [name for name in args.methods if scorer.model.supports_spatial_explanation or "cam" not in name]
    random_model = with_random_weights(scorer.model)
    areas, correlations, seconds = defaultdict(list), defaultdict(list), defaultdict(list)
    for number, picture in enumerate(tqdm(pictures["image"], desc="pictures")):
        prediction = Prediction(scorer.model, scorer.preprocess([picture]))
        for name in (*methods, CHANCE, CENTRE):
            start = time.perf_counter()
            heat = (
                prior(name, prediction, number) if name in (CHANCE, CENTRE) else explain_prediction(prediction, name)
            )
            seconds[name].append(time.perf_counter() - start)
            areas[name].append(measure(prediction, heat, args.num_steps))
            if name in methods:
                correlations[name].append(randomisation_correlation(prediction, random_model, name))
    print(f"{len(pictures)} pictures of {args.dataset}, {args.split}, by {scorer.id}\n")
    columns = ("method", "deletion", "insertion", "insertion, against the centre", "random weights", "seconds")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in (*methods, CENTRE):
        ahead = np.array(areas[name]) - np.array(areas[CHANCE])
        of_centre = np.array(areas[name])[:, 1] - np.array(areas[CENTRE])[:, 1]
        cells = [describe(ahead[:, 0]), describe(ahead[:, 1]), "" if name == CENTRE else describe(of_centre)]
        # NaN where the network that has learnt nothing gives the same score, whatever is covered
        correlation = (
            f"{np.nanmean(correlations[name]):.2f}" if not np.isnan(correlations[name] or np.nan).all() else ""
        )
        cells += [correlation, f"{np.median(seconds[name]):.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")


def prior(name: str, prediction: Prediction, seed: int) -> np.ndarray:
    """Places that know nothing of the model."""
    height, width = prediction.inputs["pixel_values"].shape[-2:]
    if name == CENTRE:
        rows, columns = np.mgrid[:height, :width]
        return -np.hypot((rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5)
    noise = torch.rand(1, 1, NOISE_SIZE, NOISE_SIZE, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, (height, width), mode="bilinear")[0, 0].numpy()


def measure(prediction: Prediction, heat: ArrayLike, num_steps: int) -> tuple[float, float]:
    """How low the score stays while the hottest places go, and how high while they come: the higher, the better."""
    fallen = area_under_curve(deletion_curve(prediction, heat, num_steps))
    risen = area_under_curve(insertion_curve(prediction, heat, num_steps))
    return -fallen, risen


def describe(differences: Sequence[float] | np.ndarray) -> str:
    low, high = bootstrap_interval(np.mean, differences)
    return f"{np.mean(differences):+.2f} [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main()
