"""
Explanations by the last feature that has places: which channels matter, and where they are active.

Knows nothing about pixels or layers; it starts from the feature and the gradient that a [`Prediction`] gives.
"""

import torch

from .prediction import Prediction


def cam(prediction: Prediction) -> torch.Tensor:
    r"""
    Class activation map ([Zhou et al. 2016](https://huggingface.co/papers/1512.04150)): what each place adds to the
    average that the score is read from.

    $$M_{xy} = \sum_k w_k A^k_{xy}$$

    \\(w_k\\) is the weight of channel \\(k\\) in the linear layer. A score is no single logit, but a function of all
    of them, so the weights are the derivative of the score by the averaged feature (our choice): the classes' maps of
    the paper, each times the derivative of the score by its logit.

    Args:
        prediction ([`Prediction`]):
            Of a model that reads the average over places and nothing else of them.

    Returns:
        `torch.Tensor` of shape `(h, w)`: positive where a place raises the target.

    Raises:
        ValueError: If the model has no feature with places, or reads more of it than its average.
    """
    features, gradients = prediction.spatial_features()
    weights = gradients.mean(dim=(1, 2), keepdim=True)
    difference = (gradients - weights).abs().max()
    if difference > 1e-3 * gradients.abs().max():
        raise ValueError(
            "`cam` needs a linear head over an average of all places, so that every place acts alike, but in "
            f"{type(prediction.model).__name__} places act differently, by {difference / gradients.abs().max():.0%} "
            "of the largest gradient. Choose 'grad_cam'."
        )
    return (weights * gradients[0].numel() * features).sum(dim=0)


def grad_cam(prediction: Prediction) -> torch.Tensor:
    r"""
    Grad-CAM ([Selvaraju et al. 2017](https://huggingface.co/papers/1610.02391)), for any head.

    $$M_{xy} = \sum_k \alpha_k A^k_{xy}, \quad \alpha_k = \frac{1}{hw} \sum_{xy} \frac{\partial s}{\partial A^k_{xy}}$$

    The paper cuts off what is negative, because it asks what speaks for a class. A score also has reasons against it,
    so the sign stays (our choice); `heat.clip(0)` is the paper's map. Both are measured from a feature of 0.

    Args:
        prediction ([`Prediction`]):
            Of a model with a feature that has places.

    Returns:
        `torch.Tensor` of shape `(h, w)`: positive where a place raises the target, in no unit.

    Raises:
        ValueError: If the model has no such feature.
    """
    features, gradients = prediction.spatial_features()
    return (gradients.mean(dim=(1, 2), keepdim=True) * features).sum(dim=0)


def grad_cam_plus_plus(prediction: Prediction) -> torch.Tensor:
    r"""
    Grad-CAM++ ([Chattopadhay et al. 2018](https://huggingface.co/papers/1710.11063)), which does justice to several
    subjects of different sizes. It sees only what raises the target.

    $$M = \mathrm{ReLU}\Big(\sum_k w_k A^k\Big), \quad
    w_k = \sum_{xy} \frac{\mathrm{ReLU}(g^k_{xy})}{2 + g^k_{xy} \sum_{ab} |A^k_{ab}|}$$

    with the gradient \\(g = \partial s / \partial A\\). This is the paper's equation 19, a factor \\(g^2\\) cancelled.
    The paper has \\(A\\) in place of \\(|A|\\), which is the same after a ReLU; transformers have negative features,
    with which the denominator could vanish (our choice).

    Args:
        prediction ([`Prediction`]):
            Of a model with a feature that has places.

    Returns:
        `torch.Tensor` of shape `(h, w)`, not negative, in no unit.

    Raises:
        ValueError: If the model has no such feature.
    """
    features, gradients = prediction.spatial_features()
    raising = gradients.clamp(min=0)
    weights = raising / (2 + raising * features.abs().sum(dim=(1, 2), keepdim=True))
    return (weights.sum(dim=(1, 2), keepdim=True) * features).sum(dim=0).clamp(min=0)
