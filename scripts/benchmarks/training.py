"""Steps of training, beside a loop of plain PyTorch that does the same work.

    python scripts/benchmark.py training --output results.json

A step of the Trainer reads its pictures, cuts and mirrors them at random, and lowers the earth mover's distance. The
plain loop does so with PIL, torchvision and torch alone: the same batches in the same order, the same network in the
same layout, the same optimiser, course of the learning rate and clipping. Neither has seconds counted for its start.
"""

import argparse
import io
import random
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from torchvision.transforms.v2 import functional as tvF
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback, get_scheduler

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.data.columns import RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.training_rows import transform_rows
from hf_aesthetics.training import AestheticTrainingArguments
from hf_aesthetics.training.trainer import make_trainer, row_transforms

from .findings import Finding, Report
from .networks import BACKBONES, TITLES, build_scorer
from .pictures import read_contents, render_photographs
from .rounds import Clock, Span, ratios, take_turns


SCALE = RatingScale(1, 10, 10)
AT_MOST = 1.03
WARM_UP = 1  # steps that do not count


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--networks", nargs="+", choices=BACKBONES, default=["mobilenet_v2"])
    command.add_argument("--batch_size", type=int, default=16)
    command.add_argument("--num_steps", type=int, default=6, help="of a turn")
    command.set_defaults(num_pictures=32)


def run(args: argparse.Namespace) -> Report:
    report = Report("training", facts={"batch size": args.batch_size, "steps": args.num_steps})
    given = read_contents(args.data_dir, args.num_pictures) if args.data_dir else None
    contents = given or list(render_photographs(args.num_pictures, seed=7))
    rows = rated_rows(contents, args.batch_size * (args.num_steps + WARM_UP))
    with tempfile.TemporaryDirectory() as folder:
        options = training_arguments(Path(folder), args.batch_size)
        for name in args.networks:
            model, processor = build_scorer(name)
            parts = {
                "trainer": lambda m=model, p=processor: trainer_steps(deepcopy(m), p, rows, options),
                "plain loop": lambda m=model, p=processor: plain_steps(deepcopy(m), p, rows, options),
            }
            rounds = report.rounds[name] = take_turns(parts, args.repeats)
            what = f"{TITLES[name]}: a step of training over plain PyTorch"
            report.findings.append(Finding(what, ratios(rounds, ["trainer"], ["plain loop"]), at_most=AT_MOST))
    return report


def training_arguments(folder: Path, batch_size: int, **options: Any) -> AestheticTrainingArguments:
    """One epoch in the order of the rows, with nothing between the steps."""
    quiet = {"eval_strategy": "no", "save_strategy": "no", "logging_strategy": "no", "load_best_model_at_end": False}
    quiet |= {"report_to": "none", "disable_tqdm": True, "use_cpu": not torch.cuda.is_available()}
    return AestheticTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch_size,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        **{**quiet, **options},
    )


def rated_rows(contents: Sequence[bytes], num_rows: int) -> Dataset:
    """Pictures with votes, as every collection has them."""
    generator = np.random.default_rng(0)
    rows = []
    for number, content in enumerate(islice(cycle(contents), num_rows)):
        votes = generator.multinomial(200, generator.dirichlet(np.ones(SCALE.num_bins)))
        row = {"image": {"bytes": content, "path": None}, "image_id": str(number)}
        rows.append(row | vote_statistics(votes, SCALE, str(number)))
    return Dataset.from_list(rows, features=rating_features(SCALE.num_bins))


def trainer_steps(
    model: PreTrainedModel, processor: ModalityImageProcessor, rows: Dataset, args: AestheticTrainingArguments
) -> Span:
    """The Trainer of this package over the rows."""
    training, evaluation = row_transforms(model, processor, SCALE, args)
    model = model.to(memory_format=torch.channels_last)
    watch = _Watch()
    read = transform_rows(rows, training), transform_rows(rows, evaluation)
    trainer = make_trainer(model, *read, SCALE.bin_scores, args, callbacks=[watch])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return Span(watch.start, watch.end)


class _Watch(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        if state.global_step == WARM_UP:
            self.start = now()
        if state.global_step == state.max_steps:
            self.end = now()


def now() -> Clock:
    """The clock, when a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Clock.read()


def plain_steps(
    model: PreTrainedModel, processor: ModalityImageProcessor, rows: Dataset, args: AestheticTrainingArguments
) -> Span:
    """The same in plain PyTorch."""
    model = model.to(args.device, memory_format=torch.channels_last).train()
    pictures = PlainPictures(rows, processor, args.crop_fraction, args.random_flip)
    loader = torch.utils.data.DataLoader(
        pictures, args.per_device_train_batch_size, num_workers=args.dataloader_num_workers
    )
    backbone = list(model.base_model.parameters())
    inside = {id(parameter) for parameter in backbone}
    head = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    groups = [{"params": backbone, "lr": args.learning_rate}, {"params": head, "lr": args.head_learning_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=args.weight_decay, fused=True)
    num_steps = len(loader)
    schedule = get_scheduler(args.lr_scheduler_type, optimizer, args.get_warmup_steps(num_steps), num_steps)
    start = now()
    for step, (pixel_values, labels) in enumerate(loader, start=1):
        with torch.autocast(args.device.type, torch.bfloat16, enabled=args.bf16):
            loss = model(pixel_values=pixel_values.to(args.device), labels=labels.to(args.device)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step == WARM_UP:
            start = now()
    return Span(start, now())


class PlainPictures(torch.utils.data.Dataset):
    """Pictures from their bytes, a random part of each, with PIL and torchvision."""

    def __init__(self, rows: Dataset, processor: ModalityImageProcessor, crop_fraction: float, do_flip: bool) -> None:
        table = rows.with_format("arrow")[:]
        self.contents = [cell["bytes"] for cell in table["image"].to_pylist()]
        votes = torch.tensor(table["vote_counts"].to_pylist(), dtype=torch.float32)
        self.labels = votes / votes.sum(dim=1, keepdim=True)
        self.size = [processor.size["height"], processor.size["width"]]
        self.mean, self.std = list(processor.image_mean), list(processor.image_std)
        self.crop_fraction, self.do_flip, self.random = crop_fraction, do_flip, random.Random(0)

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        picture = Image.open(io.BytesIO(self.contents[index])).convert("RGB")
        width, height = (round(self.crop_fraction * side) for side in picture.size)
        left = round(self.random.random() * (picture.width - width))
        top = round(self.random.random() * (picture.height - height))
        pixels = tvF.pil_to_tensor(picture.crop((left, top, left + width, top + height)))
        if self.do_flip and self.random.random() < 0.5:
            pixels = tvF.horizontal_flip(pixels)
        pixels = tvF.to_dtype(tvF.resize(pixels, self.size, antialias=True), torch.float32, scale=True)
        return tvF.normalize(pixels, self.mean, self.std), self.labels[index]
