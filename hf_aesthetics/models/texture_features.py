"""Features of detail and pattern: one number a picture each. Know nothing about scores or networks."""

import torch
import torch.nn.functional as F

from .picture_planes import FLOOR, PicturePlanes, average, resize


SPECTRUM_SIZE = 128


def sharpness(planes: PicturePlanes) -> torch.Tensor:
    """log10 of the variance of the Laplacian of luma."""
    return torch.log10(planes.laplacian.flatten(1).var(dim=1, correction=0) + 1e-6)


def local_contrast(planes: PicturePlanes) -> torch.Tensor:
    """Root mean variance of luma within a thirty-second of the frame."""
    mean, square = (resize(values, 32) for values in (planes.luma, planes.luma.square()))
    return (average((square - mean.square()).clamp(min=0)) + FLOOR).sqrt()


def line_coherence(planes: PicturePlanes) -> torch.Tensor:
    """
    How much the edges in each small window, a thirty-second of the frame, go one way: 0 for leaves and fur, 1 for
    straight lines. Of the structure tensor \\(J\\), \\((\\lambda_1 - \\lambda_2) / (\\lambda_1 + \\lambda_2)\\).
    """
    xx, yy, xy = (
        resize(product, 32)
        for product in (planes.slope_x.square(), planes.slope_y.square(), planes.slope_x * planes.slope_y)
    )
    difference = ((xx - yy).square() + 4 * xy.square() + FLOOR**2).sqrt()
    return average(difference / (xx + yy + 1e-4))


def spectral_roughness(planes: PicturePlanes) -> torch.Tensor:
    """
    Root mean square distance, in octaves of amplitude, of the spectrum of luma from a power law of the frequency, over
    half octaves from 2 to 45 cycles a frame: what is not alike at every scale.
    """
    luma = resize(planes.luma, SPECTRUM_SIZE)
    window = torch.hann_window(SPECTRUM_SIZE, periodic=False, device=luma.device)
    luma = (luma - luma.mean(dim=(2, 3), keepdim=True)) * window[:, None] * window[None, :]
    power = torch.view_as_real(torch.fft.fft2(luma[:, 0])).square().sum(dim=-1)
    edges = 2 ** torch.arange(1, 6.0, 0.5, device=luma.device)
    radius = _radius(SPECTRUM_SIZE, luma.device)
    rings = ((radius >= edges[:-1, None, None]) & (radius < edges[1:, None, None])).to(luma.dtype).flatten(1)
    levels = torch.log2(power.flatten(1) @ (rings / rings.sum(dim=1, keepdim=True)).T + 1e-4) / 2
    octaves = torch.arange(len(rings), device=luma.device) / 2
    octaves = octaves - octaves.mean()
    slope = (levels * octaves).sum(dim=1, keepdim=True) / octaves.square().sum()
    rest = levels - levels.mean(dim=1, keepdim=True) - slope * octaves
    return (rest.square().mean(dim=1) + FLOOR).sqrt()


def periodicity(planes: PicturePlanes) -> torch.Tensor:
    """
    Highest autocorrelation of luma, less its coarse light, at shifts from 6 to 32 of 64 pixels: 1 for what repeats.
    """
    luma = resize(planes.luma, 64)
    coarse = F.avg_pool2d(luma, 17, stride=1, padding=8, count_include_pad=False)
    spectrum = torch.fft.fft2(F.pad(luma - coarse, (0, 64, 0, 64)))
    power = torch.view_as_real(spectrum).square().sum(dim=-1)
    correlation = torch.fft.ifft2(power).real[:, 0]  # of all shifts, by Wiener and Khinchin
    shifts = (torch.fft.fftfreq(128, device=luma.device) * 128).abs()
    overlap = (1 - shifts[:, None] / 64).clamp(min=0.25) * (1 - shifts[None, :] / 64).clamp(min=0.25)
    is_asked = (_radius(128, luma.device) >= 6) & (shifts[:, None] <= 32) & (shifts[None, :] <= 32)
    correlation = correlation / overlap / (correlation[:, :1, :1] + 64**2 * 1e-6)
    return correlation.masked_fill(~is_asked, -1.0).amax(dim=(1, 2))


def _radius(size: int, device: torch.device) -> torch.Tensor:
    """Distance of each place of a Fourier transform from its origin."""
    frequency = torch.fft.fftfreq(size, device=device) * size
    return (frequency[:, None].square() + frequency[None, :].square()).sqrt()
