"""What the frozen stages of a backbone make of the pictures, computed once, so that only the rest is run in training.

Knows nothing about where the pictures come from, losses, or how long is trained.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, default_data_collator

from ..data.training_rows import IndexedRows
from ..models.backbones import backbone_stages


class FrozenFeatureRows(torch.utils.data.Dataset):
    """
    Rows whose `pixel_values` are features of the frozen stages, for a model under [`skip_frozen_stages`].

    Epoch \\(e\\) sees view \\(e \\bmod V\\): with as many views as epochs, training is the same as on the pictures.

    Args:
        features (`torch.Tensor` of shape `(num_views, num_rows, ...)`):
            Input of the first free module, for every view of every row.
        labels (`Mapping[str, torch.Tensor]`):
            What a model is taught of the rows, by the names of its arguments: vote shares as `labels`, and others.
        indices (`Sequence[int]`, *optional*):
            The rows that count, in their order; all of them by default.
    """

    def __init__(
        self, features: torch.Tensor, labels: Mapping[str, torch.Tensor], indices: Sequence[int] | None = None
    ) -> None:
        self.features, self.labels = features, labels
        self.indices = range(features.shape[1]) if indices is None else indices
        # in shared memory, because the workers of a data loader outlive an epoch
        self.view = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = int(self.indices[index])
        labels = {name: values[row] for name, values in self.labels.items()}
        return {"pixel_values": self.features[int(self.view), row], **labels}

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, torch.Tensor]]:
        return [self[index] for index in indices]

    def set_epoch(self, epoch: int) -> None:
        """Turns to the view of an epoch."""
        self.view.fill_(epoch % len(self.features))

    def select(self, indices: Sequence[int]) -> Self:
        """Some of the rows; the features are shared."""
        return type(self)(self.features, self.labels, [int(self.indices[index]) for index in indices])


def record_frozen_features(
    model: PreTrainedModel, rows: IndexedRows, num_views: int = 1, batch_size: int = 32
) -> FrozenFeatureRows:
    """
    Runs the frozen stages over all rows, once for each view. They run in eval mode.

    Args:
        model (`PreTrainedModel`):
            A scorer after `model.freeze_stages(...)`.
        rows ([`IndexedRows`]):
            Pictures; what is random in their transform is drawn as in the epochs 0 to `num_views - 1`.
        num_views (`int`, *optional*, defaults to 1):
            How many views of each picture to keep; 1 for evaluation.
        batch_size (`int`, *optional*, defaults to 32):
            Pictures that go through the stages together.

    Returns:
        [`FrozenFeatureRows`], in memory. Behind the fifth stage of an EfficientNet-Lite0, for example, a view of a
        picture takes 86 KB.

    Raises:
        ValueError: If no stage is frozen, `num_views` is less than 1, or the model reads more than `pixel_values`.
    """
    if num_views < 1:
        raise ValueError(f"`num_views` must be at least 1, got {num_views}. Take one for each epoch.")
    loader = DataLoader(rows, batch_size, collate_fn=default_data_collator)
    features, labels = torch.empty(0), defaultdict(list)

    def read(view: int) -> Iterator[dict[str, torch.Tensor]]:
        for batch in loader:
            if view == 0:
                for name, values in labels_of(batch).items():
                    labels[name].append(values)
            yield batch

    for view in range(num_views):
        rows.set_epoch(view)
        position = 0
        for recorded in record_batches(model, read(view)):
            if not len(features):
                features = recorded.new_empty((num_views, len(rows), *recorded.shape[1:]))
            features[view, position : position + len(recorded)] = recorded
            position += len(recorded)
    return FrozenFeatureRows(features, {name: torch.cat(values) for name, values in labels.items()})


def record_batches(
    model: PreTrainedModel, batches: Iterable[Mapping[str, torch.Tensor]]
) -> Generator[torch.Tensor, None, None]:
    """
    What the frozen stages make of batches of pictures, in eval mode and on the CPU.

    Args:
        model (`PreTrainedModel`):
            A scorer after `model.freeze_stages(...)`.
        batches (`Iterable[Mapping[str, torch.Tensor]]`):
            `pixel_values`, and labels, which are not looked at.

    Raises:
        ValueError: If no stage is frozen, or there is more than `pixel_values` for the model to read.
    """
    cut = _first_free_module(model)
    with evaluating(model), torch.no_grad():
        for batch in batches:
            inputs = inputs_of(batch, model)
            if inputs.keys() != {"pixel_values"}:
                raise ValueError(
                    f"Frozen stages must read `pixel_values` alone, got {sorted(inputs)}. "
                    "Train without cached features."
                )
            yield input_of(cut, model, inputs).cpu()


@contextmanager
def skip_frozen_stages(model: PreTrainedModel, pictures: torch.Tensor) -> Generator[None]:
    """
    For a while, `pixel_values` of a model are what [`record_frozen_features`] recorded; its frozen stages do not run.

    The weights stay where they are: what is trained within is the whole model afterwards. No network needs to be known
    for it: of the first picture it is noted what every module returns before the first free one is reached. These
    modules then return just that without running, and the features take the place of what reaches the free one.

    Args:
        model (`PreTrainedModel`):
            A scorer after `model.freeze_stages(...)`.
        pictures (`torch.Tensor` of shape `(2, 3, height, width)`):
            Two different pictures as the processor prepares them, of the size that is trained on. The second proves
            that nothing but the features reaches the free stages.

    Raises:
        ValueError: If no stage is frozen, something before the first free stage is not, or the score depends on more
            than the features: with connections past whole stages, or `pooled_stages` before the last frozen one.

    Example:
        >>> from hf_aesthetics import NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny)).eval()
        >>> model.freeze_stages(1)
        >>> with skip_frozen_stages(model, torch.rand(2, 3, 32, 32)):
        ...     model(torch.rand(5, 8, 8, 8)).score.shape
        torch.Size([5])
    """
    cut, pictures = _first_free_module(model), pictures.to(model.device)
    with evaluating(model), torch.no_grad():
        expected = model(pictures[1:]).logits
        features = input_of(cut, model, {"pixel_values": pictures[1:]})
        returned = _returned_before(cut, model, pictures[:1])
    trainable = [name for name, module in model.named_modules() if module in returned and _is_trainable(module)]
    if trainable:
        raise ValueError(
            f"Everything before the first free stage must be frozen, but {trainable[0]!r} is not. "
            "Call model.freeze_stages(...) once more."
        )
    given: dict[str, torch.Tensor] = {}

    def take_features(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        given["features"] = args[0] if args else kwargs["pixel_values"]
        return (pictures[:1], *args[1:]), {name: value for name, value in kwargs.items() if name != "pixel_values"}

    def put_features(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        if args:
            return (given.pop("features"), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": given.pop("features")}

    handles = [
        model.register_forward_pre_hook(take_features, with_kwargs=True),
        cut.register_forward_pre_hook(put_features, with_kwargs=True),
    ]
    for module, value in returned.items():
        module.forward = _constant(value)
    try:
        with evaluating(model), torch.no_grad():
            difference = (model(features).logits - expected).abs().max().item()
        if not difference <= 1e-4 * max(1.0, expected.abs().max().item()):
            backbone = type(model.base_model).__name__
            raise ValueError(
                f"The free stages of {backbone} must read nothing but the features, but without the frozen ones the "
                f"logits of a picture differ by {difference:.3g}. Train without cached features."
            )
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in returned:
            del module.forward  # the instance's, which hides that of its class


def has_frozen_stages(model: PreTrainedModel) -> bool:
    """
    Whether what the first stages make of a picture stays the same in training. It does not while something before
    them is trained, such as the early fusion of a picture with a map.
    """
    return not next(model.parameters()).requires_grad


def _first_free_module(model: PreTrainedModel) -> nn.Module:
    """The first stage of the backbone with anything to train, or the head."""
    stages = backbone_stages(model.base_model)
    num_frozen = next((index for index, stage in enumerate(stages) if _is_trainable(stage)), len(stages))
    if num_frozen == 0:
        raise ValueError("At least one stage must be frozen, got 0. Call model.freeze_stages(...) before.")
    names, parts = zip(*model.named_children(), strict=True)
    place = parts.index(model.base_model)
    if any(_is_trainable(part) for part in parts[:place]):
        raise ValueError(
            f"Nothing before the backbone may be trained, but {', '.join(map(repr, names[:place]))} is. Train without "
            "cached features."
        )
    return stages[num_frozen] if num_frozen < len(stages) else parts[place + 1]


def _is_trainable(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


class _Reached(Exception):
    """Ends a forward pass where its rest is not needed."""


def inputs_of(batch: Mapping[str, torch.Tensor], model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """What a model reads of a batch: all but the labels, on its device."""
    return {name: values.to(model.device) for name, values in batch.items() if not name.endswith("labels")}


def labels_of(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a model is taught: `labels`, and others whose names end so."""
    return {name: values for name, values in batch.items() if name.endswith("labels")}


def input_of(cut: nn.Module, model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """What reaches a module of a model; what comes behind it does not run."""
    reached: list[torch.Tensor] = []

    def stop(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        reached.append(args[0] if args else kwargs["hidden_states"])
        raise _Reached

    handle = cut.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model(**inputs)
    except _Reached:
        pass
    finally:
        handle.remove()
    return reached[0]


def _returned_before(cut: nn.Module, model: PreTrainedModel, pixel_values: torch.Tensor) -> dict[nn.Module, Any]:
    """What the modules return that are done when `cut` is reached, are not called again, and have no such parent."""
    returned: dict[nn.Module, Any] = {}
    is_reached = False

    def begin(module: nn.Module, _args: tuple) -> None:
        nonlocal is_reached
        is_reached = is_reached or module is cut
        if is_reached:
            returned.pop(module, None)

    def end(module: nn.Module, _args: tuple, output: Any) -> None:
        if not is_reached:
            returned[module] = output

    handles = [module.register_forward_pre_hook(begin) for module in model.modules()]
    handles += [module.register_forward_hook(end) for module in model.modules()]
    try:
        model(pixel_values)
    finally:
        for handle in handles:
            handle.remove()
    inner = {child for module in returned for child in module.modules() if child is not module}
    return {module: value for module, value in returned.items() if module not in inner}


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *args, **kwargs: value


@contextmanager
def evaluating(model: nn.Module) -> Generator[None]:
    """Eval mode for a while."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
