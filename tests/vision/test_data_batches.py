"""Batches that are moved, divided among processes, and resumed."""

from __future__ import annotations

import pytest
import torch

from bilevel import fit
from bilevel.errors import ConfigurationError
from tasks.vision.data import Batches, CropAndFlip, Images
from tasks.vision.methods import METHODS
from tasks.vision.networks import SmallConvNet


def some_images(n=22):
    draw = torch.Generator().manual_seed(4)
    pixels = torch.randint(0, 256, (n, 1, 8, 8), generator=draw, dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % 4, 4, "some")


def test_a_batch_holds_the_moved_pixels_and_says_how_they_were_moved():
    images = some_images()
    for batch in Batches(images, 5, CropAndFlip(2)):
        assert torch.equal(batch.x, batch.movement(images.pixels[batch.sample]).float() / 255)
        assert torch.equal(batch.y, images.labels[batch.sample])


def test_augmentation_leaves_the_order_as_it_is():
    torch.manual_seed(1)
    plain = torch.cat([batch.sample for batch in Batches(some_images(), 5)])
    torch.manual_seed(1)
    moved = torch.cat([batch.sample for batch in Batches(some_images(), 5, CropAndFlip(2))])
    assert torch.equal(plain, moved)


@pytest.mark.parametrize("own", [False, True])
def test_a_training_stopped_in_an_epoch_sees_the_same_moved_images(own, tmp_path):
    def parts():
        torch.manual_seed(0)
        model = SmallConvNet(width=2, classes=4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        method = METHODS["fgsm-rs"]  # draws random numbers between the batches
        solver = method.solver(model, eps=0.1, channels=1, samples=22, leader_optimizer=optimizer)
        generator = torch.Generator().manual_seed(9) if own else None
        return solver, Batches(some_images(), 5, CropAndFlip(2), generator=generator)

    class Stop(Exception):
        pass

    class Stopping:
        """Batches that break off in the second epoch."""

        def __init__(self, batches):
            self.batches, self.epoch, self.generator = batches, 0, batches.generator

        def __iter__(self):
            self.epoch += 1
            for number, batch in enumerate(self.batches):
                if self.epoch == 2 and number == 3:
                    raise Stop
                yield batch

        def __len__(self):
            return len(self.batches)

    unbroken, data = parts()
    fit(unbroken, data, epochs=3, progress=False)
    first, data = parts()
    with pytest.raises(Stop):
        fit(first, Stopping(data), epochs=3, folder=tmp_path, checkpoint_every=1, progress=False)
    torch.manual_seed(77)
    second, data = parts()
    fitted = fit(second, data, epochs=3, folder=tmp_path, resume=True, progress=False)
    assert fitted.resumed_from is not None
    assert fitted.steps == 15
    expected = unbroken.task.leader.state_dict()
    for name, value in second.task.leader.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("n", [20, 21, 22, 23, 24])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_parts_of_several_processes_make_up_the_batches_of_one(world, n, drop_last):
    images, size = some_images(n), 6
    torch.manual_seed(2)
    whole = list(Batches(images, size, CropAndFlip(1), drop_last))
    ranks = []
    for rank in range(world):
        torch.manual_seed(2)
        batches = Batches(images, size, CropAndFlip(1), drop_last, rank, world)
        ranks.append(list(batches))
        assert len(ranks[-1]) == len(batches)
    left = [len(batch.y) - len(batch.y) % world for batch in whole]  # parts are of equal size
    assert [sum(len(part.y) for part in parts) for parts in zip(*ranks, strict=True)] == [m for m in left if m]
    for batch, parts in zip(whole, zip(*ranks, strict=True), strict=False):
        assert len({len(part.y) for part in parts}) == 1
        count = sum(len(part.y) for part in parts)
        for name in ("x", "y", "sample"):
            together = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(together, getattr(batch, name)[:count])


@pytest.mark.parametrize(("n", "drop_last", "sizes"), [(10, False, [4, 4, 2]), (10, True, [4, 4]), (8, True, [4, 4])])
def test_the_last_partial_batch_is_served_unless_it_is_dropped(n, drop_last, sizes):
    batches = Batches(some_images(n), 4, drop_last=drop_last)
    assert [len(batch.y) for batch in batches] == sizes
    assert len(batches) == len(sizes)


def test_an_own_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    batches = Batches(some_images(), 5, CropAndFlip(1), generator=torch.Generator().manual_seed(1))
    first, second = (torch.cat([batch.sample for batch in batches]) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 2, "world": 2}, r"from 0 to 1, got the rank 2 of 2"),
        ({"rank": -1, "world": 2}, "rank -1"),
        ({"rank": 0, "world": 0}, "rank 0 of 0"),
        ({"rank": 1, "world": 4}, "batch of 6 cannot be divided equally among 4"),
    ],
)
def test_processes_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        Batches(some_images(), 6, **settings)
