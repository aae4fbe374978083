"""Pytrees of tensors: the follower's answer may be a tensor or any nesting of tuples, lists and dicts of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import optree
import torch
from torch import Tensor

Tree: TypeAlias = Any
"""A tensor, or nested tuples, lists and dicts of tensors."""


def leaves(tree: Tree) -> list[Any]:
    """Return the entries of ``tree``, left to right: tensors, but for a rule's state, which may hold plain values too.

    ``None`` is no entry.
    """
    return [tree] if isinstance(tree, Tensor) else optree.tree_leaves(tree)


def tree_map(function: Callable[..., Any], tree: Tree, *rest: Tree) -> Tree:
    """Apply ``function`` to each tensor of ``tree`` (and of ``rest``, which have its structure)."""
    return function(tree, *rest) if isinstance(tree, Tensor) else optree.tree_map(function, tree, *rest)


def replace_leaves(tree: Tree, new: list[Any]) -> Tree:
    """Return a tree of the structure of ``tree`` that holds the entries ``new``."""
    return new[0] if isinstance(tree, Tensor) else optree.tree_unflatten(optree.tree_structure(tree), new)


def detach(tree: Tree) -> Tree:
    """Return ``tree`` cut from every graph; entries that are not tensors stay as they are."""
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)


def as_leaves(tree: Tree) -> Tree:
    """Return ``tree`` cut from every graph, its floating tensors asking for gradients of their own."""
    return tree_map(
        lambda leaf: leaf.detach().requires_grad_() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf,
        tree,
    )


def asking(tree: Tree) -> Tree:
    """Return ``tree`` with every tensor asking for a gradient: those with a graph as they are, others as leaves."""
    return tree_map(lambda leaf: leaf if leaf.requires_grad else leaf.detach().requires_grad_(), tree)


def filled(gradients: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients with zeros where there is none."""
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(gradients, like, strict=True)]


def clone(tree: Tree) -> Tree:
    """Return ``tree`` with copies of its tensors; entries that are not tensors stay as they are."""
    return tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, tree)


def add(tree: Tree, updates: Tree) -> Tree:
    """Return ``tree + updates`` without changing either."""
    return tree_map(torch.add, tree, updates)


def squared_norm(tree: Tree) -> Tensor:
    """Return the sum of the squares of all entries, a scalar tensor (0 for an empty tree)."""
    tensors = leaves(tree)
    return sum((t.square().sum() for t in tensors[1:]), tensors[0].square().sum()) if tensors else torch.zeros(())


def norms(*groups: Sequence[Tensor]) -> list[Tensor]:
    """Return the Euclidean norm of all entries of each group together, scalar tensors without a graph."""
    with torch.no_grad():
        each: list[Tensor] = list(torch._foreach_norm([t for group in groups for t in group]))  # noqa: SLF001
        ends = list(itertools.accumulate(len(group) for group in groups))
        return [
            torch.linalg.vector_norm(torch.stack(each[end - len(g) : end])) for g, end in zip(groups, ends, strict=True)
        ]
