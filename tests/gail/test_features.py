import numpy as np
import pytest
import torch

from bilevel.errors import ConfigurationError
from tasks.gail.features import Continuous, Features, OneHot
from tasks.gail.normaliser import RunningNorm


def test_rows_are_the_observation_and_a_one_in_the_place_of_the_action() -> None:
    features = Features(2, OneHot(3))
    rows = features.rows(np.array([[0.5, -1.0], [2.0, 3.0]]), np.array([[2], [0]]))
    assert torch.equal(rows, torch.tensor([[0.5, -1, 0, 0, 1], [2, 3, 1, 0, 0]]))
    assert (features.size, features.measured) == (5, 2)
    assert torch.equal(features.rows(torch.tensor([[0.5, -1], [2, 3]]), torch.tensor([2.0, 0.0])), rows)


def test_continuous_actions_are_their_own_numbers() -> None:
    features = Features(2, Continuous(2))
    rows = features.rows(torch.ones(1, 1, 2), torch.tensor([[0.25, 0.5]]))
    assert torch.equal(rows, torch.tensor([[1, 1, 0.25, 0.5]]))
    assert (features.size, features.measured) == (4, 4)


def test_they_are_made_from_an_environments_spaces() -> None:
    spaces = pytest.importorskip("gymnasium").spaces
    box = spaces.Box(-1, 1, (2, 3))
    assert Features.of(box, spaces.Discrete(4, start=1)) == Features(6, OneHot(4, 1))
    assert Features.of(box, spaces.Box(-1, 1, (2,))) == Features(6, Continuous(2))
    with pytest.raises(ConfigurationError, match="must be Discrete or a Box"):
        Features.of(box, spaces.MultiBinary(2))
    with pytest.raises(ConfigurationError, match="observations of numbers"):
        Features.of(spaces.Discrete(5), spaces.Discrete(2))


def test_actions_may_be_counted_from_another_number() -> None:
    assert torch.equal(OneHot(2, first=1)(torch.tensor([1, 2])), torch.eye(2))


@pytest.mark.parametrize(
    ("encoding", "actions", "message"),
    [
        (OneHot(3), torch.tensor([[0.5], [1.0]]), "these are continuous, encode them by Continuous"),
        (OneHot(3), torch.zeros(2, 4), "needs one whole number an action"),
        (OneHot(3), torch.tensor([0, 3]), "must be from 0 to 2, got 0 to 3: are they those of another environment"),
        (OneHot(2), torch.tensor([-1, 0]), "must be from 0 to 1, got -1 to 0"),
        (Continuous(2), torch.zeros(2, 3), "must have 2 numbers each, got 3"),
    ],
)
def test_actions_of_another_kind_are_refused(encoding, actions: torch.Tensor, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        encoding(actions)


def test_observations_of_another_environment_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="must have 4 numbers each, got 3: are they those of another"):
        Features(4, OneHot(2)).rows(np.zeros((5, 3)), np.zeros(5, dtype=np.int64))
    with pytest.raises(ConfigurationError, match="5 observations and 4 actions"):
        Features(4, OneHot(2)).rows(np.zeros((5, 4)), np.zeros(4, dtype=np.int64))


def test_the_running_statistics_are_those_of_all_rows_together() -> None:
    rows = torch.randn(1000, 4, dtype=torch.float64) * torch.tensor([1e-3, 1.0, 1e3, 1.0]) + 1e4
    norm = RunningNorm(3)
    for part in rows.split([1, 499, 0, 500]):
        norm.see(part)
    torch.testing.assert_close(norm.mean, rows[:, :3].mean(0), rtol=1e-13, atol=0)
    torch.testing.assert_close(norm.squares / norm.count, rows[:, :3].var(0, correction=0), rtol=1e-9, atol=0)
    scaled = norm.scale(rows)
    torch.testing.assert_close(scaled[:, 1:3].mean(0), torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(
        scaled[:, 1:3].var(0, correction=0), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6
    )
    assert torch.equal(scaled[:, 3], rows[:, 3])  # one-hot actions stay


def test_without_any_rows_nothing_is_scaled_and_a_constant_feature_becomes_zero() -> None:
    norm, rows = RunningNorm(1), torch.full((3, 2), 7.0)
    assert torch.equal(norm.scale(rows), rows)
    norm.see(rows)
    assert torch.equal(norm.scale(rows), torch.tensor([[0.0, 7.0]]).expand(3, 2))


def test_statistics_go_on_after_a_save() -> None:
    norm, again = RunningNorm(2), RunningNorm(2)
    norm.see(torch.randn(5, 2))
    again.load_state_dict(norm.state_dict())
    more = torch.randn(4, 2)
    norm.see(more)
    again.see(more)
    assert norm.count == again.count == 9
    assert torch.equal(norm.scale(more), again.scale(more))


@pytest.mark.parametrize("settings", [{"measured": 0}, {"measured": 2, "epsilon": 0.0}])
def test_settings_must_be_positive(settings) -> None:
    with pytest.raises(ConfigurationError, match="both must be positive"):
        RunningNorm(**settings)
