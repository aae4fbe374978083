"""Labelled images: how they are held, split, moved and served in batches, and where they come from."""

from tasks.vision.data.augmentation import Augmentation, CropAndFlip, NoAugmentation
from tasks.vision.data.batches import Batches
from tasks.vision.data.digits import digits
from tasks.vision.data.images import ImageBatch, Images, Split
from tasks.vision.data.movement import Movement
from tasks.vision.data.partition import hold_out, limited
from tasks.vision.data.torch_dataset import images_from

__all__ = [
    "Augmentation",
    "Batches",
    "CropAndFlip",
    "ImageBatch",
    "Images",
    "Movement",
    "NoAugmentation",
    "Split",
    "digits",
    "hold_out",
    "images_from",
    "limited",
]
