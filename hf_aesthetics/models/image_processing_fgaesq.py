"""The image processor of FGAesQ: a picture, or pictures of a series beside each other, into tokens of two sizes.

A pure function of the pixels; knows nothing about networks, files or ranks.
"""

from collections.abc import Sequence
from copy import copy
from itertools import combinations
from typing import Any

import torch
from transformers import AutoConfig, AutoImageProcessor, BatchFeature
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_utils import (
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
    ImageInput,
    PILImageResampling,
    SizeDict,
)
from transformers.processing_utils import Unpack

from .diff_tokens import (
    DiffTokens,
    aligned_sizes,
    choose_patches,
    cut_patches,
    cut_tokens,
    fill_slots,
    fit_to_grid,
    lost_detail,
    pair_importance,
    picture_digest,
    seeded_numbers,
)
from .image_processing_modality import ModalityImageProcessor, ModalityImageProcessorKwargs


class FgaesqImageProcessorKwargs(ModalityImageProcessorKwargs, total=False):
    """
    patch_size (`int`):
        Pixels a side of what the network reads as one token.
    sequence_length (`int`):
        Slots of a sequence, that of the class token included.
    num_refined (`int`):
        Patches of a picture that are looked at closely.
    candidate_share (`float`):
        Share of the patches from which these are drawn.
    use_row_major_positions, use_patch_number_drop, use_flat_comparison, use_separate_draws (`bool`):
        Defects of the released code, to be measured.
    """

    patch_size: int
    sequence_length: int
    num_refined: int
    candidate_share: float | int
    use_row_major_positions: bool
    use_patch_number_drop: bool
    use_flat_comparison: bool
    use_separate_draws: bool


class FgaesqImageProcessor(ModalityImageProcessor):
    r"""
    DiffToken ([FGAesQ](https://huggingface.co/papers/2603.03907)): two pictures of a series are brought to one size
    and cut into patches of 32 x 32 pixels. Some of those in which they differ most stay as they are, as four fine
    tokens; of the others one coarse token each is seen, at half the resolution.

    What is drawn follows from the pixels of the two, in either order, or from an id that is given with them. Both
    pictures are looked at through the same windows, as far as both have them.

    A picture alone has no other to differ from. Then those patches are refined that lose most in a coarse token, by
    the same measure; nothing is drawn. That is our choice; the released code draws them at random.

    Args:
        size (`dict`, *optional*, defaults to `{"shortest_edge": 384, "longest_edge": 2048}`):
            Proportions are kept: longer sides are brought down to `longest_edge`, and pictures with fewer patches than
            slots are enlarged, to `shortest_edge` at least. With `height` and `width` pictures are squashed to that.
        patch_size (`int`, *optional*, defaults to 16):
            Pixels a side of a token.
        sequence_length (`int`, *optional*, defaults to 512):
            Slots of a sequence, that of the class token included. Where there are too many tokens, coarse ones are
            dropped at random.
        num_refined (`int`, *optional*, defaults to 14):
            Patches that are refined in each picture, whatever its size; 0 for coarse tokens alone.
        candidate_share (`float`, *optional*, defaults to 0.5):
            Share of the patches, the ones that differ most, from which these are drawn.
        use_row_major_positions (`bool`, *optional*, defaults to `False`):
            Defect of the released code: fine tokens come patch by patch, their positions row by row.
        use_patch_number_drop (`bool`, *optional*, defaults to `False`):
            Defect: of too many tokens those are kept whose place in the sequence is the number of a refined patch, so
            that fine ones are dropped.
        use_flat_comparison (`bool`, *optional*, defaults to `False`):
            Defect: pictures of different widths are compared across different columns.
        use_separate_draws (`bool`, *optional*, defaults to `False`):
            Defect: the two pictures of a pair are looked at through different windows.

    Raises:
        ValueError: If a field is out of its bounds, or `modality` is not `"rgb"`.

    Example:
        >>> from PIL import Image
        >>> processor = FgaesqImageProcessor()
        >>> inputs = processor(Image.new("RGB", (640, 480)), return_tensors="pt")
        >>> inputs.pixel_values.shape, inputs.token_positions.shape
        (torch.Size([1, 511, 3, 16, 16]), torch.Size([1, 511, 2]))
        >>> (inputs.token_scales == 1).sum().item()  # four fine tokens of each of 14 patches
        56
    """

    valid_kwargs = FgaesqImageProcessorKwargs
    model_input_names = ["pixel_values", "token_positions", "token_scales"]

    size = {"shortest_edge": 384, "longest_edge": 2048}
    resample = PILImageResampling.LANCZOS
    image_mean = OPENAI_CLIP_MEAN
    image_std = OPENAI_CLIP_STD
    patch_size = 16
    sequence_length = 512
    num_refined = 14
    candidate_share = 0.5
    use_row_major_positions = False
    use_patch_number_drop = False
    use_flat_comparison = False
    use_separate_draws = False

    def __init__(self, **kwargs: Unpack[FgaesqImageProcessorKwargs]) -> None:
        super().__init__(**kwargs)
        self._check_fields()

    def _check_fields(self) -> None:
        if self.modality != "rgb":
            raise ValueError(f"`modality` must be 'rgb', because the network reads pictures, got {self.modality!r}.")
        if not 0 < self.candidate_share <= 1:
            raise ValueError(f"`candidate_share` must be in (0, 1], got {self.candidate_share}.")
        if self.num_refined < 0 or self.sequence_length <= 4 * self.num_refined:
            raise ValueError(
                f"`sequence_length` must exceed the {4 * self.num_refined} fine tokens of `num_refined` = "
                f"{self.num_refined} patches, got {self.sequence_length}."
            )
        if self.patch_size < 4:  # the window of the similarity has 7 pixels
            raise ValueError(f"`patch_size` must be at least 4, got {self.patch_size}.")

    @classmethod
    def from_backbone_pretrained(cls, checkpoint: str, **kwargs) -> "FgaesqImageProcessor":
        """
        A processor with the statistics and the patches of a pretrained CLIP, but not its size.

        Args:
            checkpoint (`str`):
                Hub repository or local folder.
            **kwargs:
                Fields of [`FgaesqImageProcessor`], which win.
        """
        source, config = AutoImageProcessor.from_pretrained(checkpoint), AutoConfig.from_pretrained(checkpoint)
        fields = {name: list(getattr(source, name)) for name in ("image_mean", "image_std")}
        fields["patch_size"] = getattr(config, "vision_config", config).patch_size
        return cls(**{**fields, **kwargs})

    def __call__(
        self,
        images: ImageInput,
        partners: ImageInput | None = None,
        pair_ids: Sequence[str] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """
        Prepares pictures, each alone or beside another one.

        Args:
            images (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor`, path, or a list of these):
                Pictures; arrays are 8-bit or 16-bit integers, or floats in [0, 1].
            partners (the same types, *optional*):
                For each picture the one that it is compared with. Both are seen the same way if the call is repeated
                with the two exchanged; [`preprocess_series`] does so.
            pair_ids (`Sequence[str]`, *optional*):
                From which follows what is drawn for a pair, in place of its pixels.

        Returns:
            `BatchFeature` with `pixel_values`, a list of float32 tensors of shape
            `(sequence_length - 1, 3, patch_size, patch_size)`, `token_positions` of shape `(sequence_length - 1, 2)`,
            the centres of the tokens as shares of height and width, and `token_scales` of shape
            `(sequence_length - 1,)`: 0 coarse, 1 fine, -1 for a slot that is not used. Stacked with
            `return_tensors="pt"`.

        Raises:
            ValueError: If there is not one partner, or one id, for each picture.
        """
        return TorchvisionBackend.__call__(
            self, images, image_like_kwargs={"partners": partners, "pair_ids": pair_ids}, **kwargs
        )

    def preprocess_series(
        self, images: Sequence[Any], pair_ids: Sequence[str] | None = None, **kwargs
    ) -> BatchFeature:
        """
        Every picture of a series beside every other one.

        Args:
            images (`Sequence` of `PIL.Image.Image`, `np.ndarray`, `torch.Tensor` or path):
                The n pictures, at least 2.
            pair_ids (`Sequence[str]`, *optional*):
                One for each pair, in the order of `itertools.combinations`.

        Returns:
            `BatchFeature` as [`__call__`] makes it, of n (n - 1) rows, two a pair: the first picture beside the
            second, then the second beside the first. With `pair_images`, int64 of shape `(n (n - 1) / 2, 2)`: which
            pictures these are.

        Raises:
            ValueError: If there are fewer than 2 pictures, or not one id a pair.
        """
        if len(images) < 2:
            raise ValueError(f"A series needs at least 2 pictures, got {len(images)}.")
        pictures = self._prepare_image_like_inputs(list(images), do_convert_rgb=True, input_data_format=None)
        pairs = list(combinations(range(len(pictures)), 2))
        if pair_ids is not None and len(pair_ids) != len(pairs):
            raise ValueError(f"Every pair needs one id, got {len(pair_ids)} for {len(pairs)} pairs.")
        digests = [picture_digest(picture) for picture in pictures] if pair_ids is None else []
        tokens = []
        for number, (first, second) in enumerate(pairs):
            key = _pair_key(digests[first], digests[second]) if pair_ids is None else pair_ids[number]
            tokens += self.tokenize_pair(pictures[first], pictures[second], key)
        inputs = _as_inputs(tokens, kwargs.get("return_tensors", "pt"))
        return BatchFeature({**inputs, "pair_images": torch.tensor(pairs)})

    def refined_windows(self, first: Any, second: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Where two pictures beside each other are looked at closely: what [`preprocess_series`] refines of each.

        Args:
            first, second (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor` or path):
                The two, in either order.

        Returns:
            Of both, a float32 tensor of shape `(num_refined, 4)`: left, top, right and bottom of each window, as
            shares of the width and height of the picture.
        """
        pictures = self._prepare_image_like_inputs([first, second], do_convert_rgb=True, input_data_format=None)
        key = _pair_key(*map(picture_digest, pictures))
        windows = []
        sizes = self._resized_sizes(pictures, _side(key))
        for (patches, refined, _), (height, width) in zip(self._look(*pictures, key), sizes, strict=True):
            corner = torch.stack([refined % patches.shape[1], refined // patches.shape[1]], dim=1)
            pixels = 2 * self.patch_size * torch.cat([corner, corner + 1], dim=1)
            # what repeats the last row or column of the picture is no part of it
            windows.append((pixels / torch.tensor([width, height, width, height])).clamp(max=1))
        return windows[0], windows[1]

    def differentiable_inputs(self, images: torch.Tensor) -> BatchFeature:
        """
        What a call makes of pictures, with a gradient to their pixels.

        Args:
            images (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`):
                sRGB pictures in [0, 1].
        """
        return _as_inputs([self.tokenize_picture(image / self.rescale_factor) for image in images], "pt")

    def _preprocess_image_like_inputs(
        self, images: ImageInput, partners: ImageInput | None = None, pair_ids: Sequence[str] | None = None, **kwargs
    ) -> BatchFeature:
        settings = copy(self)
        for name in self.valid_kwargs.__annotations__.keys() & kwargs.keys():  # also those of this call alone
            setattr(settings, name, kwargs[name])
        settings._check_fields()
        pictures = self._prepare_image_like_inputs(images, **kwargs)
        if partners is None:
            return _as_inputs([settings.tokenize_picture(picture) for picture in pictures], kwargs["return_tensors"])
        others = self._prepare_image_like_inputs(partners, **kwargs)
        if len(others) != len(pictures) or (pair_ids is not None and len(pair_ids) != len(pictures)):
            given = len(others) if pair_ids is None else f"{len(others)} partners and {len(pair_ids)}"
            raise ValueError(f"Every picture needs one partner and one id, got {given} for {len(pictures)} pictures.")
        tokens = []
        for number, (picture, other) in enumerate(zip(pictures, others, strict=True)):
            key = pair_ids[number] if pair_ids else _pair_key(picture_digest(picture), picture_digest(other))
            tokens.append(settings.tokenize_pair(picture, other, key)[0])
        return _as_inputs(tokens, kwargs["return_tensors"])

    # ---- tokens ----

    def tokenize_picture(self, picture: torch.Tensor) -> DiffTokens:
        """The tokens of one picture alone, `(3, height, width)` with values to 255."""
        [patches] = self._resized_patches([picture], side=0)
        numbers = seeded_numbers(picture_digest(picture), *patches.shape[:2], 4)
        # nothing is drawn: all candidates are taken, the most important ones
        importance = lost_detail(patches.detach()).cpu()
        ties = torch.arange(importance.numel(), dtype=torch.float64).view(importance.shape)
        share = min(self.num_refined, self.candidate_share * importance.numel()) / importance.numel()
        refined = choose_patches(importance, ties, self.num_refined, share)
        return self._fill(patches, refined, numbers)

    def tokenize_pair(self, first: torch.Tensor, second: torch.Tensor, key: str) -> tuple[DiffTokens, DiffTokens]:
        """The tokens of two pictures beside each other, `(3, height, width)` uint8 each; `key` says what is drawn."""
        answer = [self._fill(patches, refined, drawn) for patches, refined, drawn in self._look(first, second, key)]
        return answer[0], answer[1]

    def _look(
        self, first: torch.Tensor, second: torch.Tensor, key: str
    ) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Of both pictures of a pair: their patches, which of them are refined, and the numbers of what is dropped."""
        both = self._resized_patches([first, second], _side(key))
        shape = [max(patches.shape[axis] for patches in both) for axis in (0, 1)]
        # for each patch: an importance where there is nothing to compare, the order of the draw, whether it is dropped
        numbers = [seeded_numbers(key, *shape, 6)] * 2
        seen = [patches.cpu() for patches in both]
        importance = pair_importance(*seen, numbers[0][..., 0], flat=self.use_flat_comparison)
        if self.use_separate_draws:
            numbers = [seeded_numbers(f"{key}/{name}", *shape, 6) for name in ("first", "second")]
        answer = []
        for patches, important, drawn in zip(both, importance, numbers, strict=True):
            drawn = drawn[: patches.shape[0], : patches.shape[1]]
            refined = choose_patches(important, drawn[..., 1], self.num_refined, self.candidate_share)
            answer.append((patches, refined, drawn[..., 2:]))
        return answer

    def _fill(self, patches: torch.Tensor, refined: torch.Tensor, numbers: torch.Tensor) -> DiffTokens:
        tokens = cut_tokens(patches, refined, self.use_row_major_positions)
        pixels = tokens.pixels
        if self.do_normalize:
            mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in (self.image_mean, self.image_std))
            pixels = (pixels - mean) / std
        tokens = DiffTokens(pixels, tokens.positions, tokens.scales)
        return fill_slots(tokens, self.sequence_length - 1, refined, numbers, self.use_patch_number_drop)

    def _resized_patches(self, pictures: list[torch.Tensor], side: int) -> list[torch.Tensor]:
        """Patches of twice the size of a token, `(rows, columns, 3, 2 patch_size, 2 patch_size)` in [0, 1]."""
        cell, answer = 2 * self.patch_size, []
        for picture, (height, width) in zip(pictures, self._resized_sizes(pictures, side), strict=True):
            if picture.shape[-2:] != (height, width):
                picture = self.resize(picture, SizeDict(height=height, width=width), resample=self.resample)
                picture = picture.clamp(0, 255)  # which interpolation of floats leaves
            answer.append(cut_patches(fit_to_grid(picture, cell), cell).float() * self.rescale_factor)
        return answer

    def _resized_sizes(self, pictures: list[torch.Tensor], side: int) -> list[tuple[int, int]]:
        size, sizes = self.size, [(picture.shape[-2], picture.shape[-1]) for picture in pictures]
        if not self.do_resize:
            return sizes
        if size.height and size.width:
            return [(size.height, size.width)] * len(pictures)
        edges = size.shortest_edge or 1, size.longest_edge or 2**31
        return aligned_sizes(sizes, self.patch_size, self.sequence_length, *edges, side=side)


def _side(key: str) -> int:
    """Whether the heights or the widths of a pair are brought together."""
    return int(seeded_numbers(f"{key}/side", 1).item() < 0.5)


def _pair_key(first: str, second: str) -> str:
    return "+".join(sorted([first, second]))


def _as_inputs(tokens: list[DiffTokens], tensor_type: Any) -> BatchFeature:
    fields = {"pixel_values": "pixels", "token_positions": "positions", "token_scales": "scales"}
    return BatchFeature(
        {name: [getattr(each, field) for each in tokens] for name, field in fields.items()}, tensor_type=tensor_type
    )


__all__ = ["FgaesqImageProcessor", "FgaesqImageProcessorKwargs"]
