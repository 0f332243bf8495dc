"""Training on series: what a batch holds, that it learns, and that runs can be killed and divided."""

import json
import re
import signal
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from forks import Forks
from launch import launch
from safetensors.torch import load_file
from tiny import (
    PROCESSOR,
    SCALE,
    TINY_RESNET,
    brightness_collection,
    rated_pictures,
    tiny_model,
    training_arguments,
)
from tiny_series import SERIES_PROCESSOR, TINY_TOWER, brightness_series, compared, tinted_series, tiny_fgaesq
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
)

from hf_aesthetics import FgaesqImageProcessor
from hf_aesthetics.data.pairs import ComparedPictures
from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.data.transforms import TrainingTransform
from hf_aesthetics.scoring import AestheticScorer
from hf_aesthetics.training import ModelArguments, build_scorer
from hf_aesthetics.training.__main__ import main
from hf_aesthetics.training.caption_embeddings import add_text_embeds
from hf_aesthetics.training.frozen_features import skip_frozen_stages
from hf_aesthetics.training.preparation import name_backbone
from hf_aesthetics.training.series_rows import NUM_ROWS, AlternatingBatches, SeriesRows, pack
from hf_aesthetics.training.series_training import measure_series, series_scores, train_on_series


LENGTHS = [3, 2, 4, 2, 5, 1, 3, 2]


@pytest.fixture(scope="module")
def rated() -> IndexedRows:
    rows = brightness_collection(11, 1, 1).splits["train"]
    return IndexedRows(rows, TrainingTransform(SERIES_PROCESSOR, SCALE.bin_scores.tolist()))


def series_rows(pairs: Dataset | None = None) -> SeriesRows:
    return SeriesRows(brightness_series(LENGTHS, "s"), SERIES_PROCESSOR, pairs)


# ---- batches ----


def test_an_epoch_has_each_series_whole_and_once():
    batches = AlternatingBatches(series_rows(), num_series_pictures=6)
    assert len(batches) == 4  # 21 pictures; one picture alone is no series
    for epoch in range(3):
        batches.set_epoch(epoch)
        steps = [batches.series_of_step(turn)[0] for turn in range(4)]
        assert sorted(sum(steps, [])) == list(range(7))
        assert sum(batches[turn][NUM_ROWS] for turn in range(4)) == 7
    batches.set_epoch(0)
    assert [batches.series_of_step(turn)[0] for turn in range(4)] != steps


def test_steps_of_both_kinds_take_turns_and_rated_pictures_go_on(rated):
    batches = AlternatingBatches(series_rows(), 6, rated, num_rated_pictures=4)
    assert len(batches) == 8
    seen = []
    for epoch in range(3):
        batches.set_epoch(epoch)
        for index in range(8):
            batch = batches[index]
            assert ("labels" in batch, "ranks" in batch) == (index % 2 == 0, index % 2 == 1)
            if "labels" in batch:
                seen += [tuple(row.tolist()) for row in batch["labels"]]
    labels = Counter(tuple(rated[row]["labels"].tolist()) for row in range(11))
    for start in range(0, 44, 11):  # 4, 4 and 3 rows a pass, whatever the epochs are
        assert Counter(seen[start : start + 11]) == labels


@pytest.mark.parametrize("num_parts", [2, 3])
def test_parts_of_a_step_are_the_step(rated, num_parts):
    whole = AlternatingBatches(series_rows(), 12, rated, 6)
    parts = AlternatingBatches(series_rows(), 12 // num_parts, rated, 6 // num_parts, num_parts)
    for step in range(len(whole)):
        mine = [parts[step * num_parts + part] for part in range(num_parts)]
        assert sum(part[NUM_ROWS] for part in mine) == whole[step][NUM_ROWS]
        rows = [part for part in mine if part[NUM_ROWS]]
        name = "labels" if step % 2 == 0 else "ranks"
        found = torch.cat([part[name] for part in rows])
        assert sorted(found.tolist()) == sorted(whole[step][name].tolist())


def test_a_part_without_rows_of_its_own_has_weight_zero():
    batches = AlternatingBatches(SeriesRows(brightness_series([4, 2], "s"), SERIES_PROCESSOR), 2, num_parts=4)
    counts = [batches[part][NUM_ROWS] for part in range(4)]
    assert sorted(counts) == [0, 0, 1, 1]
    assert all(len(batches[part]["ranks"]) >= 2 for part in range(4))


def test_work_is_dealt_evenly():
    work = np.random.default_rng(0).integers(2, 90, 100)
    loads = [work[each].sum() for each in pack(list(range(100)), work, 8)]
    assert sum(loads) == work.sum() and max(loads) - min(loads) <= 90


def test_what_is_drawn_follows_from_the_epoch():
    rows = SeriesRows(brightness_series([2], "s"), SERIES_PROCESSOR)
    draws = [rows.make_batch([0], epoch)["token_positions"] for epoch in (0, 0, *range(1, 9))]
    assert torch.equal(draws[0], draws[1])
    assert not all(torch.equal(draws[0], draw) for draw in draws[2:])
    assert torch.equal(rows.make_batch([0])["pixel_values"], rows.make_batch([0])["pixel_values"])


def test_comparisons_are_turned_as_the_pictures_stand():
    rows = series_rows()
    first, second, third = (rows.ids[row] for row in rows.members[rows.names[0]][:3])
    table = [
        {"image_a": second, "image_b": first, "preference": 0.75, "text_embeds": [1.0, -2.0]},
        {"image_a": first, "image_b": third, "preference": 0.5, "text_embeds": None},
        {"image_a": first, "image_b": third, "preference": 1.0, "text_embeds": [3.0, 4.0]},
        {"image_a": first, "image_b": "elsewhere", "preference": 1.0, "text_embeds": [9.0, 9.0]},
    ]
    batch = series_rows(Dataset.from_list(table)).make_batch([0])
    assert batch["preferences"][:2].tolist() == [0.25, 0.75] and batch["preferences"][2:].isnan().all()
    assert batch["text_embeds"][:2].tolist() == [[-1.0, 2.0], [3.0, 4.0]] and batch["text_embeds"][2:].isnan().all()


def test_comparisons_alone_are_series_of_two():
    pictures = brightness_series([3], "s").remove_columns(["series_id", "series_rank"])
    ids = pictures["image_id"][:]
    table = [{"image_a": ids[a], "image_b": ids[b], "preference": share} for a, b, share in [(2, 0, 0.2), (0, 1, 0.5)]]
    rows = SeriesRows(pictures, SERIES_PROCESSOR, Dataset.from_list(table))
    assert list(rows.members.values()) == [[2, 0], [0, 1]] and list(rows.ranks.values()) == [[1, 0], [0, 0]]
    batch = rows.make_batch([0, 1])
    assert batch["preferences"].tolist() == pytest.approx([0.2, 0.5])
    assert batch["pair_images"].tolist() == [[0, 1], [2, 3]] and batch["series"].tolist() == [0, 0, 1, 1]


def test_series_without_their_columns_are_refused():
    pictures = brightness_series([2, 2], "s")
    with pytest.raises(ValueError, match="Add series_rank"):
        SeriesRows(pictures.remove_columns(["series_rank"]), SERIES_PROCESSOR)
    with pytest.raises(ValueError, match="got none in 2 pictures"):
        SeriesRows(brightness_series([1, 1], "s"), SERIES_PROCESSOR)


# ---- losses ----


def test_a_step_of_one_kind_leaves_the_loss_of_the_other_alone(rated):
    batches = AlternatingBatches(series_rows(), 6, rated, 4)

    def losses(**fields) -> list[float]:
        model = tiny_fgaesq(**fields).eval()
        return [model(**{k: v for k, v in batches[step].items() if k != NUM_ROWS}).loss.item() for step in (0, 1)]

    plain, of_series, of_rated = losses(), losses(series_loss_weight=3), losses(emd_order=1)
    assert of_series[0] == plain[0] and of_series[1] == pytest.approx(3 * plain[1])
    assert of_rated[1] == plain[1] and of_rated[0] != plain[0]


def test_captions_become_vectors_of_a_tower_that_does_not_learn(tmp_path):
    words = {word: number for number, word in enumerate(["[UNK]", "[EOS]", "sharper", "brighter", "it", "is"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A [EOS]", special_tokens=[("[EOS]", 1)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="[EOS]", pad_token="[EOS]").save_pretrained(tmp_path)
    config = CLIPTextConfig(
        vocab_size=6, eos_token_id=1, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        projection_dim=8,
    )  # fmt: skip
    tower = CLIPTextModelWithProjection(config).eval()
    tower.save_pretrained(tmp_path)
    captions = ["it is sharper", None, "it is brighter"]
    rows = [{"image_a": "1", "image_b": "2", "preference": 1.0, "caption": caption} for caption in captions]
    pairs = add_text_embeds(Dataset.from_list(rows), str(tmp_path), size=8, batch_size=1)
    assert pairs[1]["text_embeds"] is None and pairs[0]["text_embeds"] != pairs[2]["text_embeds"]
    with torch.no_grad():
        expected = tower(torch.tensor([[4, 5, 2, 1]])).text_embeds[0]
    torch.testing.assert_close(torch.tensor(pairs[0]["text_embeds"]), expected, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="features of 12 numbers, .* got 8"):
        add_text_embeds(Dataset.from_list(rows), str(tmp_path), size=12)
    with pytest.raises(ValueError, match="'caption', got image_a, image_b, preference"):
        add_text_embeds(Dataset.from_list(rows).remove_columns("caption"), str(tmp_path))


# ---- runs ----


def test_a_run_learns_series_and_ratings_at_once(tmp_path):
    args = training_arguments(
        tmp_path / "fgaesq", max_steps=60, eval_steps=30, save_steps=30, series_batch_size=18, random_flip=False,
        crop_fraction=1.0, metric_for_best_model="pair_accuracy",
    )  # fmt: skip
    trainer = train_on_series(tiny_fgaesq(), SERIES_PROCESSOR, compared(), args, collection=brightness_collection())
    best = max(entry["eval_pair_accuracy"] for entry in trainer.state.log_history if "eval_srcc" in entry)
    assert best == trainer.state.best_metric >= 0.8
    validation = SeriesRows(compared().pictures["validation"], SERIES_PROCESSOR)
    assert measure_series(series_scores(trainer.model, validation), validation)["pair_accuracy"] == best
    assert max(entry.get("eval_srcc", -1) for entry in trainer.state.log_history) > 0.5


def test_a_model_of_single_pictures_learns_series_from_the_scores_it_gives(tmp_path):
    """Ratings follow brightness and say nothing of the tint that series are about."""
    splits = {split: tinted_series([3] * 8, split) for split in ("train", "validation")}
    series = ComparedPictures(DatasetDict(splits), DatasetDict())
    held = SeriesRows(splits["validation"], PROCESSOR)
    fields = {"max_steps": 60, "eval_steps": 60, "save_steps": 60, "series_batch_size": 24, "random_flip": False}
    collection, found = brightness_collection(), {}
    for weight in (0.0, 1.0):
        args = training_arguments(tmp_path / str(weight), metric_for_best_model="pair_accuracy", **fields)
        trainer = train_on_series(
            tiny_model(TINY_RESNET), PROCESSOR, series, args, collection=collection, series_loss_weight=weight
        )
        scores = series_scores(trainer.model, held)
        found[weight] = measure_series(scores, held)["pair_accuracy"], trainer.evaluate()["eval_srcc"]
    assert found[0.0][0] < 0.7 and found[1.0][0] > 0.9
    assert found[1.0][1] > 0.9


def test_what_frozen_stages_make_of_series_takes_their_place():
    rows = SeriesRows(tinted_series([2, 3], "s"), PROCESSOR)
    model = tiny_model(TINY_RESNET).eval()
    model.freeze_stages(1)
    torch.nn.init.normal_(model.score_head.dense.weight)
    expected = series_scores(model, rows)
    pictures = rows.make_batch([0])["pixel_values"]
    rows.record_features(model, batch_size=2)
    with skip_frozen_stages(model, pictures):
        found = series_scores(model, rows)
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=1e-5)


PROGRAM = """
import json, os, signal, sys
from tiny import *
from tiny_series import *
from transformers import TrainerCallback
from hf_aesthetics.training.series_training import train_on_series


class Kill(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **options):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


SCORERS = {
    "nima": (lambda dropout: tiny_model(TINY_VIT, head_dropout=dropout), PROCESSOR),
    "fgaesq": (lambda dropout: tiny_fgaesq(head_dropouts=[dropout]), SERIES_PROCESSOR),
}


def train(scorer, folder, step, fields):
    args = training_arguments(
        folder, eval_strategy="no", save_total_limit=None, load_best_model_at_end=False, logging_strategy="no",
        ema_decay=0.9, resume=True, **fields,
    )
    build, processor = SCORERS[scorer]
    collection = brightness_collection(29, 9, 5)
    model = build(fields.get("weight_decay", 0.0))
    trainer = train_on_series(model, processor, compared(), args, collection=collection, callbacks=[Kill(step)])
    if trainer.is_world_process_zero():
        trainer.model.save_pretrained(folder + "-end")
        json.dump(trainer.args.world_size, open(folder + "-end/processes.json", "w"))

"""


def test_a_killed_run_goes_on_bit_equal(tmp_path):
    """In the second epoch, whose order is another one; with dropout, accumulation and the average."""
    fields = {
        "max_steps": 9, "save_steps": 2, "gradient_accumulation_steps": 2, "series_batch_size": 3,
        "per_device_train_batch_size": 4, "weight_decay": 0.3,
    }  # fmt: skip
    with Forks(PROGRAM) as forks:
        runs = ("whole", -1, 0), ("killed", 7, -signal.SIGKILL), ("killed", -1, 0)
        for scorer, (name, step, expected) in product(("fgaesq", "nima"), runs):
            found = forks.run("train", scorer, str(tmp_path / f"{scorer}-{name}"), step, fields)
            assert found == expected, forks.log.read_text()[-3000:]
    for scorer in ("fgaesq", "nima"):
        files = [tmp_path / f"{scorer}-{name}-end" / "model.safetensors" for name in ("whole", "killed")]
        whole, killed = map(load_file, files)
        for name, value in whole.items():
            assert torch.equal(killed[name], value), (scorer, name)


def test_two_processes_end_like_one(tmp_path):
    """Series, and the 29 rated pictures, do not divide evenly."""

    fields = {"max_steps": 10, "save_strategy": "no", "crop_fraction": 1.0, "random_flip": False}
    sizes = [{"series_batch_size": size, "per_device_train_batch_size": size} for size in (8, 4)]
    program: dict = {}
    exec(PROGRAM, program)  # one process: this one
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = str(tmp_path), json.dumps(fields | sizes[1])
    of_both = "for scorer in SCORERS: train(scorer, f'{sys.argv[1]}/2-{scorer}', -1, json.loads(sys.argv[2]))"
    launch(launcher, PROGRAM + of_both, tmp_path / "together.py", *arguments)
    for scorer in program["SCORERS"]:
        program["train"](scorer, f"{tmp_path}/1-{scorer}", -1, fields | sizes[0])
        assert json.loads((tmp_path / f"2-{scorer}-end" / "processes.json").read_text()) == 2
        alone, together = (load_file(tmp_path / f"{n}-{scorer}-end" / "model.safetensors") for n in (1, 2))
        for name, value in alone.items():
            # without effect: softmax does not see the bias of keys, so its gradient is rounding
            if not name.endswith(("k_proj.bias", "key.bias")):
                torch.testing.assert_close(together[name], value, atol=1e-5, rtol=0, msg=name)


# ---- the program ----


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[str]:
    """Flags for a folder of rated pictures and one of ranked series."""
    rated, ranked = (tmp_path_factory.mktemp(name) for name in ("rated", "ranked"))
    lines = ["file_name,split," + ",".join(f"votes_{rating}" for rating in range(1, 6))]
    for split, count, seed in (("train", 12, 1), ("validation", 5, 2), ("test", 6, 3)):
        for row in rated_pictures(count, seed):
            row["image"].save(rated / f"{row['image_id']}.png")
            lines.append(f"{row['image_id']}.png,{split}," + ",".join(map(str, row["vote_counts"])))
    (rated / "ratings.csv").write_text("\n".join(lines))
    lines = ["file_name,series_id,series_rank,split"]
    for split, lengths in (("train", [3, 2, 2]), ("validation", [2, 2]), ("test", [3])):
        for row in brightness_series(lengths, split):
            row["image"].save(ranked / f"{row['image_id']}.png")
            lines.append(f"{row['image_id']}.png,{row['series_id']},{row['series_rank']},{split}")
    (ranked / "series.csv").write_text("\n".join(lines))
    return ["--dataset", "folder", "--data_dir", str(rated), "--series", "folder", "--series_dir", str(ranked)]


TINY = ["--model_type", "fgaesq", "--backbone", "tiny", "--image_size", "64", "--sequence_length", "8"]
TINY += ["--num_refined", "1"]
SHORT = ["--num_train_epochs", "1", "--series_batch_size", "4", "--use_cpu", "--disable_tqdm", "1"]


def test_one_command_learns_series_and_ratings(folders, tmp_path, capsys):
    cecs = ["--compositional_views", "0.5", "--similarity_loss_weight", "0.25"]
    main([*folders, *TINY, *SHORT, *cecs, "--output_dir", str(tmp_path / "fgaesq")])
    assert "series of the test: pair accuracy " in capsys.readouterr().out
    card = (tmp_path / "fgaesq" / "README.md").read_text()
    assert "| series | 3 of 7 pictures, about 4 a step" in card and "pair_accuracy = " in card
    assert "| tower | CLIP ViT-B/16 | 2 layers of 64, no pretrained weights recorded |" in card
    assert "; in 50% one has patches of a better one" in card and "), x 0.25 |" in card
    scorer = AestheticScorer.from_pretrained(tmp_path / "fgaesq", device="cpu")
    assert scorer.processor.num_refined == 1 and scorer.model.config.num_labels == 5
    records = scorer.score([row["image"] for row in rated_pictures(2, seed=9)])
    assert records[0]["score"] != records[1]["score"] and records[0]["percentile"] is not None


def test_the_whole_recipe_goes_with_series_of_the_rated_photographs(folders, tmp_path, capsys):
    torch.manual_seed(0)
    ResNetModel(ResNetConfig(**{k: v for k, v in TINY_RESNET.items() if k != "model_type"})).save_pretrained(
        tmp_path / "resnet"
    )
    PROCESSOR.save_pretrained(tmp_path / "resnet")
    recipe = ["--backbone", str(tmp_path / "resnet"), "--freeze_stages", "1", "--freeze_batch_norm", "--linear_probe"]
    recipe += ["--ema_decay", "0.9", "--loss", "mse", "--pooled_stages", "-2", "--series_loss", "bradley_terry"]
    main([*folders[:4], "--series", "edits", *recipe, *SHORT, "--output_dir", str(tmp_path / "nima")])
    assert "series of the test: pair accuracy " in capsys.readouterr().out
    card = (tmp_path / "nima" / "README.md").read_text()
    assert "| series | 48 of 144 pictures, about 4 a step" in card and "pair_accuracy = " in card
    assert "last layer fitted in closed form" in card and "squared error of the mean score" in card


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--linear_probe"], "A linear probe needs a model with one linear layer above its backbone"),
        (["--series_loss", "triplet"], "triplet"),
        (["--num_refined", "2"], "the 8 fine tokens of `num_refined` = 2 patches, got 8"),
        (["--backbone", "{resnet}"], "must be a CLIP.*or 'tiny' from nothing, got .*a 'resnet'"),
        (["--head_dropout", "0.5"], "`head_dropout` is no option of 'fgaesq', got 0.5"),
        (["--model_type", "handcrafted", "--num_refined", "1"], "`num_refined` is no option of 'handcrafted', got 1"),
        (["--text_tower", "{resnet}"], "'caption', got image_a, image_b"),
        (
            ["--model_type", "handcrafted", "--text_tower", "{resnet}"],
            "--text_tower does not go with --series of a 'h",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(flags, message, folders, tmp_path, capsys):
    ResNetConfig().save_pretrained(tmp_path / "resnet")
    flags = [flag.format(resnet=tmp_path / "resnet") for flag in flags]
    tiny = TINY if "--model_type" not in flags else [*TINY[4:6], "--series_loss_weight", "0.5"]
    with pytest.raises(SystemExit):
        main([*folders, *tiny, *SHORT, *flags, "--output_dir", str(tmp_path / "fgaesq")])
    assert re.search(message, capsys.readouterr().err)


def test_options_of_series_need_series(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--dataset", "synthetic", "--compositional_views", "0.5", "--output_dir", str(tmp_path / "nima")])
    assert "`compositional_views` says how series are learnt, got 0.5 and no series" in capsys.readouterr().err


def test_a_pretrained_clip_brings_its_tower_and_statistics(tmp_path):
    torch.manual_seed(0)
    CLIPVisionModelWithProjection(CLIPVisionConfig(**TINY_TOWER)).save_pretrained(tmp_path / "clip")
    CLIPImageProcessor(image_mean=[0.5] * 3).save_pretrained(tmp_path / "clip")
    arguments = ModelArguments(model_type="fgaesq", backbone=str(tmp_path / "clip"), align_loss_weight=2.0)
    model, processor = build_scorer(arguments, SCALE)
    assert (processor.patch_size, list(processor.image_mean)) == (16, [0.5] * 3)
    assert dict(processor.size) == dict(FgaesqImageProcessor().size)
    assert (model.config.align_loss_weight, model.config.num_labels) == (2.0, 5)
    assert name_backbone(arguments) == ("clip", None)
    assert name_backbone(ModelArguments(model_type="fgaesq")) == ("openai/clip-vit-base-patch16", None)
