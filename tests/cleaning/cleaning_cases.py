"""Small cleaning problems in float64, and the same mathematics written out once more in plain PyTorch."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from tasks.cleaning.data import CleaningData, Labelled, corrupt
from tasks.cleaning.models import Classifier
from tasks.cleaning.task import CleaningBatch, HyperCleaning

CLASSES = 3


def clusters(*, train=24, other=18, inputs=4, noise=0.25, seed=0, spread=0.1):
    """Return points around one corner of the simplex a class, of which some have a wrong label."""
    draw = torch.Generator().manual_seed(seed)

    def some(count):
        y = torch.randint(CLASSES, (count,), generator=draw)
        x = torch.eye(CLASSES, inputs, dtype=torch.float64)[y]
        return Labelled(x + spread * torch.randn(count, inputs, generator=draw, dtype=torch.float64), y)

    truth = some(train)
    given = Labelled(truth.x, corrupt(truth.y, noise, CLASSES, draw))
    return CleaningData("clusters", CLASSES, given, truth.y, some(other), some(other), some(other))


def players(model, *, lives_on=True, penalty=0.01, data=None, seed=0):
    """Return a task with a leader away from its start, and the batch of everything."""
    data = data or clusters(seed=seed)
    classifier = Classifier(data.train.x.shape[1], data.classes, (5,) if model == "mlp" else (), seed)
    task = HyperCleaning(classifier, data.train, penalty=penalty, lives_on=lives_on)
    with torch.no_grad():
        task.leader.copy_(torch.randn(len(task.leader), generator=torch.Generator().manual_seed(seed)))
    return task, CleaningBatch(data.train, None, data.validation)


def reference_logits(z, x):
    """Return the classifier's output, layer by layer."""
    hidden = len(z) // 2 - 1
    for layer in range(hidden):
        x = torch.tanh(x @ z[f"weight{layer}"].T + z[f"bias{layer}"])
    return x @ z[f"weight{hidden}"].T + z[f"bias{hidden}"]


def reference_follower_loss(theta, z, batch, penalty):
    """Return the weighted training loss, sample by sample."""
    logits = reference_logits(z, batch.train.x)
    places = range(len(batch.train.y)) if batch.sample is None else batch.sample.tolist()
    total = sum(
        cross_entropy(logits[i : i + 1], batch.train.y[i : i + 1]) / (1 + torch.exp(-theta[place]))
        for i, place in enumerate(places)
    )
    return total / len(batch.train.y) + penalty * sum((t * t).sum() for t in z.values())


def reference_leader_loss(z, batch):
    """Return the validation loss."""
    return cross_entropy(reference_logits(z, batch.validation.x), batch.validation.y)


def reference_unrolled(theta, z, batch, *, penalty, rate, steps, last):
    """Return θ's gradient through the last of ``steps`` gradient steps from z, and the weights they lead to."""
    theta = theta.detach().clone().requires_grad_()
    for step in range(steps):
        if step <= steps - last:  # what came before is a constant
            z = {name: leaf.detach().clone().requires_grad_() for name, leaf in z.items()}
        loss = reference_follower_loss(theta, z, batch, penalty)
        slopes = torch.autograd.grad(loss, list(z.values()), create_graph=True)
        z = {name: leaf - rate * slope for (name, leaf), slope in zip(z.items(), slopes, strict=True)}
    (gradient,) = torch.autograd.grad(reference_leader_loss(z, batch), theta)
    return gradient, {name: leaf.detach() for name, leaf in z.items()}


def reference_implicit(theta, z, batch, *, penalty, damping=0.0):
    """Return -(∂_θ∂_z q) (∂²_z q + damping)⁻¹ ∂_z ℓ at z, with the whole Hessian."""
    names, shapes = list(z), [leaf.shape for leaf in z.values()]
    point = torch.cat([leaf.detach().reshape(-1) for leaf in z.values()])
    sizes = [shape.numel() for shape in shapes]

    def tree(flat):
        parts = zip(flat.split(sizes), shapes, strict=True)
        return dict(zip(names, [part.reshape(shape) for part, shape in parts], strict=True))

    def slope(theta, flat):
        return torch.func.grad(lambda at: reference_follower_loss(theta, tree(at), batch, penalty))(flat)

    theta = theta.detach()
    hessian = torch.func.jacrev(slope, argnums=1)(theta, point)
    mixed = torch.func.jacrev(slope, argnums=0)(theta, point)
    right = torch.func.grad(lambda at: reference_leader_loss(tree(at), batch))(point)
    return -mixed.T @ torch.linalg.solve(hessian + damping * torch.eye(len(point), dtype=point.dtype), right)
