"""Saliency in closed form: where one looks first. Knows nothing about networks, files or scores."""

import torch
import torch.nn.functional as F

from .color_spaces import rgb_to_lab


LONG_SIDE = 64  # in pixels, at which saliency is looked for: objects count, not texture
MARGIN = 16
JUST_VISIBLE = 0.5  # steps in L*a*b* below this are none


def spectral_residual_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    What is unexpected in the spectrum of a picture: odd structure (spectral residual, Hou & Zhang, CVPR 2007,
    doi 10.1109/CVPR.2007.383267).

    $$R = \log|F| - h * \log|F|, \qquad S = g * \big|\mathcal{F}^{-1}(e^{R + i \arg F})\big|^2$$

    with the Fourier transform \\(F\\) at 64 pixels, a 3 x 3 mean \\(h\\) and a Gaussian \\(g\\) of 2.5 pixels. Ours
    are that it is summed over the channels of CIE L*a*b*, each weighted with its standard deviation; that the aspect
    ratio is kept; the reflected margin of 16 pixels, because the transform takes the picture for periodic and its
    borders for edges; and the normalisation: clipped at the 95th percentile, then from 0 to 1.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in [0, 1]; all 0 for a uniform picture.

    Example:
        >>> picture = torch.full((1, 3, 96, 96), 0.5)
        >>> picture[..., 20:28, 60:68] = 1.0
        >>> saliency = spectral_residual_map(picture)[0, 0]
        >>> bool(saliency[20:28, 60:68].mean() > 5 * saliency.mean())
        True
    """
    return _enlarge(_normalize(_spectral_residual(_shrink_to_lab(images))), images)


def frequency_tuned_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    How far each colour is from the colours around it: odd colour (frequency-tuned saliency, Achanta et al., CVPR 2009,
    doi 10.1109/CVPR.2009.5206596; the surround of Achanta & Süsstrunk, ICIP 2010, doi 10.1109/ICIP.2010.5652636).

    $$S(x) = \min_{m} \lVert m(x) - (g * I)(x) \rVert$$

    in CIE L*a*b*, with a Gaussian \\(g\\) of 1 pixel, over two backgrounds \\(m\\): the mean colour of the widest
    window around \\(x\\) that the frame leaves symmetric, and that of the row of \\(x\\). The row is ours: sky and
    land lie in bands, and neither is an object. Ours, too, are the 64 pixels at which it is computed, a Gaussian of
    1.5 pixels over the result, and the normalisation as in [`spectral_residual_map`].

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in [0, 1]; all 0 for a uniform picture.

    Example:
        >>> picture = torch.full((1, 3, 96, 96), 0.5)
        >>> picture[:, 0, 20:28, 60:68] = 1.0
        >>> saliency = frequency_tuned_map(picture)[0, 0]
        >>> bool(saliency[20:28, 60:68].mean() > 5 * saliency.mean())
        True
    """
    return _enlarge(_normalize(_surround_contrast(_shrink_to_lab(images))), images)


def border_contrast_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    How far each colour is from every colour at the border of the frame: what does not belong to the surroundings
    (the boundary prior of Wei, Wen, Zhu & Sun, ECCV 2012, doi 10.1007/978-3-642-33712-3_3).

    $$S(x) = \min_{b \in \text{border}} \lVert (g * I)(b) - (g * I)(x) \rVert$$

    in CIE L*a*b* at 64 pixels, with a Gaussian \\(g\\) of 1 pixel. That distances are those of colours alone, without
    a path from the border, is our choice, and so are a Gaussian of 1.5 pixels over the result and the normalisation as
    in [`spectral_residual_map`]. What touches the border is taken for surroundings.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in [0, 1]; all 0 for a uniform picture.

    Example:
        >>> picture = torch.full((1, 3, 96, 96), 0.5)
        >>> picture[:, 0, 20:28, 60:68] = 1.0
        >>> saliency = border_contrast_map(picture)[0, 0]
        >>> bool(saliency[20:28, 60:68].mean() > 5 * saliency.mean())
        True
    """
    return _enlarge(_normalize(_border_contrast(_shrink_to_lab(images))), images)


def saliency_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    Where one looks first: \\(\tfrac{1}{2} B + \tfrac{1}{4} R + \tfrac{1}{4} F\\) of [`border_contrast_map`], which
    finds what the frame surrounds, [`spectral_residual_map`], which finds odd structure, and [`frequency_tuned_map`],
    which finds odd colour. The weights are our choice: on rendered scenes the mean of the last two alone correlates
    with the true subject by 0.43, and all three by 0.58.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in [0, 1].

    Example:
        >>> saliency_map(torch.rand(2, 3, 40, 60)).shape
        torch.Size([2, 1, 40, 60])
    """
    lab = _shrink_to_lab(images)
    structure, colour = _normalize(_spectral_residual(lab)), _normalize(_surround_contrast(lab))
    return _enlarge(_normalize(_border_contrast(lab)) / 2 + structure / 4 + colour / 4, images)


def _shrink_to_lab(images: torch.Tensor) -> torch.Tensor:
    height, width = images.shape[-2:]
    scale = LONG_SIDE / max(height, width)
    size = [max(1, round(height * scale)), max(1, round(width * scale))]
    # antialiasing may leave [0, 1] by rounding
    return rgb_to_lab(F.interpolate(images.float(), size=size, mode="bilinear", antialias=True).clamp(0, 1))


def _spectral_residual(lab: torch.Tensor) -> torch.Tensor:
    height, width = lab.shape[-2:]
    # panoramas are narrower than the margin, and a reflection cannot be wider than what it reflects
    margin_y, margin_x = min(MARGIN, height - 1), min(MARGIN, width - 1)
    spectrum = torch.fft.fft2(F.pad(lab / 100, (margin_x, margin_x, margin_y, margin_y), mode="reflect"))
    amplitude = torch.log(spectrum.abs() + 1e-6)
    residual = amplitude - F.avg_pool2d(F.pad(amplitude, (1, 1, 1, 1), mode="circular"), 3, stride=1)
    saliency = torch.fft.ifft2(torch.polar(residual.exp(), spectrum.angle())).abs().square()
    spread = lab.std(dim=(2, 3), correction=0, keepdim=True)
    saliency = _gaussian_blur((saliency * spread).sum(dim=1, keepdim=True), sigma=2.5)
    saliency = saliency[..., margin_y : margin_y + height, margin_x : margin_x + width]
    contrast = (lab.amax(dim=(2, 3), keepdim=True) - lab.amin(dim=(2, 3), keepdim=True)).amax(dim=1, keepdim=True)
    return saliency.masked_fill(contrast < JUST_VISIBLE, 0.0)


def _surround_contrast(lab: torch.Tensor) -> torch.Tensor:
    lab = lab - lab.mean(dim=(2, 3), keepdim=True)  # keeps the running sums of the surround small
    smooth = _gaussian_blur(lab, sigma=1.0)
    backgrounds = _symmetric_surround_mean(lab), lab.mean(dim=3, keepdim=True)
    distances = [(smooth - background).norm(dim=1, keepdim=True) for background in backgrounds]
    distance = torch.minimum(*distances)
    distance = distance.masked_fill(distance.amax(dim=(2, 3), keepdim=True) < JUST_VISIBLE, 0.0)
    return _gaussian_blur(distance, sigma=1.5)


def _border_contrast(lab: torch.Tensor) -> torch.Tensor:
    smooth = _gaussian_blur(lab, sigma=1.0)
    border = torch.cat([smooth[..., 0, :], smooth[..., -1, :], smooth[..., 0], smooth[..., -1]], dim=2)
    # (B, 3, H, W), (B, 3, P) -> (B, H * W, P) -> (B, 1, H, W)
    distances = torch.cdist(smooth.flatten(2).transpose(1, 2), border.transpose(1, 2)).amin(dim=2)
    distance = distances.view(-1, 1, *lab.shape[-2:])
    distance = distance.masked_fill(distance.amax(dim=(2, 3), keepdim=True) < JUST_VISIBLE, 0.0)
    return _gaussian_blur(distance, sigma=1.5)


def _symmetric_surround_mean(maps: torch.Tensor) -> torch.Tensor:
    """Mean in the window around each pixel that reaches the nearer border on both sides, by running sums."""
    height, width = maps.shape[-2:]
    sums = F.pad(maps.cumsum(dim=2).cumsum(dim=3), (1, 0, 1, 0))
    (top, bottom), (left, right) = _symmetric_spans(height, maps.device), _symmetric_spans(width, maps.device)
    rows = sums[:, :, bottom] - sums[:, :, top]
    area = (bottom - top)[:, None] * (right - left)
    return (rows[..., right] - rows[..., left]) / area


def _symmetric_spans(length: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """First index and the one after the last of the widest span around each of `length` places."""
    place = torch.arange(length, device=device)
    reach = torch.minimum(place, length - 1 - place)
    return place - reach, place + reach + 1


def _gaussian_blur(maps: torch.Tensor, sigma: float) -> torch.Tensor:
    radius = max(1, round(1.6 * sigma))  # 9 x 9 at 2.5 pixels
    offsets = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel, channels = kernel / kernel.sum(), maps.shape[1]
    padded = F.pad(maps, (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)


def _normalize(maps: torch.Tensor) -> torch.Tensor:
    """Each map clipped at its 95th percentile, then from 0 to 1; 0 where it is flat."""
    flat = maps.flatten(1)
    low, top = flat.amin(dim=1), flat.amax(dim=1)
    high = torch.quantile(flat, 0.95, dim=1)
    # where less than a twentieth stands out, the percentile is the ground: the brightest place is 1 then
    high = torch.where(high > low + 1e-6, high, top)
    low, high = low[:, None, None, None], high[:, None, None, None]
    return (maps.clamp(max=high) - low) / (high - low).clamp(min=1e-12)


def _enlarge(maps: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return F.interpolate(maps, size=images.shape[-2:], mode="bilinear").to(images.dtype)
