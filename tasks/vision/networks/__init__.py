"""Image classifiers."""

from tasks.vision.networks.blueprint import Blueprint
from tasks.vision.networks.classifier import Classifier
from tasks.vision.networks.mnist import MNISTNet
from tasks.vision.networks.normalise import Normalise
from tasks.vision.networks.preact_resnet import PreActResNet
from tasks.vision.networks.resnet import ResNet
from tasks.vision.networks.small import SmallConvNet
from tasks.vision.networks.wide_resnet import WideResNet
from tasks.vision.networks.with_features import WithFeatures

__all__ = [
    "Blueprint",
    "Classifier",
    "MNISTNet",
    "Normalise",
    "PreActResNet",
    "ResNet",
    "SmallConvNet",
    "WideResNet",
    "WithFeatures",
]
