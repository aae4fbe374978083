"""Whether the parts that a user combines fit together, said in the user's words before anything is moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn, optim

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError
from bilevel.hypergradient import Hypergradient
from bilevel.leader import LeaderUpdate, OptimizerUpdate, trained
from bilevel.play import Play
from bilevel.rule_loss import RuleLoss
from bilevel.rules.protocol import Rule, sees_gradient
from bilevel.task import FollowerTask, Task

if TYPE_CHECKING:
    from bilevel.solver import Solver


def check_parts(
    task: Any,
    rule: Any,
    *,
    steps: Any,
    leader_optimizer: Any,
    rule_optimizer: Any,
    hypergradient: Any,
    play: Any,
    rule_loss: Any,
) -> LeaderUpdate | None:
    """Return how the leader moves; the arguments are those of `Solver`.

    Raises:
        ConfigurationError: naming the argument that does not fit.
    """
    if not isinstance(task, Task):
        raise ConfigurationError(f"task must be a bilevel.Task, got {_shown(task)}.")
    if not hasattr(task, "leader"):
        raise ConfigurationError(
            f"{type(task).__name__}.__init__ does not call super().__init__(leader=...): do so first."
        )
    if isinstance(rule, type) or not isinstance(rule, Rule):
        raise ConfigurationError(
            "rule must be an object with init and update, as bilevel.rules, bilevel.learned and TorchOpt's functional "
            f"optimizers (torchopt.adam(...), not torchopt.Adam) have; got {_shown(rule)}."
        )
    check_count("steps, the number of rule updates a step,", steps)
    for name, value, kind, example in (
        ("hypergradient", hypergradient, Hypergradient, "bilevel.Direct()"),
        ("play", play, Play, "bilevel.LeaderFirst()"),
        ("rule_loss", rule_loss, RuleLoss, "bilevel.Proximal(1.0)"),
        ("rule_optimizer", rule_optimizer, optim.Optimizer, "torch.optim.Adam(rule.parameters())"),
    ):
        if value is not None and not isinstance(value, kind):
            raise ConfigurationError(f"{name} must be an object such as {example}, got {_shown(value)}.")
    if rule_loss is not None and rule_loss.uses_gradients and not sees_gradient(rule):
        raise ConfigurationError(
            f"{type(rule_loss).__name__} is made of the gradients that feed the rule, and {type(rule).__name__} sees "
            "none: use bilevel.LastAnswer(), or a rule that sees the gradient."
        )
    return _leader_update(task, leader_optimizer)


def check_methods(solver: Solver[Any]) -> None:
    """Raise `ConfigurationError` if the play, the hypergradient and the players do not fit together."""
    hypergradient, play, task = solver.hypergradient, solver.play, solver.task
    hypergradient.check(solver.problem(None), solver.steps)
    play.check(solver)
    leads = solver.leader_update is not None and solver.leader_update.uses_gradient
    if leads and hypergradient.needs_moves and not play.shows_moves(lives_on=task.lives_on):
        raise ConfigurationError(
            f"{type(hypergradient).__name__} differentiates through the follower's moves, but in "
            f"{type(play).__name__} the leader sees where a follower that lives on stood before it moved: pass "
            "play=bilevel.FollowerFirst(), or a hypergradient that asks for the answer alone, such as "
            "bilevel.Implicit(...)."
        )


def check_shareable(solver: Solver[Any]) -> None:
    """Raise `ConfigurationError` unless the players of ``solver`` can be moved by several processes together."""
    if solver.task.lives_on:
        raise ConfigurationError(
            f"The follower of {type(solver.task).__name__} lives on (lives_on=True), so that every process would have "
            "another one: several processes need a follower that starts anew on each batch."
        )
    if solver.leader_update is not None and not isinstance(solver.leader_update, OptimizerUpdate):
        raise ConfigurationError(
            f"The leader is moved by {type(solver.leader_update).__name__}, of which several processes cannot take a "
            "mean: give a torch optimizer as leader_optimizer."
        )


def trained_parameters(rule: Rule, optimizer: optim.Optimizer | None, led: Sequence[Tensor]) -> list[Tensor]:
    """Return the parameters of ``rule`` that ``optimizer`` trains.

    Args:
        rule: the rule.
        optimizer: the rule's optimizer, if it has one.
        led: what the leader moves, the rule's parameters among them if the rule itself is the leader.

    Raises:
        ConfigurationError: if the three do not fit.
    """
    own: list[Tensor] = list(rule.parameters()) if isinstance(rule, nn.Module) else []
    by_leader = {id(p) for p in led}
    held = [p for group in optimizer.param_groups for p in group["params"]] if optimizer is not None else []
    if any(id(p) in by_leader for p in held):
        raise ConfigurationError(
            f"The rule {type(rule).__name__} is moved by the leader_optimizer and by the rule_optimizer: keep one of "
            "them."
        )
    own = [p for p in own if id(p) not in by_leader]
    if optimizer is not None:
        _refuse_closures("rule_optimizer", optimizer)
        return trained(optimizer, own, "rule_optimizer", f"the rule {type(rule).__name__}")
    if any(p.requires_grad for p in own):
        raise ConfigurationError(
            f"The rule {type(rule).__name__} has parameters to train, but no rule_optimizer was given. Pass "
            "rule_optimizer=torch.optim.Adam(rule.parameters()), or freeze it by rule.requires_grad_(False)."
        )
    return []


def _leader_update(task: Task[Any, Any], optimizer: Any) -> LeaderUpdate | None:
    if optimizer is not None and not isinstance(optimizer, optim.Optimizer | LeaderUpdate):
        raise ConfigurationError(
            "leader_optimizer must be a torch optimizer over the leader's parameters, such as "
            f"torch.optim.SGD(model.parameters(), lr=0.1), or a bilevel.LeaderUpdate; got {_shown(optimizer)}."
        )
    if optimizer is None:
        if task.leader is None:
            return None
        raise ConfigurationError(
            "The task has a leader, but nothing moves it: pass leader_optimizer=torch.optim.SGD(...) over its "
            "parameters."
        )
    if task.leader is None:
        raise ConfigurationError("leader_optimizer was given, but the task has no leader.")
    update = OptimizerUpdate(optimizer) if isinstance(optimizer, optim.Optimizer) else optimizer
    if isinstance(optimizer, optim.Optimizer):
        _refuse_closures("leader_optimizer", optimizer)
    if update.uses_gradient and isinstance(task, FollowerTask):
        raise ConfigurationError(
            f"{type(task).__name__} is a FollowerTask, which has no leader_loss, so that no optimizer can move its "
            "leader: derive it from Task or MinimaxTask, or give a LeaderUpdate with uses_gradient = False."
        )
    return update


def _refuse_closures(name: str, optimizer: optim.Optimizer) -> None:
    if isinstance(optimizer, optim.LBFGS):
        raise ConfigurationError(
            f"{name} cannot be LBFGS, which evaluates the loss itself: use a first-order optimizer."
        )


def _shown(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
