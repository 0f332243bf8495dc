"""The public models and the rows by which transformers' Auto classes find them. Importing the module registers them.

Knows nothing about checkpoints or programs.
"""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForDepthEstimation,
    AutoModelForImageClassification,
    AutoModelForImageSegmentation,
)

from .models.configuration_aadb_net import AadbNetConfig
from .models.configuration_aesthetic_baseline import AestheticBaselineConfig
from .models.configuration_cecs import CecsConfig
from .models.configuration_fastdepth import FastDepthConfig
from .models.configuration_fgaesq import FgaesqConfig
from .models.configuration_fisher_vector import FisherVectorConfig
from .models.configuration_handcrafted import HandcraftedConfig
from .models.configuration_nima import NimaConfig
from .models.configuration_torchvision_wrapper import TorchvisionWrapperConfig
from .models.configuration_u2net import U2NetConfig
from .models.image_processing_fgaesq import FgaesqImageProcessor
from .models.image_processing_handcrafted import HandcraftedImageProcessor
from .models.image_processing_modality import ModalityImageProcessor
from .models.image_processing_u2net import U2NetImageProcessor
from .models.modeling_aadb_net import AadbNetForAestheticAssessment
from .models.modeling_aesthetic_baseline import AestheticBaselineForAestheticAssessment
from .models.modeling_cecs import CecsModel
from .models.modeling_fastdepth import FastDepthForDepthEstimation
from .models.modeling_fgaesq import FgaesqForAestheticAssessment
from .models.modeling_fisher_vector import FisherVectorForAestheticAssessment
from .models.modeling_handcrafted import HandcraftedForAestheticAssessment
from .models.modeling_nima import NimaForAestheticAssessment
from .models.modeling_torchvision_wrapper import TorchvisionWrapperModel
from .models.modeling_u2net import U2NetForImageSegmentation
from .pipelines import ImageAestheticsPipeline, ImageSeriesRankingPipeline, register_pipelines


# one row a model: configuration, model, Auto class, image processor
MODEL_ROWS = (
    (NimaConfig, NimaForAestheticAssessment, AutoModelForImageClassification, ModalityImageProcessor),
    (
        AestheticBaselineConfig,
        AestheticBaselineForAestheticAssessment,
        AutoModelForImageClassification,
        ModalityImageProcessor,
    ),
    (AadbNetConfig, AadbNetForAestheticAssessment, AutoModelForImageClassification, ModalityImageProcessor),
    (FisherVectorConfig, FisherVectorForAestheticAssessment, AutoModelForImageClassification, ModalityImageProcessor),
    (HandcraftedConfig, HandcraftedForAestheticAssessment, AutoModelForImageClassification, HandcraftedImageProcessor),
    (FgaesqConfig, FgaesqForAestheticAssessment, AutoModelForImageClassification, FgaesqImageProcessor),
    (CecsConfig, CecsModel, AutoModel, ModalityImageProcessor),
    (TorchvisionWrapperConfig, TorchvisionWrapperModel, AutoModel, ModalityImageProcessor),
    (U2NetConfig, U2NetForImageSegmentation, AutoModelForImageSegmentation, U2NetImageProcessor),
    (FastDepthConfig, FastDepthForDepthEstimation, AutoModelForDepthEstimation, ModalityImageProcessor),
)

for _config, _model, _auto, _processor in MODEL_ROWS:
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    _auto.register(_config, _model, exist_ok=True)
    AutoImageProcessor.register(_config, image_processor_classes={"torchvision": _processor}, exist_ok=True)
    # without these a fine-tuned model would be saved without its code
    _config.register_for_auto_class("AutoConfig")
    _model.register_for_auto_class(_auto.__name__)
    _processor.register_for_auto_class("AutoImageProcessor")
register_pipelines()

__all__ = [
    "MODEL_ROWS",
    "AadbNetConfig",
    "AadbNetForAestheticAssessment",
    "AestheticBaselineConfig",
    "AestheticBaselineForAestheticAssessment",
    "CecsConfig",
    "CecsModel",
    "FastDepthConfig",
    "FastDepthForDepthEstimation",
    "FgaesqConfig",
    "FgaesqForAestheticAssessment",
    "FgaesqImageProcessor",
    "FisherVectorConfig",
    "FisherVectorForAestheticAssessment",
    "HandcraftedConfig",
    "HandcraftedForAestheticAssessment",
    "HandcraftedImageProcessor",
    "ImageAestheticsPipeline",
    "ImageSeriesRankingPipeline",
    "ModalityImageProcessor",
    "NimaConfig",
    "NimaForAestheticAssessment",
    "TorchvisionWrapperConfig",
    "TorchvisionWrapperModel",
    "U2NetConfig",
    "U2NetForImageSegmentation",
    "U2NetImageProcessor",
]
