"""Small files in the formats of the real data sets."""

from __future__ import annotations

import struct
import tarfile

import torch


def write_idx(path, array):
    path.write_bytes(
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + bytes(array.flatten().tolist())
    )


def write_mnist(folder, counts=(30, 10), side=2, seed=0):
    """Write four files like MNIST's, of small images."""
    folder.mkdir(exist_ok=True)
    draw = torch.Generator().manual_seed(seed)
    for part, count in zip(("train", "t10k"), counts, strict=True):
        images = torch.randint(0, 256, (count, side, side), generator=draw, dtype=torch.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", torch.arange(count) % 10)
    return folder


def cifar_records(labels, seed=0):
    """Return pixels (n, 3, 32, 32), and records of the rows of ``labels`` (n, k) before each image."""
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (len(labels), 3, 32, 32), generator=draw, dtype=torch.uint8)
    return pixels, bytes(torch.cat([labels.byte(), pixels.flatten(1)], 1).flatten().tolist())


def write_cifar10(folder, per_file=20):
    """Write six files like CIFAR-10's; return the pixels and labels of all, the test ones last."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    found = []
    for number, name in enumerate(names):
        labels = (torch.arange(per_file) + number) % 10
        pixels, content = cifar_records(labels[:, None], seed=number)
        (folder / name).write_bytes(content)
        found.append((pixels, labels))
    return [torch.cat(part) for part in zip(*found, strict=True)]


def pack(folder, archive):
    """Pack a folder as the official archives are."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    return archive
