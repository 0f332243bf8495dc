"""A study as a program: the models of all modalities on a rated collection, and the report of what they explain.

    python -m hf_aesthetics.study --dataset oasis --data_dir PATH --groups theme --backbone efficientnet_lite0 \\
        --modalities rgb gray constant saliency saliency_u2net blur blur_laplacian depth \\
        --extractors depth=PATH saliency_u2net=PATH --num_train_epochs 3 --output_dir outputs/study

All flags of `scripts/cross_validate.py` are there, but for the freezing depth, which is chosen among `--depths`. What
is finished is not done again: a study that was stopped goes on by the same command. An error is one line; with
HF_AESTHETICS_TRACEBACK=1 in the environment it is the whole traceback.
"""

import sys
from pathlib import Path

from transformers import HfArgumentParser

from ..analysis.findings import load_findings
from ..training import AestheticTrainingArguments, DataArguments, ModelArguments
from ..training.arguments import portable_command
from ..training.cross_validation import PREDICTIONS_FILE, FoldArguments
from ..training.program_errors import errors_in_one_line
from .analyse import find_all
from .arguments import StudyArguments
from .degradations import DEGRADATIONS, degrade
from .modality_models import StudiedModality, load_modality, read_modality, train_modality
from .summary import describe_method, findings_table
from .write_up import write_study


def main(argv: list[str] | None = None) -> None:
    """The program: makes maps, trains, and leaves `report.html` and `findings.json` in `--output_dir`."""
    parser = HfArgumentParser(
        (DataArguments, ModelArguments, FoldArguments, StudyArguments, AestheticTrainingArguments),
        prog="python -m hf_aesthetics.study",
        description="Trains models of all modalities on a rated collection and reports what they explain.",
    )
    with errors_in_one_line():
        data_args, model_args, fold_args, study_args, args = parser.parse_args_into_dataclasses(args=argv)
        command = portable_command(sys.argv[1:] if argv is None else argv, "python -m hf_aesthetics.study")
        _run(data_args, model_args, fold_args, study_args, args, command)


def _run(
    data_args: DataArguments,
    model_args: ModelArguments,
    fold_args: FoldArguments,
    study_args: StudyArguments,
    args: AestheticTrainingArguments,
    command: str,
) -> None:
    _check(data_args, model_args, fold_args, args)
    beside = [load_findings(path) for path in study_args.beside]  # not after hours of training
    output_dir = Path(args.output_dir)
    studied = _load(data_args, model_args, study_args, output_dir)
    collection = studied[0].collection.name
    if collection in [other.collection for other in beside]:
        raise ValueError(f"--beside must be findings of other collections than {collection!r}. Leave these out.")
    found = {}
    for number, each in enumerate(studied, start=1):
        if study_args.report_only:
            found[each.name] = read_modality(output_dir / each.name)
            continue
        print(f"models {number} of {len(studied)}: {each.name}, {each.source}", flush=True)
        from_rgb = study_args.initialise == "rgb"
        found[each.name] = train_modality(
            each,
            fold_args,
            args,
            study_args.depths,
            start=output_dir / "rgb" if from_rgb and each.name != "rgb" else None,
            keep_weights=from_rgb and each.name == "rgb",
        )
    print("what they say", flush=True)
    findings = find_all(
        studied,
        {name: predictions for name, (predictions, _) in found.items()},
        describe_method(
            studied,
            {name: choice for name, (_, choice) in found.items()},
            fold_args,
            args,
            study_args.initialise,
            command,
        ),
        fold_args.reliability,
    )
    report = write_study(output_dir, findings, studied, beside)
    print(f"{findings_table(findings)}\n\nreport: {report}")


def _load(
    data_args: DataArguments, model_args: ModelArguments, study_args: StudyArguments, output_dir: Path
) -> list[StudiedModality]:
    def is_wanted(name: str) -> bool:
        return not study_args.report_only or (output_dir / name / PREDICTIONS_FILE).is_file()

    names = [name for name in study_args.modalities if is_wanted(name)]
    if not names:
        raise ValueError(f"Expected finished modalities in {output_dir}, found none. Leave --report_only out.")
    studied = []
    for number, name in enumerate(names, start=1):
        print(f"maps {number} of {len(names)}: {name}", flush=True)
        studied.append(load_modality(data_args, model_args, name, study_args.networks))
        if name in study_args.degrade:
            worse = [degrade(studied[-1], degradation) for degradation in DEGRADATIONS]
            studied += [each for each in worse if is_wanted(each.name)]
    return studied


def _check(
    data_args: DataArguments, model_args: ModelArguments, fold_args: FoldArguments, args: AestheticTrainingArguments
) -> None:
    if data_args.streaming:
        raise ValueError("A study reads its pictures many times, so they cannot be streamed. Leave --streaming out.")
    for name, instead in (("modality", "modalities"), ("extractor", "extractors")):
        if getattr(model_args, name) is not None:
            raise ValueError(
                f"A study has several modalities, got --{name} {getattr(model_args, name)}. Pass --{instead}."
            )
    if model_args.freeze_stages != 0:
        raise ValueError(
            f"A study chooses the freezing depth of each modality, got --freeze_stages {model_args.freeze_stages}. "
            f"Pass --depths {model_args.freeze_stages} for this one alone."
        )
    if fold_args.compare_with:
        raise ValueError("A study compares modalities, not recipes. Leave --compare_with out, or pass --beside.")
    if args.push_to_hub:
        raise ValueError("A study publishes nothing. Leave --push_to_hub out.")


if __name__ == "__main__":
    main()
