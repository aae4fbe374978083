import pytest
import torch

import bilevel
from bilevel.errors import ConfigurationError, DivergenceError, NonFiniteError
from bilevel.rules import Adam, Gradient, Guarded


def test_within_the_bound_it_is_the_rule() -> None:
    z, g = {"a": torch.randn(3), "b": torch.randn(2, 2)}, {"a": torch.randn(3), "b": torch.randn(2, 2)}
    rule = Guarded(Adam(0.1), limit=100.0)
    mine, state = rule.update(g, rule.init(z), params=z)
    theirs, after = Adam(0.1).update(g, Adam(0.1).init(z), params=z)
    assert all(torch.equal(mine[name], theirs[name]) for name in z)
    assert torch.equal(state.mean, after.mean)


@pytest.mark.parametrize(("place", "allowed"), [(2.9, True), (3.1, False)])
def test_the_bound_is_on_all_entries_together(place: float, allowed: bool) -> None:
    rule, z = Guarded(Gradient(1.0), limit=5.0), {"a": torch.tensor([4.0]), "b": torch.tensor([0.0])}
    slopes = {"a": torch.tensor([0.0]), "b": torch.tensor([-place])}
    if allowed:
        rule.update(slopes, rule.init(z), params=z)
    else:
        with pytest.raises(DivergenceError, match=r"The updater Gradient diverged.* is 5\.0.*at most 5 is allowed"):
            rule.update(slopes, rule.init(z), params=z)


@pytest.mark.parametrize("slope", [float("nan"), float("inf")])
def test_what_is_not_finite_is_stopped_and_the_updater_named(slope: float) -> None:
    rule = Guarded(Gradient(1.0), limit=5.0, name="mine")
    with pytest.raises(NonFiniteError, match="The updater mine diverged"):
        rule.update(torch.tensor([slope, 1.0]), (), params=torch.zeros(2))


def test_the_leader_never_sees_an_answer_beyond_the_bound() -> None:
    seen: list[float] = []

    class Watch(bilevel.LeaderUpdate):
        uses_gradient = False

        def parameters(self, leader):
            return []

        def update(self, batch, answer, gradient) -> None:
            seen.append(float(answer))

        def state_dict(self):
            return {}

        def load_state_dict(self, state) -> None:
            pass

    class Growing(bilevel.FollowerTask):
        def start(self, batch):
            return torch.tensor(1.0)

        def follower_loss(self, batch, z):
            return -z.square()

    solver = bilevel.Solver(
        Growing(torch.nn.Parameter(torch.zeros(())), lives_on=True),
        Guarded(Gradient(1.0), limit=100.0),
        leader_optimizer=Watch(),
        play=bilevel.FollowerFirst(),
    )
    for _ in range(4):
        solver.step(None)
    with pytest.raises(DivergenceError):
        solver.step(None)
    assert seen == [3.0, 9.0, 27.0, 81.0]
    assert float(solver.answer) == 81.0


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="Guarded's limit is 0"):
        Guarded(Gradient(1.0), limit=0.0)
    with pytest.raises(ConfigurationError, match="call update"):
        Guarded(Gradient(1.0), limit=1.0).update(torch.zeros(1), ())
