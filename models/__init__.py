"""Backbones, heads and the layers they share, as flax.nnx modules; pretrained weights."""

from models.backbone import Backbone, Features, Grid
from models.convolution import convolve
from models.correlation import correlate, correlate_all, correlate_plain
from models.efficientnet import EfficientNetLite0
from models.errors import WeightsError
from models.few_shot import FewShotClassifier
from models.filter_head import FilterHead
from models.iou_predictor import IoUPredictor, Modulation
from models.layers import depthwise_conv
from models.least_squares_head import LeastSquaresHead
from models.mlp import MLP
from models.prroi import precise_roi_pool
from models.resizable_filter import ResizableHead, warp_filters
from models.resnet import ResNet18, ResNet50
from models.roi_align import adaptive_roi_align
from models.siamfc import SiamFCAlexNet
from models.template_network import TemplateNetwork
from models.torch_weights import load_state_dict
from models.vgg import VGG16
from models.vgg_m import VGGM

BACKBONES: dict[str, type[Backbone]] = {
    backbone.name: backbone
    for backbone in (EfficientNetLite0, ResNet18, ResNet50, SiamFCAlexNet, VGG16, VGGM)
}

__all__ = [
    "BACKBONES",
    "MLP",
    "VGG16",
    "VGGM",
    "Backbone",
    "EfficientNetLite0",
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
