"""Colour spaces of sRGB pictures, batched. Knows nothing about files, maps or networks."""

import torch


def rgb_to_luma(images: torch.Tensor) -> torch.Tensor:
    r"""
    Luma, \\(0.299 R + 0.587 G + 0.114 B\\) (ITU-R BT.601).

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in [0, 1].

    Example:
        >>> rgb_to_luma(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).item()
        0.29899999499320984
    """
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=images.dtype, device=images.device)
    return (images * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def rgb_to_lab(images: torch.Tensor) -> torch.Tensor:
    """
    sRGB to CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15), in which distances are about what people see.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of the same shape: L from 0 to 100, a and b from about -128 to 127.

    Example:
        >>> rgb_to_lab(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).flatten().round().tolist()
        [53.0, 80.0, 67.0]
    """
    linear = torch.where(images <= 0.04045, images / 12.92, ((images + 0.055) / 1.055).pow(2.4))
    matrix = torch.tensor(
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
        dtype=images.dtype,
        device=images.device,
    )
    matrix = matrix / matrix.sum(dim=1, keepdim=True)  # relative to white
    xyz = torch.einsum("ij,bjhw->bihw", matrix, linear)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856).pow(1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)
