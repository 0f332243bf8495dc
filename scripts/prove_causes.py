"""Does the verdict name the right cause where the cause is known? Panels whose taste is planted, on rendered scenes.

    python scripts/prove_causes.py --work_dir outputs/proof --num_proc 2
    python scripts/prove_causes.py --work_dir outputs/proof --oasis_dir PATH --fastdepth PATH    # with what they add
    python scripts/prove_causes.py --work_dir outputs/tuning --seeds 100 101 102 103 104 --calibrate

Saliency and blur are those of our extractors on the pixels; depth is the true one of the renderer, with a row by
FastDepth beside it. The rule lies in `hf_aesthetics/analysis/verdict.py`; it was tuned on seeds from 100 on alone, and
`--calibrate` prints the constants in it. What is finished is kept in `--work_dir`, and a stopped run goes on there.

- *one cause*: raters look at nothing but the layering of depth, the place of the subject, the blur of the subject, or
  colour. Named?
- *mixtures*: shares of 60/40 and 50/30/20 of the variance. How far are the shares off, do the intervals cover?
- *nothing*: the votes of other pictures. Is anything claimed?
- *outside our own world*: votes on the photographs of OASIS by properties that no extractor here computes: the slope
  of the spectrum (blur), the place of the image signature (saliency), colourfulness (colour).
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import fft, ndimage
from scipy.stats import binomtest, norm, rankdata

from hf_aesthetics.analysis.cue_reading import explained_parts, read_cues
from hf_aesthetics.analysis.descriptors import small_maps
from hf_aesthetics.analysis.findings import Verdict
from hf_aesthetics.analysis.verdict import CuePanel, judge
from hf_aesthetics.data.cache_files import make_files
from hf_aesthetics.data.oasis import load_oasis
from hf_aesthetics.data.rater_panel import RaterPanel, split_half_ceiling
from hf_aesthetics.data.rendering import CAUSES, render_scene
from hf_aesthetics.extraction import ModalityExtractor
from hf_aesthetics.whole_files import whole_file


CUE_OF_CAUSE = {"depth": "depth", "composition": "saliency", "focus": "blur", "colour": "colour", "light": "light"}
SINGLE = [{cause: 1.0} for cause in ("depth", "composition", "focus", "colour")]
MIXED = ("depth", "composition", "focus")
MIXTURES = [dict(zip(pair, (0.6, 0.4), strict=True)) for pair in permutations(MIXED, 2)] + [
    dict(zip(triple, (0.5, 0.3, 0.2), strict=True)) for triple in permutations(MIXED)
]
NUM_NOTHING = 10  # panels a seed
SCENES_A_FILE = 50


def draw_scenes(path: Path, job: tuple[range, str | None]) -> None:
    """Renders scenes, and keeps small maps of them and their causes."""
    seeds, fastdepth = job
    extractors = {name: ModalityExtractor(name, device="cpu") for name in ("saliency", "blur")}
    if fastdepth is not None:
        extractors["depth_fastdepth"] = ModalityExtractor("depth", fastdepth, device="cpu")
    found: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        scene = render_scene(seed)
        depth = Image.fromarray(np.round(scene.depth_map * 255).astype(np.uint8))
        maps = {name: extractor.make_maps([scene.image])[0] for name, extractor in extractors.items()}
        for name, image in {"rgb": scene.image, "depth": depth, **maps}.items():
            found.setdefault(name, []).append(small_maps([image])[0])
        found.setdefault("causes", []).append(np.array([scene.causes[name] for name in CAUSES]))
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: np.stack(values) for name, values in found.items()})


def load_scenes(arguments: argparse.Namespace, seed: int) -> dict[str, np.ndarray]:
    """Maps and causes of the scenes of a seed, made where they are not there."""
    first = seed * 3_000_000  # the training scenes of load_synthetic(seed=seed)
    scenes = range(first, first + arguments.num_pictures)
    starts = range(0, len(scenes), SCENES_A_FILE)
    jobs = {f"{start}.npz": (scenes[start : start + SCENES_A_FILE], arguments.fastdepth) for start in starts}
    folder = arguments.work_dir / f"scenes-{_name(arguments, seed)}"
    make_files(folder, draw_scenes, jobs, arguments.num_proc, f"scenes of seed {seed}")
    parts = [np.load(folder / name) for name in jobs]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _name(arguments: argparse.Namespace, seed: int) -> str:
    return f"{seed}-{arguments.num_pictures}{'-fastdepth' if arguments.fastdepth else ''}"


def describe_scenes(scenes: Mapping[str, np.ndarray], depth: str = "depth") -> CuePanel:
    """The cues of the scenes, with one of their depth maps."""
    return CuePanel.from_maps({name: scenes[name] for name in ("rgb", depth, "saliency", "blur")})


def rate(scenes: Mapping[str, np.ndarray], truth: Mapping[str, float], seed: int, order: np.ndarray) -> np.ndarray:
    """Single ratings by raters who look at causes with known shares, of the scenes in an order: `(n, num_raters)`."""
    causes = {name: scenes["causes"][order, number] for number, name in enumerate(CAUSES)}
    weights = {name: share**0.5 for name, share in truth.items()}
    return RaterPanel(causes=weights or None, seed=seed).rate(causes).ratings.astype(np.float64)


def true_shares(scenes: Mapping[str, np.ndarray], truth: Mapping[str, float]) -> dict[str, float]:
    """By cue, the share of each cause in what the raters agree on: as planted, but with the spread in these scenes."""
    parts = {}
    for name, share in truth.items():
        values = scenes["causes"][:, list(CAUSES).index(name)]
        parts[CUE_OF_CAUSE[name]] = share * values.var() / CAUSES[name].std ** 2
    return {cue: part / sum(parts.values()) for cue, part in parts.items()}


def prove_seed(scenes: Mapping[str, np.ndarray], seed: int) -> list[dict]:
    """Verdicts on all panels of one seed."""
    cues = describe_scenes(scenes)
    generator = np.random.default_rng([seed, 7])
    as_they_are = np.arange(len(scenes["causes"]))
    panels = [("one cause", truth) for truth in SINGLE] + [("mixture", truth) for truth in MIXTURES]
    rows = []
    for kind, truth in [*panels, *[("nothing", {})] * NUM_NOTHING]:
        order = generator.permutation(as_they_are) if kind == "nothing" else as_they_are
        ratings = rate(scenes, truth, seed, order)
        shares, reliability = true_shares(scenes, truth), split_half_ceiling(ratings, num_splits=5)
        rows.append(row_of(kind, shares, judge(cues, ratings.mean(axis=1), reliability)))
        if "depth_fastdepth" in scenes and truth == {"depth": 1.0}:
            by_network = describe_scenes(scenes, "depth_fastdepth")
            rows.append(row_of("by FastDepth", shares, judge(by_network, ratings.mean(axis=1), reliability)))
    return rows


def row_of(kind: str, truth: dict[str, float], verdict: Verdict) -> dict:
    """What the table needs of a verdict."""
    return {
        "kind": kind,
        "truth": truth,
        "cause": verdict.cause,
        "is_claim": bool(verdict.leaders),
        "shares": {cue: list(share) for cue, share in verdict.shares.items()},
    }


def calibrate(scenes: Mapping[str, np.ndarray], seed: int) -> list[tuple[str, float, float]]:
    """Of mixtures and each of their cues: the true share, and the part of the variance that the cue explains."""
    cues = describe_scenes(scenes)
    panels = [*MIXTURES, {"colour": 1.0}, {"light": 1.0}]  # neither of these two is in a mixture
    as_they_are = np.arange(len(scenes["causes"]))
    ratings = [rate(scenes, truth, seed, as_they_are) for truth in panels]
    means = np.stack([each.mean(axis=1) for each in ratings], axis=1)
    parts = explained_parts(read_cues(cues.readers, means), means).parts
    return [
        (cue, share, parts[number, list(cues.readers).index(cue)] / split_half_ceiling(each, num_splits=5))
        for number, (truth, each) in enumerate(zip(panels, ratings, strict=True))
        for cue, share in true_shares(scenes, truth).items()
    ]


def prove_on_photographs(oasis_dir: Path) -> list[dict]:
    """Verdicts on the photographs of OASIS, rated by measured properties: four fifths of the themes at a time."""
    splits = load_oasis(oasis_dir).values()
    pictures = [picture.convert("RGB") for split in splits for picture in split["image"]]
    themes = np.concatenate([split["theme"][:] for split in splits])
    maps = {name: small_maps(ModalityExtractor(name).make_maps(pictures)) for name in ("saliency", "blur")}
    maps["rgb"] = small_maps(pictures)
    rows = []
    for cue, measure in PROPERTIES.items():
        values = np.array([measure(picture) for picture in pictures])
        normal = norm.ppf((rankdata(values) - 0.5) / len(values))
        # any cause carries the values into the panel, which standardises it
        seen = {"focus": CAUSES["focus"].mean + CAUSES["focus"].std * normal}
        for seed in range(10):
            ratings = RaterPanel(causes={"focus": 1.0}, seed=seed).rate(seen).ratings.mean(axis=1)
            names = np.unique(themes)
            chosen = np.random.default_rng(seed).choice(names, round(0.8 * len(names)), replace=False)
            kept = np.isin(themes, chosen)
            cues = CuePanel.from_maps({name: each[kept] for name, each in maps.items()}, themes[kept], seed)
            rows.append(row_of("photographs", {cue: 1.0}, judge(cues, ratings[kept].astype(np.float64))))
    return rows


def spectral_slope(picture: Image.Image) -> float:
    """Exponent with which the amplitude spectrum falls (Field & Brady 1997): the steeper, the more blurred."""
    luma = np.asarray(picture.convert("L").resize((256, 256)), dtype=np.float64)
    window = np.outer(np.hanning(256), np.hanning(256))
    amplitude = np.abs(np.fft.fft2((luma - luma.mean()) * window))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    rings = np.geomspace(0.02, 0.4, 12)
    means = [amplitude[(radius >= low) & (radius < high)].mean() for low, high in pairwise(rings)]
    return float(np.polyfit(np.log(np.sqrt(rings[1:] * rings[:-1])), np.log(np.array(means) + 1e-9), 1)[0])


def signature_place(picture: Image.Image) -> float:
    """Distance from the centre at which the image signature (Hou, Harel & Koch 2012) is highest, in frames."""
    channels = np.moveaxis(np.asarray(picture.resize((64, 64)), dtype=np.float64), 2, 0)
    signature = fft.idctn(np.sign(fft.dctn(channels, axes=(1, 2))), axes=(1, 2))
    saliency = ndimage.gaussian_filter((signature**2).mean(axis=0), 3)
    y, x = np.unravel_index(saliency.argmax(), saliency.shape)
    return float(np.hypot((x + 0.5) / 64 - 0.5, (y + 0.5) / 64 - 0.5))


def colourfulness(picture: Image.Image) -> float:
    """Of Hasler & Suesstrunk (2003), doi 10.1117/12.477378."""
    red, green, blue = np.moveaxis(np.asarray(picture, dtype=np.float64), 2, 0)
    one, other = red - green, (red + green) / 2 - blue
    return float(np.hypot(one.std(), other.std()) + 0.3 * np.hypot(one.mean(), other.mean()))


PROPERTIES = {"blur": spectral_slope, "saliency": signature_place, "colour": colourfulness}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--num_pictures", type=int, default=600, help="scenes a seed")
    parser.add_argument("--num_proc", type=int, default=2)
    parser.add_argument("--fastdepth", help="checkpoint for a second opinion on depth")
    parser.add_argument("--oasis_dir", type=Path, help="photographs outside our own world")
    parser.add_argument("--calibrate", action="store_true", help="print the readability of each cue instead")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    if arguments.calibrate:
        found = [each for seed in arguments.seeds for each in calibrate(load_scenes(arguments, seed), seed)]
        for cue in CUE_OF_CAUSE.values():
            shares, parts = np.array([(share, part) for name, share, part in found if name == cue]).T
            readable = shares @ parts / (shares @ shares)
            deviation = np.std(parts / shares - readable)
            print(f'    "{cue}": ({readable:.2f}, {deviation:.2f}),')
        return
    rows = []
    for seed in arguments.seeds:
        file = arguments.work_dir / f"verdicts-{_name(arguments, seed)}.json"
        rows += _kept(file, lambda seed=seed: prove_seed(load_scenes(arguments, seed), seed))
        print(f"seed {seed}: done after {time.monotonic() - started:.0f} s", flush=True)
    if arguments.oasis_dir is not None:
        rows += _kept(arguments.work_dir / "photographs.json", lambda: prove_on_photographs(arguments.oasis_dir))
    print(table(rows))


def _kept(file: Path, make: Callable[[], list[dict]]) -> list[dict]:
    if not file.is_file():
        rows = make()
        with whole_file(file) as partial:
            partial.write_text(json.dumps(rows, indent=1))
    return json.loads(file.read_text())


def table(rows: list[dict]) -> str:
    """The figures of all seeds as Markdown."""
    lines = ["| panels | named | shares off by | intervals that cover |", "|---|---|---|---|"]
    for kind, text in (
        ("one cause", "{} alone"),
        ("by FastDepth", "{} alone, seen by FastDepth"),
        ("photographs", "photographs, {} alone"),
    ):
        for cue in dict.fromkeys(cue for row in rows if row["kind"] == kind for cue in row["truth"]):
            own = [row for row in rows if row["kind"] == kind and cue in row["truth"]]
            named = sum(row["cause"] == cue for row in own)
            others = Counter(str(row["cause"]) for row in own if row["cause"] != cue)
            wrong = ", ".join(f"{other} {count}" for other, count in others.items())
            share = np.mean([row["shares"][cue][0] for row in own])
            lines.append(f"| {text.format(cue)} | {named} of {len(own)} {wrong} | mean share {share:.2f} | |")
    for size, name in ((2, "60/40"), (3, "50/30/20")):
        own = [row for row in rows if row["kind"] == "mixture" and len(row["truth"]) == size]
        if not own:
            continue
        pairs = [(row["shares"][cue], share) for row in own for cue, share in row["truth"].items()]
        errors = np.array([max(abs(row["shares"][c][0] - share) for c, share in row["truth"].items()) for row in own])
        covers = np.mean([low <= share <= high for (_, low, high), share in pairs])
        first = sum(row["cause"] == max(row["truth"], key=row["truth"].get) for row in own)
        lines.append(
            f"| mixtures {name} | {first} of {len(own)} | median {np.median(errors):.3f}, worst {errors.max():.3f}; "
            f"{np.mean(errors <= 0.15):.0%} within 0.15 | {covers:.0%} of {len(pairs)} |"
        )
    own = [row for row in rows if row["kind"] == "nothing"]
    claims = sum(row["is_claim"] for row in own)
    interval = binomtest(claims, len(own)).proportion_ci(method="wilson")
    lines.append(
        f"| nothing | {claims} claims of {len(own)}: {claims / len(own):.0%} "
        f"[{interval.low:.0%}, {interval.high:.0%}] | | |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
