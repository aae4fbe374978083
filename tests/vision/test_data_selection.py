"""Training and choosing do not know the test images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from data_files import write_mnist

from tasks.vision.config import DROConfig
from tasks.vision.data import Images, Split, digits
from tasks.vision.evaluation import accuracy
from tasks.vision.train import train

CONFIG = DROConfig(method="fgsm-rs", epochs=2, batch_size=10, width=3, lr=0.05, augment="crop-flip", device="cpu")


def weights(training):
    return training.model.state_dict()


def test_other_test_files_give_the_same_weights_to_the_last_bit(tmp_path):
    """From the files on, through held-out part, augmentation and the log by which one would choose."""
    config = replace(CONFIG, data="mnist", train_images=40, validation_images=15)
    trained = []
    for name, garbage in (("one", None), ("other", torch.Generator().manual_seed(9))):
        folder = write_mnist(tmp_path / name, counts=(80, 20), side=8)
        if garbage is not None:
            path = folder / "t10k-images-idx3-ubyte"
            header, content = path.read_bytes()[:16], path.read_bytes()[16:]
            path.write_bytes(header + bytes(torch.randint(0, 256, (len(content),), generator=garbage).tolist()))
        trained.append(train(replace(config, data_dir=str(folder)), progress=False))
    one, other = trained
    assert not torch.equal(one.split.test.pixels, other.split.test.pixels)
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name
    assert one.fitted.evaluation == other.fitted.evaluation
    assert "validation_accuracy" in one.fitted.evaluation


class Untouchable(torch.Tensor):
    """A tensor whose entries nobody may look at, though it can be put on a device."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.Tensor.to:
            return args[0]
        if function.__name__ == "__get__":  # shape and type
            with torch._C.DisableTorchFunctionSubclass():
                return function(*args, **(kwargs or {}))
        raise AssertionError(f"the test images were looked at, by {function}")


def test_training_never_looks_at_the_test_images():
    whole = digits(0)
    hidden = Images(
        whole.test.pixels.as_subclass(Untouchable), whole.test.labels.as_subclass(Untouchable), 10, "digits", 16
    )
    split = Split(whole.train.subset(slice(0, 100)), whole.validation, hidden)
    seen = train(CONFIG, split=replace(split, test=whole.test), progress=False)
    blind = train(CONFIG, split=split, progress=False)
    for name, value in weights(seen).items():
        assert torch.equal(value, weights(blind)[name]), name
    with pytest.raises(AssertionError, match="looked at"):
        accuracy(blind.model, hidden)
