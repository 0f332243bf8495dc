"""Pictures to measure with, as the files that they are. Knows nothing about what is done with them."""

import io
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hf_aesthetics.data.rendering.stream import render_rows
from hf_aesthetics.images import find_images


SHAPES = ((3, 2), (4, 3), (16, 9), (1, 1), (2, 3), (3, 4))
MEGAPIXELS = (1.0, 2.0)


def read_contents(data_dir: str | None, num_pictures: int) -> list[bytes]:
    """Files as they lie on disk; rendered scenes without a folder."""
    if data_dir is None:
        return [row["image"] for row in render_rows(range(num_pictures), with_maps=False)]
    contents = [path.read_bytes() for path in islice(find_images(data_dir), num_pictures)]
    if not contents:
        sys.exit(f"error: Expected pictures in {data_dir!r}, found none.")
    return contents


def write_photographs(folder: Path, num_pictures: int, data_dir: str | None = None, seed: int = 7) -> list[Path]:
    """
    JPEG files of one to two megapixels, with the frequencies and the size of photographs; or those of a folder.

    Args:
        folder (`Path`):
            Where they go.
        num_pictures (`int`):
            How many different ones.
        data_dir (`str`, *optional*):
            Photographs to take in their place.
        seed (`int`, *optional*, defaults to 7):
            Draws other pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = read_contents(data_dir, num_pictures) if data_dir else render_photographs(num_pictures, seed)
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number:05}.jpg")
        paths[-1].write_bytes(content)
    return paths


def render_photographs(num_pictures: int, seed: int, megapixels: tuple[float, float] = MEGAPIXELS) -> Iterator[bytes]:
    """Colour noise whose amplitude falls with the frequency, shapes with hard edges, bands out of focus."""
    for number in range(num_pictures):
        generator = np.random.default_rng((seed, number))
        across, down = SHAPES[number % len(SHAPES)]
        scale = np.sqrt(generator.uniform(*megapixels) * 1e6 / (across * down))
        picture = Image.fromarray(_noise(generator, 8 * round(down * scale / 8), 8 * round(across * scale / 8)))
        _draw_shapes(picture, generator)
        _blur_bands(picture, generator)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=90, subsampling="4:2:0")
        yield file.getvalue()


def _noise(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1.0
    # most of it in all channels alike, as in photographs
    channels = []
    for _ in range(4):
        phase = np.exp(2j * np.pi * generator.random(frequency.shape))
        plane = np.fft.irfft2(phase / frequency**1.35, s=(height, width))
        channels.append(plane / plane.std())
    colours = np.stack([channels[0] + 0.4 * channel for channel in channels[1:]], axis=-1)
    return np.clip(128 + 45 * colours, 0, 255).astype(np.uint8)


def _draw_shapes(picture: Image.Image, generator: np.random.Generator) -> None:
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = generator.random(2) * picture.size
        w, h = generator.uniform(0.03, 0.2, 2) * picture.size
        shape = (draw.ellipse, draw.rectangle)[generator.integers(2)]
        shape((x, y, x + w, y + h), fill=tuple(generator.integers(0, 256, 3).tolist()))


def _blur_bands(picture: Image.Image, generator: np.random.Generator) -> None:
    for _ in range(2):
        top = round(generator.uniform(0, 0.8) * picture.height)
        box = (0, top, picture.width, top + round(0.2 * picture.height))
        picture.paste(picture.crop(box).filter(ImageFilter.GaussianBlur(generator.uniform(2, 8))), box[:2])


def render_tiny(num_pictures: int, seed: int = 7) -> list[bytes]:
    """JPEGs of a few pixels, for what depends on the number of pictures alone."""
    return list(render_photographs(num_pictures, seed, (0.001, 0.002)))
