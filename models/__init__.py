"""Backbones, heads and the layers they share, as flax.nnx modules; pretrained weights."""

from models.backbone import Backbone, Features, Grid
from models.backbones.efficientnet import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from models.backbones.resnet import ResNet18, ResNet50
from models.backbones.siamfc import SiamFCAlexNet
from models.backbones.torch_weights import load_state_dict
from models.backbones.vgg import VGG16
from models.backbones.vgg_m import VGGM
from models.errors import WeightsError
from models.heads.few_shot import FewShotClassifier
from models.heads.filter_head import FilterHead
from models.heads.iou_predictor import IoUPredictor, Modulation
from models.heads.least_squares_head import LeastSquaresHead
from models.heads.mlp import MLP
from models.heads.resizable_filter import ResizableHead, warp_filters
from models.heads.template_network import TemplateNetwork
from models.layers.convolution import convolve
from models.layers.correlation import correlate, correlate_all, correlate_plain
from models.layers.fast_convolutions import depthwise_conv
from models.layers.prroi import precise_roi_pool
from models.layers.roi_align import adaptive_roi_align

BACKBONES: dict[str, type[Backbone]] = {
    backbone.name: backbone
    for backbone in (
        EfficientNetLite0,
        EfficientNetLite1,
        EfficientNetLite2,
        ResNet18,
        ResNet50,
        SiamFCAlexNet,
        VGG16,
        VGGM,
    )
}

__all__ = [
    "BACKBONES",
    "MLP",
    "VGG16",
    "VGGM",
    "Backbone",
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "Features",
    "FewShotClassifier",
    "FilterHead",
    "Grid",
    "IoUPredictor",
    "LeastSquaresHead",
    "Modulation",
    "ResNet18",
    "ResNet50",
    "ResizableHead",
    "SiamFCAlexNet",
    "TemplateNetwork",
    "WeightsError",
    "adaptive_roi_align",
    "convolve",
    "correlate",
    "correlate_all",
    "correlate_plain",
    "depthwise_conv",
    "load_state_dict",
    "precise_roi_pool",
    "warp_filters",
]
