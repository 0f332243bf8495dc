"""Losses that pull the embeddings of a category together and push categories apart: pure functions.

Know nothing about networks or pixels. All see directions alone, so the length of an embedding does not count.
"""

import torch
from torch.nn import functional as F


def cosine_triplet_loss(embeddings: torch.Tensor, labels: torch.Tensor, margin: float = 0.2) -> torch.Tensor:
    r"""
    Every picture has to be closer to the farthest one of its category than to the nearest one of another, by a margin.

    $$L = \frac{1}{|A|} \sum_{a \in A} \Big[ m - \min_{p:\, y_p = y_a} \cos(f_a, f_p) +
    \max_{n:\, y_n \ne y_a} \cos(f_a, f_n) \Big]_+$$

    The hardest of both are taken ([Hermans et al. 2017](https://huggingface.co/papers/1703.07737)).

    Args:
        embeddings (`torch.Tensor` of shape `(batch_size, size)`):
            Features \\(f\\).
        labels (`torch.Tensor` of shape `(batch_size,)`):
            Categories \\(y\\).
        margin (`float`, *optional*, defaults to 0.2):
            The margin \\(m\\).

    Returns:
        `torch.Tensor` of shape `()`: the mean over the pictures \\(A\\) that have another one of their category and
        one of another; 0, with a gradient of 0, where there are none.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> cosine_triplet_loss(embeddings, torch.tensor([0, 0, 1, 1]))
        tensor(0.)
        >>> cosine_triplet_loss(embeddings, torch.tensor([0, 1, 0, 1]))  # the right way round is off by 1 + 0.2
        tensor(1.2000)
    """
    similarity, is_same, is_self = _similarities(embeddings, labels)
    hardest_same = similarity.masked_fill(~is_same | is_self, torch.inf).amin(dim=1)
    nearest_other = similarity.masked_fill(is_same, -torch.inf).amax(dim=1)
    has_both = (is_same & ~is_self).any(dim=1) & (~is_same).any(dim=1)
    losses = (margin - hardest_same + nearest_other)[has_both].clamp(min=0)
    return losses.mean() if len(losses) else embeddings.sum() * 0


def supervised_contrastive_loss(
    embeddings: torch.Tensor, labels: torch.Tensor, temperature: float = 0.1
) -> torch.Tensor:
    r"""
    Supervised contrastive loss ([Khosla et al. 2020](https://huggingface.co/papers/2004.11362), the mean outside the
    logarithm): among all others, those of a picture's category have to be the most similar ones.

    $$L = \frac{1}{|A|} \sum_{a \in A} \frac{-1}{|P(a)|} \sum_{p \in P(a)}
    \log \frac{e^{\cos(f_a, f_p) / \tau}}{\sum_{b \ne a} e^{\cos(f_a, f_b) / \tau}}$$

    Args:
        embeddings (`torch.Tensor` of shape `(batch_size, size)`):
            Features \\(f\\).
        labels (`torch.Tensor` of shape `(batch_size,)`):
            Categories; \\(P(a)\\) are the others of that of \\(a\\).
        temperature (`float`, *optional*, defaults to 0.1):
            The temperature \\(\tau\\).

    Returns:
        `torch.Tensor` of shape `()`: the mean over the pictures \\(A\\) that have another one of their category; 0,
        with a gradient of 0, where there are none.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> supervised_contrastive_loss(embeddings, torch.tensor([0, 0, 1, 1]), temperature=1.0)  # log(1 + 2 / e)
        tensor(0.5514)
    """
    similarity, is_same, is_self = _similarities(embeddings, labels)
    logits = (similarity / temperature).masked_fill(is_self, -torch.inf)
    log_shares = logits - logits.logsumexp(dim=1, keepdim=True)
    positives = is_same & ~is_self
    has_any = positives.any(dim=1)
    if not has_any.any():
        return embeddings.sum() * 0
    sums = log_shares.masked_fill(~positives, 0.0).sum(dim=1)[has_any]
    return -(sums / positives.sum(dim=1)[has_any]).mean()


def _similarities(embeddings: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cosines of all pairs, which are of one label, and which are a picture with itself; `(B, B)` each."""
    directions = F.normalize(embeddings.float(), dim=1)
    is_self = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return directions @ directions.T, labels[:, None] == labels[None, :], is_self


SIMILARITY_LOSSES = {"triplet": cosine_triplet_loss, "supervised_contrastive": supervised_contrastive_loss}
