"""Image classifiers."""

from tasks.vision.networks.normalise import Normalise
from tasks.vision.networks.small import SmallConvNet
from tasks.vision.networks.wide_resnet import WideResNet

__all__ = ["Normalise", "SmallConvNet", "WideResNet"]
