"""Training: what a run learns, and the traps of the Trainer kept closed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from PIL import Image
from transformers import AutoModelForImageClassification, EvalPrediction, TrainerCallback, set_seed

from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
from hf_aesthetics.data.columns import DatasetFacts, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.evaluation import EvaluationReport
from hf_aesthetics.hub import check_checkpoint
from hf_aesthetics.training import (
    AestheticTrainingArguments,
    ModelArguments,
    build_scorer,
    finish_checkpoint,
    score_quantiles,
    train_scorer,
    validation_metrics,
)
from hf_aesthetics.training.__main__ import main
from hf_aesthetics.training.trainer import mean_score_loss


TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 32,
    "patch_size": 16,
}
TINY_RESNET = {
    "model_type": "resnet",
    "depths": [1, 1],
    "hidden_sizes": [8, 16],
    "embedding_size": 8,
    "layer_type": "basic",
}
SCALE = RatingScale(1, 5, 5)
PROCESSOR = ModalityImageProcessor(size={"height": 32, "width": 32})


def rated_pictures(count: int, seed: int) -> Dataset:
    """Plain pictures of random brightness, rated by it: bright is good."""
    generator = np.random.default_rng(seed)
    rows = []
    for index, light in enumerate(generator.uniform(0, 1, count)):
        pixels = np.clip(255 * light + generator.normal(0, 20, (40, 48, 3)), 0, 255).astype(np.uint8)
        votes = generator.multinomial(20, np.eye(5)[round(4 * light)] * 0.8 + 0.04)
        name = f"{seed}-{index}"
        rows.append({"image": Image.fromarray(pixels), "image_id": name, **vote_statistics(votes, SCALE, name)})
    return Dataset.from_list(rows, features=rating_features(5))


@pytest.fixture(scope="module")
def collection() -> RatedCollection:
    splits = {"train": rated_pictures(48, 1), "validation": rated_pictures(17, 2), "test": rated_pictures(19, 3)}
    return RatedCollection(
        "brightness", DatasetDict(splits), SCALE, DatasetFacts(name="brightness", license="CC0-1.0")
    )


def tiny_model(backbone: dict, **fields) -> NimaForAestheticAssessment:
    set_seed(0)
    config = NimaConfig(backbone_config=dict(backbone), max_score=5, num_labels=5, head_dropout=0.0, **fields)
    return NimaForAestheticAssessment(config)


def arguments(folder: Path, **fields) -> AestheticTrainingArguments:
    defaults = {
        "output_dir": str(folder),
        "max_steps": 6,
        "per_device_train_batch_size": 8,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 3,
        "save_steps": 3,
        "warmup_steps": 0,
        "learning_rate": 3e-3,
        "head_learning_rate": 1e-2,
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    return AestheticTrainingArguments(**{**defaults, **fields})


@pytest.fixture(scope="module")
def trained(collection, tmp_path_factory):
    """A short run that has really learnt to tell bright from dark."""
    model = tiny_model(TINY_VIT)
    args = arguments(tmp_path_factory.mktemp("run") / "nima", max_steps=40, eval_steps=10, save_steps=10)
    return train_scorer(model, PROCESSOR, collection, args)


def test_a_run_learns_and_ends_with_its_best_checkpoint(trained):
    history = [entry["eval_srcc"] for entry in trained.state.log_history if "eval_srcc" in entry]
    assert len(history) == 4 and max(history) > 0.9
    assert trained.evaluate()["eval_srcc"] == pytest.approx(max(history), abs=1e-6)


def test_backbone_and_head_have_their_own_learning_rates(collection, tmp_path):
    trainer = train_scorer(tiny_model(TINY_VIT), PROCESSOR, collection, arguments(tmp_path / "nima", max_steps=1))
    rates = {id(p): group["initial_lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    named = dict(trainer.model.named_parameters())
    assert len(rates) == len(named)
    assert {rates[id(p)] for n, p in named.items() if n.startswith("backbone.")} == {3e-3}
    assert {rates[id(p)] for n, p in named.items() if n.startswith("score_head.")} == {1e-2}


def test_accumulated_gradients_equal_the_large_batch(collection, tmp_path, monkeypatch):
    ends = {}
    for batch_size, steps in ((8, 1), (2, 4)):
        model = tiny_model(TINY_VIT)
        fields = {"max_steps": 2, "optim": "sgd", "max_grad_norm": 0.0, "eval_strategy": "no", "save_strategy": "no"}
        args = arguments(
            tmp_path / f"{batch_size}",
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=steps,
            load_best_model_at_end=False,
            **fields,
        )
        train_scorer(model, PROCESSOR, collection, args)
        ends[batch_size] = {name: value.clone() for name, value in model.state_dict().items()}
    untrained = tiny_model(TINY_VIT).state_dict()
    assert any(not torch.equal(ends[8][name], untrained[name]) for name in untrained)
    for name, value in ends[8].items():
        torch.testing.assert_close(ends[2][name], value, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("backbone", [TINY_VIT, TINY_RESNET], ids=["vit", "resnet"])
def test_resuming_restores_every_weight(backbone, collection, tmp_path):
    # a ViT's names differ on disk and in memory: the Trainer alone would leave its backbone as it is, with a warning
    model = tiny_model(backbone)
    args = arguments(tmp_path / "nima", max_steps=3, load_best_model_at_end=False)
    train_scorer(model, PROCESSOR, collection, args)
    resumed, at_start = tiny_model(backbone), {}
    with torch.no_grad():
        for value in resumed.state_dict().values():
            value.zero_()  # whatever resuming does not restore stays visibly wrong

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, model, **kwargs):
            at_start.update(
                {name: value.clone() for name, value in model.state_dict().items()}, step=state.global_step
            )

    args = arguments(tmp_path / "nima", max_steps=6, load_best_model_at_end=False, resume=True)
    train_scorer(resumed, PROCESSOR, collection, args, callbacks=[Watch()])
    assert at_start.pop("step") == 3
    for name, value in model.state_dict().items():
        assert torch.equal(at_start[name], value), name


def test_bfloat16_autocast_trains(collection, tmp_path):
    args = arguments(tmp_path / "nima", bf16=True, max_steps=40, eval_steps=20, save_steps=20)
    trainer = train_scorer(tiny_model(TINY_VIT), PROCESSOR, collection, args)
    assert trainer.model.dtype == torch.float32 and trainer.evaluate()["eval_srcc"] > 0.8


def test_a_run_without_progress_stops_early(collection, tmp_path):
    fields = {"max_steps": 30, "eval_steps": 1, "save_steps": 1, "learning_rate": 0.0, "head_learning_rate": 0.0}
    args = arguments(tmp_path / "nima", early_stopping_patience=2, **fields)
    trainer = train_scorer(tiny_model(TINY_VIT), PROCESSOR, collection, args)
    assert trainer.state.global_step == 3  # the first is the best so far, two more are not better


def test_mean_only_data_train_by_histogram_and_by_squared_error(collection, tmp_path):
    def forget_votes(split: Dataset) -> Dataset:
        rows = split.remove_columns(["vote_counts", "score_std", "num_votes"]).to_list()
        images = split["image"]
        return Dataset.from_list(
            [
                {**row, "image": image, "vote_counts": None, "score_std": None, "num_votes": None}
                for row, image in zip(rows, images, strict=True)
            ],
            features=rating_features(5),
        )

    splits = DatasetDict({name: forget_votes(split) for name, split in collection.splits.items()})
    means = RatedCollection("means", splits, SCALE, collection.facts)
    assert means.constant_distribution is None
    for loss in ("emd", "mse"):
        args = arguments(tmp_path / loss, max_steps=80, eval_steps=20, save_steps=20)
        trainer = train_scorer(tiny_model(TINY_VIT), PROCESSOR, means, args, loss=loss)
        assert trainer.evaluate()["eval_plcc"] > 0.7, loss


def test_squared_error_leaves_the_spread_alone():
    # two histograms with one mean and different spreads are the same to it
    logits = torch.log(torch.tensor([[0.25, 0.0, 0.5, 0.0, 0.25]]) + 1e-12)
    labels = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])
    bins = torch.arange(1.0, 6.0)
    assert mean_score_loss({"logits": logits}, labels, bins=bins).item() == pytest.approx(0, abs=1e-9)
    assert mean_score_loss({"logits": logits}, labels.roll(1), bins=bins).item() == pytest.approx(1 / 16, abs=1e-6)


def test_validation_metrics_take_logits_as_they_are():
    generator = np.random.default_rng(0)
    logits, votes = generator.normal(size=(30, 5)), generator.dirichlet(np.ones(5), size=30).astype(np.float32)
    metrics = validation_metrics(EvalPrediction(logits, votes), SCALE.bin_scores)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = np.abs((shares @ SCALE.bin_scores) - (votes @ SCALE.bin_scores))
    assert metrics["mae"] == pytest.approx(error.mean(), abs=1e-6)
    assert validation_metrics(EvalPrediction(logits + 700, votes), SCALE.bin_scores) == pytest.approx(metrics)


def test_finished_checkpoint_is_whole_and_its_percentiles_are_its_own(trained, collection, tmp_path):
    folder = tmp_path / "nima-brightness"
    report = finish_checkpoint(trained.model, PROCESSOR, collection, folder, training={"epochs": 1})
    check_checkpoint(folder)
    assert report.num_images == 19 and report.metrics["srcc"] > 0.8
    assert EvaluationReport.load(folder / "evaluation") == report
    loaded = AutoModelForImageClassification.from_pretrained(folder).eval()
    pictures = [image.convert("RGB") for image in collection.splits["train"]["image"]]
    with torch.no_grad():
        scores = loaded(**PROCESSOR(pictures, return_tensors="pt")).score.numpy()
    quantiles = loaded.config.score_quantiles
    assert len(quantiles) == 101
    np.testing.assert_allclose(
        [quantiles[0], quantiles[50], quantiles[-1]], np.quantile(scores, [0, 0.5, 1]), atol=1e-4
    )


def test_quantiles_of_a_large_collection_come_from_a_part(trained, collection):
    from hf_aesthetics.scoring import AestheticScorer

    scorer = AestheticScorer(trained.model, PROCESSOR, name="tiny")
    few = score_quantiles(scorer, collection.splits["train"], max_pictures=10)
    assert len(few) == 101 and few == sorted(few)


# ---- the program ----


@pytest.fixture
def rated_folder(tmp_path) -> Path:
    """A user's own folder: pictures and a table of votes on 1 to 5."""
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = ["file_name,votes_1,votes_2,votes_3,votes_4,votes_5,split"]
    for split, count, seed in (("train", 16, 1), ("validation", 5, 2), ("test", 6, 3)):
        for row in rated_pictures(count, seed):
            row["image"].save(folder / f"{row['image_id']}.png")
            lines.append(f"{row['image_id']}.png,{','.join(map(str, row['vote_counts']))},{split}")
    (folder / "ratings.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def tiny_backbone(tmp_path) -> Path:
    folder = tmp_path / "backbone"
    tiny_model(TINY_VIT).backbone.save_pretrained(folder)
    ModalityImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.5] * 3).save_pretrained(folder)
    return folder


def test_program_trains_on_a_users_folder(rated_folder, tiny_backbone, tmp_path, capsys):
    output = tmp_path / "outputs" / "nima-mine"
    flags = ["--dataset", "folder", "--data-dir", str(rated_folder), "--backbone", str(tiny_backbone)]
    flags += ["--output_dir", str(output), "--num_train_epochs", "1", "--freeze_stages", "-1", "--view", "crop"]
    flags += ["--per_device_train_batch_size", "8", "--use_cpu", "--license", "cc-by-4.0", "--modality", "gray"]
    main(flags)
    check_checkpoint(output)
    printed = capsys.readouterr().out
    assert "mine, test, 6 pictures" in printed and str(output) in printed
    saved = json.loads((output / "preprocessor_config.json").read_text())
    assert (saved["modality"], saved["view"], saved["image_mean"]) == ("gray", "crop", [0.5, 0.5, 0.5])
    card = (output / "README.md").read_text()
    assert "cc-by-4.0" in card and "1 to 5" in card
    report = EvaluationReport.load(output / "evaluation")
    assert "--view crop" in report.command and report.num_images == 6


def test_accelerate_launches_the_installed_module(rated_folder, tiny_backbone, tmp_path):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    command += ["-m", "hf_aesthetics.training", "--dataset", "folder", "--data_dir", str(rated_folder), "--use_cpu"]
    command += ["--backbone", str(tiny_backbone), "--output_dir", "nima", "--max_steps", "2", "--eval_strategy", "no"]
    command += ["--save_strategy", "no", "--load_best_model_at_end", "False"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-2000:]
    check_checkpoint(tmp_path / "nima")
    assert "mine, test, 6 pictures" in result.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "oasis"], "needs the folder of its pictures"),
        (["--dataset", "oasys"], "one of folder, oasis, synthetic or a Hub repository.*'oasys'"),
        (
            ["--dataset", "folder", "--data_dir", "{mine}", "--min_score", "1"],
            "--min_score, --max_score and --num_bins",
        ),
        (["--dataset", "folder", "--data_dir", "{mine}", "--modality", "bluur", "--backbone", "{vit}"], "'bluur'"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--model_type", "nimma", "--backbone", "{vit}"], "'nimma'"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--backbone", "{vit}", "--freeze_stages", "9"], "got 9"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--backbone", "no/such-network"], "no/such-network"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--epoch", "3"], "--epoch"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--output_dir", "{mine}"], "also holds.*another folder"),
    ],
)
def test_program_refuses_nonsense_in_one_line(flags, message, rated_folder, tiny_backbone, tmp_path, capsys):
    flags = [flag.format(mine=rated_folder, vit=tiny_backbone) for flag in flags]
    with pytest.raises(SystemExit) as stopped:
        main(["--output_dir", str(tmp_path / "nima"), "--use_cpu", *flags])
    assert stopped.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line


def test_an_earlier_checkpoint_goes_on_with_its_own_scale_and_view(tiny_checkpoint, tmp_path):
    model, processor = build_scorer(ModelArguments(backbone=str(tiny_checkpoint)), RatingScale(1, 10, 10))
    assert model.config.score_quantiles is not None and dict(processor.size) == {"height": 32, "width": 32}
    processor.view, processor.modality = "crop", "gray"
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    scale = RatingScale(1, 10, 10)
    model, processor = build_scorer(ModelArguments(backbone=str(tmp_path), mean_loss_weight=1.0), scale)
    assert (processor.view, processor.modality, model.config.mean_loss_weight) == ("crop", "gray", 1.0)
    _, processor = build_scorer(ModelArguments(backbone=str(tmp_path), view="squash"), scale)
    assert (processor.view, processor.modality) == ("squash", "gray")
    with pytest.raises(ValueError, match="scale 1..10 in 10 bins, but the data set has 1..5 in 5 bins"):
        build_scorer(ModelArguments(backbone=str(tiny_checkpoint)), SCALE)


def test_frozen_batch_norms_stay_frozen_in_the_free_stages(tmp_path):
    tiny_model(TINY_RESNET).backbone.save_pretrained(tmp_path)
    PROCESSOR.save_pretrained(tmp_path)
    model, _ = build_scorer(ModelArguments(backbone=str(tmp_path), freeze_stages=1, freeze_batch_norm=True), SCALE)
    model.train()
    norms = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert norms and not any(m.training or m.weight.requires_grad for m in norms.values())
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert {n for n, m in convolutions.items() if m.weight.requires_grad} == {
        n for n in convolutions if ".stages.1." in n
    }


TWO_PROCESSES = """
import json, sys
sys.path.insert(0, {tests!r})
import conftest
from test_training import *
splits = {{"train": rated_pictures(16, 1), "validation": rated_pictures(13, 2)}}
collection = RatedCollection("b", DatasetDict(splits), SCALE, DatasetFacts(name="b", license="CC0-1.0"))
args = arguments({folder!r}, max_steps=1, per_device_train_batch_size=4, per_device_eval_batch_size=4,
                 eval_strategy="no", save_strategy="no", load_best_model_at_end=False, learning_rate=0.0,
                 head_learning_rate=0.0)
trainer = train_scorer(tiny_model(TINY_VIT), PROCESSOR, collection, args)
metrics = trainer.evaluate()
if trainer.is_world_process_zero():
    json.dump({{**metrics, "world": trainer.args.world_size}}, open({output!r}, "w"))
"""


def test_two_processes_count_every_row_once(tmp_path):
    measured = []
    for processes in (1, 2):
        output, program = tmp_path / f"{processes}.json", tmp_path / f"{processes}.py"
        program.write_text(
            TWO_PROCESSES.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "run"), output=str(output))
        )
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        result = subprocess.run([*command, str(program)], capture_output=True, text=True, timeout=240)
        assert result.returncode == 0, result.stderr[-2000:]
        measured.append(json.loads(output.read_text()))
    alone, together = measured
    assert (alone["world"], together["world"]) == (1, 2)
    assert together["eval_num_images"] == alone["eval_num_images"] == 13
    for name in ("eval_srcc", "eval_plcc", "eval_emd", "eval_mae"):
        assert together[name] == pytest.approx(alone[name], abs=1e-6), name
