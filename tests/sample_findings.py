"""Findings with made-up numbers, for tests and for looking at a report: nothing in them was measured."""

import numpy as np

from hf_aesthetics.analysis.findings import (
    Categorisation,
    CategorySystemFindings,
    Cluster,
    Covariance,
    CueOrder,
    Dominance,
    Estimate,
    ModalityFigures,
    StudyFindings,
    Trend,
    Verdict,
)


CUES = {"depth": 0.58, "saliency": 0.44, "saliency_u2net": 0.41, "blur": 0.31, "blur_laplacian": 0.27}
SOURCES = {
    "depth": "org/depth-network@0123abc",
    "saliency": "closed form",
    "saliency_u2net": "org/u2net@89ab012",
    "blur": "closed form",
    "blur_laplacian": "closed form",
}
SUBJECTS = "lake hill dog cat street tower bread rose child boat bridge snow night dance tree sand car".split()
MANNERS = ["macro", "abstract", "black and white", "candid"]  # x 17 subjects, of which 66 are taken


def made_up(value: float, width: float = 0.06) -> Estimate:
    return Estimate(value, value - width, value + 0.9 * width)


def full_findings(collection: str = "Made-up parks", shift: float = 0.0) -> StudyFindings:
    """Everything that can be found, on a collection with many categories."""
    rng = np.random.default_rng(round(1000 * abs(shift)))
    cues = [
        ModalityFigures(
            name,
            SOURCES[name],
            srcc=made_up(srcc + shift),
            skill=made_up(0.6 * (srcc + shift), 0.04),
            retention=made_up((srcc + shift) / 0.72, 0.05),
            unique=made_up(0.05 * (srcc - 0.25), 0.008),
            beyond_rgb=made_up(0.02 * (srcc - 0.3), 0.006),
        )
        for name, srcc in CUES.items()
    ]
    rgb = ModalityFigures("rgb", "the picture itself", made_up(0.72, 0.05), made_up(0.36, 0.04), made_up(1.0, 0.0))
    gray = ModalityFigures("gray", "closed form", made_up(0.63), made_up(0.29), made_up(0.87))
    constant = ModalityFigures("constant", "nothing", None, made_up(-0.002, 0.004))
    names = ["rgb", *CUES, "gray", "constant"]
    closeness = rng.uniform(0.2, 0.8, (len(names), len(names)))
    agreement = {
        row: {
            column: None if "constant" in (row, column) else 1.0 if i == j else closeness[min(i, j), max(i, j)]
            for j, column in enumerate(names)
        }
        for i, row in enumerate(names)
    }
    categories = [f"{subject}, {manner}" for subject in SUBJECTS for manner in MANNERS][:66]
    return StudyFindings(
        collection=collection,
        num_pictures=2758,
        num_groups=124,
        scale="1 to 7, mean of about 100 people",
        modalities=[rgb, *cues, gray, constant],
        verdict=Verdict(
            cause="depth",
            sentence="Depth carries the judgement here: 55 % [43, 66] of what the cues account for, clearly ahead of "
            "saliency with 30 % [19, 41]. (Made-up numbers.)",
            shares={
                "depth": Estimate(0.55, 0.43, 0.66),
                "saliency": Estimate(0.30, 0.19, 0.41),
                "blur": Estimate(0.15, 0.05, 0.26),
            },
            explained=Estimate(0.47, 0.39, 0.54),
            claims=["Depth leads for both ways of making saliency maps.", "Blur adds something beyond the picture."],
            rule="A cue is named where the lower end of its share lies above the upper end of every other share.",
        ),
        order=[
            CueOrder("depth", "saliency", made_up(0.14), num_pairs=2, holds=True),
            CueOrder("depth", "blur", made_up(0.27), num_pairs=2, holds=True),
            CueOrder("saliency", "blur", made_up(0.05), num_pairs=4, holds=False),
        ],
        ceiling=0.97,
        agreement=agreement,
        dominance=Dominance(
            counts={name: 900 // (place + 2) for place, name in enumerate(CUES)},
            undecided=1321,
            noise=0.0251,
            exemplars={name: [f"{name}-{index:03d}" for index in range(6)] for name in CUES},
        ),
        fusion=ModalityFigures(
            "fusion",
            "weights: depth 0.48, saliency 0.27, saliency_u2net 0.10, blur 0.15",
            srcc=made_up(0.65, 0.05),
            skill=made_up(0.31, 0.04),
            retention=made_up(0.9, 0.05),
        ),
        systems=[
            CategorySystemFindings(
                "made-up tags",
                [
                    made_up_covariance(rng, modality, category)
                    for category in categories
                    for modality in ["rgb", *CUES]
                ],
                skipped={"comet": "1 member, at least 2 are needed"},
            ),
            CategorySystemFindings("an empty system", [], skipped={"moon": "no member"}),
        ],
        categorisation=Categorisation(
            clusters=[
                Cluster("near and far", 1610, profile(0.5, 0.1, -0.2), ["hill", "lake", "street"], ["depth-000"]),
                Cluster("one thing", 1148, profile(-0.4, 0.6, 0.1), ["macro"], ["saliency-001", "g-2", "g-3"]),
            ],
            stability=0.83,
        ),
        trends=[
            made_up_trend("depth_range", "how far apart near and far are", "depth", 0.4, 0.37),
            made_up_trend("compactness", "how much of what stands out lies in one place", "saliency", 0.1, 0.12),
            made_up_trend("blurred_share", "share of the picture that is blurred", "blur", -0.3, -0.22),
            Trend("thirds", "how near what stands out lies to the thirds", "saliency", None, [], [], [], []),
        ],
        method={
            "folds": "five by theme, three times over",
            "network": "MobileNetV2 from ImageNet, last two stages trained",
            "seeds": "0, 1, 2",
            "command": "python scripts/study.py --dataset parks --data_dir PATH --modalities depth saliency blur "
            "--folds 5 --fold_seeds 0 1 2 --output_dir outputs/study",
            "revision": "0123456789abcdef0123456789abcdef01234567",
        },
        limits=["Nothing here was measured: all numbers are made up.", "Depth by one network alone (CC-BY-4.0)."],
    )


def bare_findings(collection: str = "Made-up snow") -> StudyFindings:
    """As little as can be found: nothing is claimed, and whatever may be undefined is."""
    return StudyFindings(
        collection=collection,
        num_pictures=12,
        num_groups=12,
        scale="0 to 1",
        modalities=[
            ModalityFigures("depth", "true map of the renderer", None, Estimate(0.0, -0.1, 0.1)),
            ModalityFigures("constant", "nothing", None, Estimate(0.0, 0.0, 0.0)),
        ],
        verdict=Verdict(None, "Nothing is claimed: all votes are the same.", {}, Estimate(0.0, 0.0, 0.0)),
        dominance=Dominance({}, 0, 0.0, {}),
        categorisation=Categorisation([], None, "12 pictures are too few, at least 50 are needed."),
    )


def profile(*values: float) -> dict[str, float]:
    return dict(zip(("depth", "saliency", "blur"), values, strict=True))


def made_up_covariance(rng: np.random.Generator, modality: str, category: str) -> Covariance:
    correlation, leak = rng.normal(0, 0.12), rng.normal(0, 0.05)
    p_value = float(np.exp(-abs(correlation) * 25))
    return Covariance(
        modality,
        category,
        int(rng.integers(2, 400)),
        covariance=0.2 * correlation,
        correlation=made_up(correlation + leak),
        partial=None if modality == "rgb" else made_up(correlation),
        p_value=p_value,
        q_value=min(1.0, 3 * p_value),
    )


def made_up_trend(descriptor: str, meaning: str, modality: str, slope: float, srcc: float) -> Trend:
    centers = np.linspace(0.05, 0.85, 10)
    means = 4.1 + slope * (centers - 0.45) + 0.05 * np.sin(13 * centers)
    bands = [(means + width).tolist() for width in (0, -0.12, 0.13)]
    return Trend(descriptor, meaning, modality, made_up(srcc), centers.tolist(), *bands)
