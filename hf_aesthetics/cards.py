"""
Model cards: what a stranger has to know of a checkpoint, rendered from its files and its evaluation reports.

Knows nothing about how a card reaches the Hub.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, ModelCardData, eval_result_entries_to_yaml
from safetensors import safe_open
from transformers import AutoConfig, AutoImageProcessor, PreTrainedConfig

from .data.columns import DatasetFacts
from .evaluation import EvaluationReport
from .metrics import default_threshold
from .models.modality_maps import MODALITIES, split_modality


# rows of the table of results: metric key -> name, decimals; above `cut` a picture is high
METRIC_ROWS = {
    "srcc": ("SRCC of the mean score ↑", 3),
    "plcc": ("PLCC of the mean score ↑", 3),
    "krcc": ("KRCC of the mean score ↑", 3),
    "mae": ("mean absolute error ↓", 3),
    "mse": ("mean squared error ↓", 3),
    "emd": ("earth mover's distance, order 1 ↓", 4),
    "emd_2": ("earth mover's distance, order 2 ↓", 4),
    "emd_skill": ("skill: share of the constant's distance removed ↑", 3),
    "srcc_std": ("SRCC of the spread ↑", 3),
    "plcc_std": ("PLCC of the spread ↑", 3),
    "accuracy": ("accuracy, above {cut:g} or not ↑", 3),
    "balanced_accuracy": ("balanced accuracy, above {cut:g} or not ↑", 3),
    "f1": ("F1 of above {cut:g} ↑", 3),
    "pit_error": ("calibration error ↓", 3),
}
PROVENANCE_FIELD = "hf_aesthetics"  # of the metadata: what the weights were made of, under which terms
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
COMMIT = re.compile(r"[0-9a-f]{40}")


def card_template(model_type: str) -> str:
    """
    The template of a model's card, `model_cards/<model_type>.md`: in a checkout beside the package, in a wheel inside.

    Raises:
        ValueError: If the model has no card yet.

    Example:
        >>> "bibtex" in card_template("nima")
        True
        >>> card_template("nimma")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: There is no model card for 'nimma', only for [...]. Write model_cards/nimma.md.
    """
    path = _card_folder() / f"{model_type}.md"
    if not path.is_file():
        known = sorted(path.stem for path in _card_folder().glob("*.md"))
        raise ValueError(
            f"There is no model card for {model_type!r}, only for {known}. Write model_cards/{model_type}.md."
        )
    return path.read_text(encoding="utf-8")


def _card_folder() -> Path:
    package = Path(__file__).parent
    return next(path for path in (package / "model_cards", package.parent / "model_cards") if path.is_dir())


def render_model_card(
    model_dir: str | os.PathLike[str],
    reports: EvaluationReport | Sequence[EvaluationReport],
    *,
    facts: DatasetFacts,
    repo_id: str | None = None,
    license: str | None = None,
    backbone: str | None = None,
    backbone_license: str | None = None,
    training: Mapping[str, Any] | None = None,
) -> ModelCard:
    """
    Renders the card of a saved checkpoint.

    Every number in it comes from the files of the checkpoint or from a report, none from a paper.

    Args:
        model_dir (`str` or `os.PathLike`):
            Folder with the saved model and its processor.
        reports (`EvaluationReport` or a sequence of them):
            Its evaluations, the most important one first.
        facts (`DatasetFacts`):
            The data that it was trained on.
        repo_id (`str`, *optional*):
            Where it will be published. The name of the folder where it is left out; publishing fills it in.
        license (`str`, *optional*):
            Terms of the weights, best an identifier of the Hub such as `"apache-2.0"`. Not guessed: the data decide.
        backbone (`str`, *optional*):
            Checkpoint whose pretrained weights it started from.
        backbone_license (`str`, *optional*):
            Terms of those weights.
        training (`Mapping[str, Any]`, *optional*):
            What to say about training, shown in this order; `optimizer` also goes into the comparison with the paper.

    Returns:
        `huggingface_hub.ModelCard`: Save it with [`~hf_aesthetics.hub.add_results`].

    Raises:
        ValueError: If the model has no card template.
    """
    model_dir = Path(model_dir)
    reports = [reports] if isinstance(reports, EvaluationReport) else list(reports)
    repo_id = repo_id or model_dir.resolve().name
    config = AutoConfig.from_pretrained(model_dir)
    processor = AutoImageProcessor.from_pretrained(model_dir)
    metadata = _metadata(config, reports, facts, repo_id, license, backbone, processor.modality)
    metadata[PROVENANCE_FIELD] = {
        "training_data": {"name": facts.name, "weights": asdict(facts.weights)},
        "backbone": backbone,
        "backbone_license": backbone_license,
    }
    content = fill_template(
        card_template(config.model_type),
        metadata=metadata.to_yaml(),
        model_name=repo_id.split("/")[-1],
        repo_id=repo_id,
        notice=config.notice,
        config=config,
        processor=processor,
        modality=_modality(processor),
        scale={"low": f"{config.min_score:g}", "high": f"{config.max_score:g}", "num_bins": len(config.bin_scores)},
        quartiles=_score_quartiles(config),
        spread_is_measured=not reports or any("srcc_std" in report.metrics for report in reports),
        num_parameters=_count_parameters(model_dir),
        results=[_result(report, folder) for report, folder in zip(reports, report_folders(reports), strict=True)],
        data=facts,
        data_link=_link(facts.source_url),
        license=license,
        backbone=backbone,
        backbone_license=backbone_license,
        training=dict(training or {}),
    )
    return ModelCard(content)


def fill_template(template: str, **values: Any) -> str:
    """
    Fills a Jinja template of a card; a name that is misspelt in it is an error.

    Example:
        >>> fill_template("# {{ name }}", name="parks")
        '# parks'
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # the Hub's own `from_template` would leave a blank line for every tag, and print nothing for a misspelt name
    environment = Environment(
        loader=FileSystemLoader(_card_folder()),  # of what several cards say alike
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
    )
    environment.filters["cell"] = _table_cell
    environment.filters["sentence"] = lambda text: f"{text[0].upper()}{text[1:].rstrip('.')}."
    return environment.from_string(template).render(**values)


def address_card(text: str, repo_id: str) -> str:
    """
    Lets the examples of a card load a repository, where it was rendered for a folder that had none yet.

    Example:
        >>> address_card('# nima-parks\\n\\nfrom_pretrained("nima-parks")', "org/nima-parks")
        '# nima-parks\\n\\nfrom_pretrained("org/nima-parks")'
    """
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    return text.replace(f'"{title[1]}"', f'"{repo_id}"') if title else text


def report_folders(reports: Sequence[EvaluationReport]) -> list[str]:
    """Where reports lie in a checkpoint: the first in `evaluation/`, others in sub-folders named after their data."""
    others = [f"evaluation/{_slug(report.dataset_name)}-{_slug(report.split)}" for report in reports[1:]]
    return ["evaluation", *others][: len(reports)]


def eval_result_files(reports: Sequence[EvaluationReport]) -> dict[str, str]:
    """
    Contents of `.eval_results/*.yaml` by name: how the Hub's benchmarks read results from a repository.

    Only data sets at a commit on the Hub can have a benchmark; the model index in the card has all the others, too.
    """
    files = {}
    for report in reports:
        if _is_on_hub(report) and report.metrics["srcc"] is not None:
            entry = EvalResultEntry(
                dataset_id=report.dataset_name,
                task_id=report.split,
                value=report.metrics["srcc"],
                dataset_revision=report.dataset_revision,
                date=report.date,
                notes="SRCC of the mean score",
            )
            name = f".eval_results/{_slug(report.dataset_name)}-{_slug(report.split)}.yaml"
            files[name] = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
    return files


def _metadata(
    config: PreTrainedConfig,
    reports: list[EvaluationReport],
    facts: DatasetFacts,
    repo_id: str,
    license: str | None,
    backbone: str | None,
    modality: str,
) -> ModelCardData:
    is_on_hub = backbone is not None and HUB_ID.fullmatch(backbone) and not backbone.startswith("torchvision/")
    dataset = re.search(r"(?:huggingface\.co|hf\.co)/datasets/([\w.-]+/[\w.-]+)", facts.source_url or "")
    return ModelCardData(
        model_name=repo_id.split("/")[-1],
        license=license,
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["image-aesthetics", "image-aesthetic-assessment", "photography", config.model_type, modality],
        base_model=backbone if is_on_hub and not Path(str(backbone)).exists() else None,
        datasets=[dataset[1]] if dataset else None,
        eval_results=[result for report in reports for result in _eval_results(report)] or None,
    )


def _modality(processor: Any) -> dict[str, Any]:
    """What the model sees, and who makes its map."""
    sees_picture, map_name = split_modality(processor.modality)
    row, network = MODALITIES[map_name or "rgb"], processor.extractor_checkpoint
    return {
        "sees_picture": sees_picture,
        "map": map_name,
        "meaning": row.meaning,
        "task": row.task,
        # a folder means nothing to others
        "network": Path(network).name if network and Path(network).is_dir() else network,
        "revision": processor.extractor_revision,
    }


def _eval_results(report: EvaluationReport) -> list[EvalResult]:
    return [
        EvalResult(
            task_type="image-classification",
            task_name="Image aesthetic assessment",
            dataset_type=report.dataset_name if _is_on_hub(report) else _slug(report.dataset_name),
            dataset_name=report.dataset_name,
            dataset_split=report.split,
            dataset_revision=report.dataset_revision if _is_on_hub(report) else None,
            metric_type=key,
            metric_name=_metric_name(name, report).rstrip(" ↑↓"),
            metric_value=value,
        )
        for key, (name, _) in METRIC_ROWS.items()
        if (value := report.metrics.get(key)) is not None
    ]


def _result(report: EvaluationReport, folder: str) -> dict[str, Any]:
    """A report as the words and numbers that a template shows."""
    constants = {"accuracy": report.metrics["majority_accuracy"], **(report.constant_metrics or {})}
    rows = []
    for key, (name, decimals) in METRIC_ROWS.items():
        if (value := report.metrics.get(key)) is None:
            continue
        low, high = report.intervals.get(key, (None, None))
        rows.append(
            {
                "name": _metric_name(name, report),
                "value": _number(value, decimals),
                "interval": f"{_number(low, decimals)} to {_number(high, decimals)}" if low is not None else "",
                "constant": _number(constants.get(key), decimals),
                "ceiling": _number(report.srcc_ceiling, decimals) if key == "srcc" else "",
            }
        )
    bands = [
        {
            "range": f"{band['low']:g} to {band['high']:g}",
            "num_images": f"{band['num_images']:,}",
            "bias": f"{band['bias']:+.2f}",
            "mae": f"{band['mae']:.2f}",
        }
        for band in report.score_bands
        if band["num_images"]
    ]
    return {
        "report": report,
        "folder": folder,
        "num_images": f"{report.num_images:,}",
        "metrics": rows,
        "bands": bands,
        "pit": ", ".join(f"{100 * share:.0f}" for share in report.pit) if report.pit else None,
        "software": ", ".join(f"{name} {version}" for name, version in report.versions.items()),
    }


def _metric_name(name: str, report: EvaluationReport) -> str:
    return name.format(cut=default_threshold(np.linspace(report.min_score, report.max_score, report.num_bins)))


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _score_quartiles(config: PreTrainedConfig) -> list[str] | None:
    """Scores below which a quarter, half and three quarters of the training pictures lie."""
    if config.score_quantiles is None:
        return None
    positions = np.linspace(0, 1, len(config.score_quantiles))
    return [f"{score:.2f}" for score in np.interp([0.25, 0.5, 0.75], positions, config.score_quantiles)]


def _count_parameters(model_dir: Path) -> str:
    total = 0
    for path in model_dir.glob("model*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            total += sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118
    return f"{total / 1e6:.1f} million" if total >= 1e6 else f"{total:,}"


def _is_on_hub(report: EvaluationReport) -> bool:
    return bool(HUB_ID.fullmatch(report.dataset_name) and COMMIT.fullmatch(report.dataset_revision))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "data"


def _link(url: str | None) -> str | None:
    return url if url is None or "://" in url else f"https://{url}"


def _table_cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
