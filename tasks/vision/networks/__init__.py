"""Image classifiers."""

from tasks.vision.networks.classifier import Classifier
from tasks.vision.networks.normalise import Normalise
from tasks.vision.networks.small import SmallConvNet
from tasks.vision.networks.wide_resnet import WideResNet
from tasks.vision.networks.with_features import WithFeatures

__all__ = ["Classifier", "Normalise", "SmallConvNet", "WideResNet", "WithFeatures"]
