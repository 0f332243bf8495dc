"""The distribution of human scores by way of attributes, with a score branch for each kind of content.

Knows nothing about data sets, training or files.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import initialization as init
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_aadb_net import AadbNetConfig
from .distributions import distribution_mean
from .modeling_nima import NimaOutput, NimaPreTrainedModel
from .ranking_losses import margin_ranking_loss
from .score_contributions import ScoreContributions, score_contributions
from .score_outputs import score_outputs


@dataclass
class AadbNetOutput(NimaOutput):
    """
    Output of [`AadbNetForAestheticAssessment`]: that of NIMA, and what is on the way to the score.

    Args:
        attributes (`torch.FloatTensor` of shape `(batch_size, num_attributes)`, *optional*):
            Predicted attributes in the units of their columns, in the order of `config.attribute_names`; `None` where
            the model has none.
        content_probabilities (`torch.FloatTensor` of shape `(batch_size, num_content_clusters)`):
            Which kinds of content a picture shows; rows sum to 1.
        features (`torch.FloatTensor` of shape `(batch_size, feature_size)`):
            The pooled feature.
    """

    attributes: torch.Tensor | None = None
    content_probabilities: torch.Tensor | None = None
    features: torch.Tensor | None = None


class AadbNetHead(nn.Module):
    """
    Dropout, the attributes, and score branches that read the feature and the attributes, weighted by a gate.

    What the training pictures are like is kept as persistent tensors: the mean feature, and mean and spread of each
    attribute. Until they are fitted attributes count as they are.
    """

    def __init__(self, config: AadbNetConfig, feature_size: int) -> None:
        super().__init__()
        num_attributes, num_clusters = config.num_attributes, config.num_content_clusters
        self.feature_size = feature_size
        self.dropout = nn.Dropout(config.head_dropout)
        self.attributes = nn.Linear(feature_size, num_attributes) if num_attributes else None
        self.gate = nn.Linear(feature_size, num_clusters) if num_clusters > 1 else None
        self.branches = nn.ModuleList(
            nn.Linear(feature_size + num_attributes, config.num_labels) for _ in range(num_clusters)
        )
        self.register_buffer("feature_mean", torch.zeros(feature_size))
        self.register_buffer("attribute_mean", torch.zeros(num_attributes) if num_attributes else None)
        self.register_buffer("attribute_scale", torch.ones(num_attributes) if num_attributes else None)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pooled feature -> logits, logarithms of the content probabilities, and what the branches read."""
        # float32 also under autocast and half-precision weights, as in NIMA
        with torch.autocast(device_type=features.device.type, enabled=False):
            seen = self.dropout(features.to(self.feature_mean.dtype))
            if self.attributes is not None:
                seen = torch.cat([seen, self.attributes(seen)], dim=1)
            return *self.weigh_branches(seen), seen

    def weigh_branches(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Feature and standardised attributes -> logits of the mixture, logarithms of the content probabilities."""
        features = seen[:, : self.feature_size]
        gate = features.new_zeros(len(features), 1) if self.gate is None else self.gate(features).log_softmax(dim=-1)
        shares = torch.stack([branch(seen) for branch in self.branches], dim=1).log_softmax(dim=-1)
        return (gate.unsqueeze(-1) + shares).logsumexp(dim=1), gate


class AadbNetForAestheticAssessment(NimaPreTrainedModel):
    r"""
    The ranking network of [Kong et al. 2016](https://huggingface.co/papers/1606.01621): attributes such as good
    lighting or balance are predicted beside the score and take part in it, and each kind of content has a score of its
    own. With the pooled feature \\(f\\), the attributes \\(a = W f + b\\) and the branches \\(k\\)

    $$p = \sum_k g_k\, \mathrm{softmax}(V_k\, [f; a] + c_k), \qquad g = \mathrm{softmax}(U f + d)$$

    of which the mean score is \\(\sum_k g_k s_k\\), as in the paper. What differs is our choice: each branch predicts
    the distribution of the scores where the paper's predict the score; each attribute is one linear layer, where the
    paper's have hidden ones; attributes are standardised by the training pictures
    (`hf_aesthetics.training.content_clusters.fit_aadb_net`, which also fits the gate to clusters of the pictures, 10 in
    the paper); the gate is trained with the rest; and the loss between pairs of pictures is optional.

    Args:
        config ([`AadbNetConfig`]):
            Backbone, attributes, clusters, scale and losses.
        backbone (`PreTrainedModel`, *optional*):
            A backbone that is loaded already; built from `config.backbone_config` where it is left out.

    Example:
        >>> from transformers import ResNetConfig
        >>> tiny = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8, layer_type="basic")
        >>> config = AadbNetConfig(backbone_config=tiny, attribute_names=["lighting", "balance"], num_content_clusters=3)
        >>> model = AadbNetForAestheticAssessment(config).eval()
        >>> outputs = model(torch.rand(2, 3, 64, 64))
        >>> outputs.score.shape, outputs.attributes.shape, outputs.content_probabilities.shape
        (torch.Size([2]), torch.Size([2, 2]), torch.Size([2, 3]))
    """  # noqa: E501

    config: AadbNetConfig
    score_head: AadbNetHead
    supports_spatial_explanation = True
    score_is_calibrated = True

    def build_head(self, feature_size: int) -> AadbNetHead:
        return AadbNetHead(self.config, feature_size)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AadbNetHead):
            for layer in module.children():
                for linear in layer.modules():
                    if isinstance(linear, nn.Linear):
                        init.normal_(linear.weight, std=self.config.initializer_range)
                        init.zeros_(linear.bias)
            init.zeros_(module.feature_mean)
            if module.attributes is not None:
                init.zeros_(module.attribute_mean)
                init.ones_(module.attribute_scale)

    @property
    def probed_layers(self) -> dict[str, list[nn.Linear]]:
        """The layers that a linear probe fits to each kind of labels, in the order in which they are reached."""
        attributes = [] if self.score_head.attributes is None else [self.score_head.attributes]
        return {"attribute_labels": attributes, "labels": [*self.score_head.branches]}

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        attribute_labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> AadbNetOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_channels, height, width)`):
                Pictures as [`ModalityImageProcessor`] returns them.
            labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`, *optional*):
                Vote shares; rows sum to 1.
            attribute_labels (`torch.FloatTensor` of shape `(batch_size, num_attributes)`, *optional*):
                True attributes in the units of their columns, beside `labels`. NaN is unknown, and teaches nothing.
            output_hidden_states (`bool`, *optional*):
                Whether to return `spatial_features` and the backbone's hidden states.

        Raises:
            ValueError: If `pixel_values`, `labels` or `attribute_labels` has another shape, rows of `labels` do not
                sum to 1, or there are `attribute_labels` without `labels`.
        """
        head, config = self.score_head, self.config
        features, answer = self.extract_features(pixel_values, output_hidden_states, dict(kwargs))
        logits, gate, seen = head(features)
        outputs = score_outputs(logits, config, labels)
        standardised = seen[:, head.feature_size :]
        if labels is not None and config.ranking_loss_weight:
            span = config.max_score - config.min_score
            bins = torch.tensor(config.bin_scores, dtype=torch.float32, device=logits.device)
            means = distribution_mean(labels.float(), bins)
            ranking_loss = margin_ranking_loss(outputs["score"] / span, means / span, config.ranking_margin)
            outputs["loss"] = outputs["loss"] + config.ranking_loss_weight * ranking_loss
        if attribute_labels is not None:
            if labels is None:
                raise ValueError("`attribute_labels` need `labels` beside them, got None. Pass vote shares, too.")
            attribute_loss = self._attribute_loss(standardised, attribute_labels)
            outputs["loss"] = outputs["loss"] + config.attribute_loss_weight * attribute_loss
        return AadbNetOutput(
            **answer,
            **outputs,
            attributes=standardised * head.attribute_scale + head.attribute_mean if config.num_attributes else None,
            content_probabilities=gate.exp(),
            features=features,
        )

    def standardize_attributes(self, attributes: torch.Tensor) -> torch.Tensor:
        """Attributes in the units of their columns -> in units of their spread, from their mean."""
        return (attributes - self.score_head.attribute_mean) / self.score_head.attribute_scale

    def _attribute_loss(self, standardised: torch.Tensor, attribute_labels: torch.Tensor) -> torch.Tensor:
        head = self.score_head
        if head.attributes is None or attribute_labels.shape != standardised.shape:
            raise ValueError(
                f"`attribute_labels` must have shape (batch_size, num_attributes) = {tuple(standardised.shape)}, got "
                f"{tuple(attribute_labels.shape)}. Name the attributes in `attribute_names` of the configuration."
            )
        target = self.standardize_attributes(attribute_labels.float())
        error = (standardised - target).masked_fill(target.isnan(), 0)
        # over all, also where some are unknown: each picture counts alike, whatever batch it is in
        return error.square().mean()

    def attribute_contributions(self, features: torch.Tensor, num_nodes: int = 32) -> ScoreContributions:
        """
        What each attribute, and in the last column the rest of the picture, adds to the scores of pictures, see
        [`score_contributions`]. The base is the score of a picture that is average in all of them.

        Attributes are read off the picture, and the branches read the picture directly, too. What they have already
        read there counts as the rest, so that an attribute may add less than it explains alone, or even the contrary.

        Args:
            features (`torch.FloatTensor` of shape `(batch_size, feature_size)`):
                `outputs.features`.
            num_nodes (`int`, *optional*, defaults to 32):
                Places on the path where the slope is taken.

        Returns:
            [`ScoreContributions`] of shape `(batch_size, num_attributes + 1)`, called `contribution_names`.

        Example:
            >>> config = AadbNetConfig(backbone_config={"model_type": "resnet", "depths": [1], "hidden_sizes": [8]},
            ...     attribute_names=["good_lighting"], initializer_range=1.0)
            >>> model = AadbNetForAestheticAssessment(config).eval()
            >>> outputs = model(torch.rand(2, 3, 64, 64))
            >>> base, contributions = model.attribute_contributions(outputs.features)
            >>> torch.allclose(base + contributions.sum(dim=1), outputs.score, atol=1e-4)
            True
            >>> model.contribution_names
            ['good_lighting', 'rest of the picture']
        """
        head, size = self.score_head, self.score_head.feature_size
        # an inference tensor could not be differentiated
        with torch.inference_mode(False), torch.no_grad():
            features = features.clone().to(head.feature_mean)
            end = features if head.attributes is None else torch.cat([features, head.attributes(features)], dim=1)
            start = torch.cat([head.feature_mean, torch.zeros_like(end[0, size:])])
        base, parts = score_contributions(self._score, start, end, num_nodes)
        return ScoreContributions(base, torch.cat([parts[:, size:], parts[:, :size].sum(dim=1, keepdim=True)], dim=1))

    @property
    def contribution_names(self) -> list[str]:
        """What the columns of [`attribute_contributions`] are called."""
        return [*(self.config.attribute_names or []), "rest of the picture"]

    def _score(self, seen: torch.Tensor) -> torch.Tensor:
        return score_outputs(self.score_head.weigh_branches(seen)[0], self.config)["score"]


__all__ = ["AadbNetForAestheticAssessment", "AadbNetOutput"]
