"""A rule trained on a family of games: the games, the training problem, the shipped rule, and the command."""

from __future__ import annotations

import csv
import math

import pytest
import torch

import bilevel
from bilevel.errors import ConfigurationError, RuleFileError
from bilevel.learned import LSTM, save
from tasks.cli import main
from tasks.run import Run
from tasks.toy import Duopoly, ToyConfig, play
from tasks.toy.curvatures import CURVATURES
from tasks.toy.family_play import anderson, extragradient, first_hits, learned, optimistic, steps_for
from tasks.toy.game_batch import Games
from tasks.toy.game_family import GameFamily
from tasks.toy.rule_config import RuleConfig
from tasks.toy.rule_file import load_rule
from tasks.toy.rule_run import TARGETS, best_per_game, quantile
from tasks.toy.rule_training import RuleTraining
from tasks.toy.train_rule import make_rule, train_rule
from tasks.toy.trained_play import TrainedPlay

SMALL = GameFamily(kinds=tuple(CURVATURES), size=(1, 4))
TINY = RuleConfig(
    memory=2, hidden=3, windows=4, updates=5, games=6, shortest=5, longest=10, family=GameFamily(size=(1, 3))
)


def draw(count: int, seed: int = 0, family: GameFamily = SMALL) -> Games:
    return family.draw(count, torch.Generator().manual_seed(seed))


def test_the_field_is_each_players_own_gradient_and_zero_at_the_equilibrium() -> None:
    games = draw(40)
    z = torch.randn(40, 8, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(games.value(z).sum(), z)
    sign = torch.tensor([1.0] * 4 + [-1.0] * 4, dtype=torch.float64)
    torch.testing.assert_close(games.field(z), sign * slope, rtol=1e-10, atol=1e-10)
    assert float(games.field(games.equilibrium).abs().max()) == 0
    assert set(games.kinds) == set(CURVATURES)


def test_each_game_is_convex_concave_with_one_equilibrium() -> None:
    games = draw(40)
    for i in range(40):
        one = games.take(torch.tensor([i]))
        place = torch.randn(1, 8, dtype=torch.float64)
        slope = torch.autograd.functional.jacobian(lambda z, one=one: one.field(z[None])[0], place[0])
        own = torch.tensor([*range(int(one.sizes[0, 0])), *(4 + j for j in range(int(one.sizes[0, 1])))])
        inside = slope[own][:, own]
        # Monotone: the symmetric part of the Jacobian is positive semidefinite.
        assert float(torch.linalg.eigvalsh(inside + inside.T)[0]) > -1e-9
        assert float(torch.linalg.svdvals(inside)[-1]) > 0
        assert float(torch.linalg.matrix_norm(one.coupling, 2)[0]) == pytest.approx(float(one.smoothness[0]), rel=1e-10)
        rest = torch.tensor([j for j in range(8) if j not in own.tolist()], dtype=torch.long)
        assert float(slope[rest].abs().sum()) == float(one.equilibrium[0, rest].abs().sum()) == 0


def test_the_draw_depends_on_the_generator_alone() -> None:
    first, again, other = draw(3, 1), draw(3, 1), draw(3, 2)
    assert torch.equal(first.coupling, again.coupling)
    assert not torch.equal(first.equilibrium, other.equilibrium)
    with pytest.raises(ConfigurationError, match="size is 3 to 2"):
        GameFamily(size=(3, 2))
    with pytest.raises(ConfigurationError, match="known are"):
        GameFamily(kinds=("cubic",))


def test_extragradient_and_optimistic_steps_count_what_they_evaluate() -> None:
    games = draw(1, family=GameFamily(kinds=("bilinear",), size=(1, 1)))
    step = 0.4 / games.smoothness[None]
    # On a bilinear game of one number each, extragradient shrinks by a known factor.
    factor = math.sqrt((1 - 0.4**2) ** 2 + 0.4**2)
    plays = extragradient(games, step)
    seen = [(count, float(games.distance(z)[0, 0])) for (count, z), _ in zip(plays, range(4), strict=False)]
    assert [count for count, _ in seen] == [0, 2, 4, 6]
    assert [share for _, share in seen] == pytest.approx([factor**k for k in range(4)], rel=1e-12)
    needed = math.ceil(math.log(1e-2) / math.log(factor))
    assert float(first_hits(games, extragradient(games, step), [1e-2], 500)[0, 0, 0]) == 2 * needed
    assert first_hits(games, extragradient(games, step), [1e-2], 2 * needed - 1).isinf().all()
    z, before = games.start(), games.field(games.start())
    for _ in range(3):
        now = games.field(z)
        z, before = z - step[0, :, None] * (2 * now - before), now
    *_, (count, place) = (pair for pair, _ in zip(optimistic(games, step), range(4), strict=False))
    assert count == 3
    torch.testing.assert_close(place[0], z, rtol=1e-13, atol=0)


def test_anderson_solves_an_affine_game_in_as_many_evaluations_as_it_has_numbers() -> None:
    games = draw(1, family=GameFamily(kinds=("quadratic",), size=(3, 3)))
    play = anderson(games, 0.3 / games.smoothness[None], ridge=1e-14)
    assert float(first_hits(games, play, [1e-6], 50)[0, 0, 0]) <= 2 * 3 + 2


def test_the_hypergradient_is_that_of_an_unroll_by_hand() -> None:
    rule = make_rule(RuleConfig(memory=2, hidden=3), batched=True)
    torch.nn.init.normal_(rule.head.weight, std=0.1)
    games, seen = draw(5), []
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.0)
    optimizer.register_step_pre_hook(lambda *_: seen.extend(p.grad.clone() for p in rule.parameters()))
    solver = bilevel.Solver(
        RuleTraining(rule),
        rule,
        steps=6,
        leader_optimizer=optimizer,
        hypergradient=bilevel.Unrolled(answers=6),
        play=bilevel.FollowerFirst(),
    )
    record = solver.step(games)
    z, total = games.start(), torch.zeros((), dtype=torch.float64)
    state = rule.init(z)
    for _ in range(6):
        move, state = rule.update(games.field(z), state, params=z)
        z = z + move
        share = (z - games.equilibrium).square().sum(-1) / games.equilibrium.square().sum(-1)
        total = total + ((share + 1e-20).log() / 2).mean() / 6
    expected = torch.autograd.grad(total, list(rule.parameters()))
    assert record.leader_loss == pytest.approx(total.item(), rel=1e-12)
    assert all(float(one.abs().max()) > 1e-6 for one in expected)
    for got, wanted in zip(seen, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)


def test_an_episode_goes_on_where_the_last_window_ended() -> None:
    rule, games = make_rule(TINY, batched=True), draw(4)
    task = RuleTraining(rule, episode=2)
    solver = bilevel.Solver(
        task,
        rule,
        steps=5,
        leader_optimizer=torch.optim.SGD(rule.parameters(), lr=0.0),
        hypergradient=bilevel.Unrolled(answers=5),
        play=bilevel.FollowerFirst(),
    )
    first = solver.step(games).leader_loss
    *_, (count, place) = (pair for pair, _ in zip(learned(games, rule), range(6), strict=False))
    assert count == 5
    assert isinstance(solver.answer, dict)
    torch.testing.assert_close(torch.cat([solver.answer["x"], solver.answer["y"]], -1), place)
    solver.step(games)
    assert solver.answer is None  # the episode is over
    assert solver.step(games).leader_loss == first


def test_training_makes_a_rule_better_on_games_it_never_saw() -> None:
    config = RuleConfig(memory=2, hidden=3, windows=15, games=8, longest=20, rate=0.05, family=GameFamily(size=(1, 2)))
    before = torch.get_rng_state()
    trained = train_rule(config)
    assert torch.equal(torch.get_rng_state(), before)
    assert trained.evaluations == 15 * 10 * 8
    games = draw(64, 9, config.family)

    def left(rule: torch.nn.Module) -> float:
        batched = make_rule(config, batched=True)
        batched.load_state_dict(rule.state_dict())
        with torch.no_grad():
            *_, (_, z) = (pair for pair, _ in zip(learned(games, batched), range(21), strict=False))
        return float(games.distance(z).log().mean())

    assert left(trained.rule) < left(make_rule(config, batched=True)) - 0.5


def test_the_shipped_rule_beats_both_classical_methods_at_their_best_step_for_each_game() -> None:
    games = GameFamily().draw(16, torch.Generator().manual_seed(4_242))
    rule = load_rule(batched=True)
    own = first_hits(games, learned(games, rule), TARGETS, 300)
    steps = steps_for(games, 11)
    for method in (extragradient, optimistic):
        best = best_per_game(games, method, 300, steps)
        for hits, theirs in zip(own, best, strict=True):
            assert int((hits < theirs).sum()) >= 15
            assert 3 * quantile(hits, 0.5) < quantile(theirs, 0.5)
    assert int(own[2].isfinite().sum()) >= 15
    assert quantile(own[2], 0.5) <= 45


def test_a_rule_survives_its_file_and_nothing_else_is_taken_for_one(tmp_path) -> None:
    rule = make_rule(TINY, batched=False)
    torch.nn.init.normal_(rule.head.weight)
    save(rule, tmp_path / "rule.safetensors", {"seed": 3})
    found = load_rule(tmp_path / "rule.safetensors")
    assert (found.memory, found.hidden, found.batched) == (2, 3, False)
    assert all(torch.equal(a, b) for a, b in zip(found.state_dict().values(), rule.state_dict().values(), strict=True))
    assert next(load_rule(tmp_path / "rule.safetensors", dtype=torch.float32).parameters()).dtype == torch.float32
    (tmp_path / "damaged").write_bytes(b"pickled")
    save(LSTM(hidden=2), tmp_path / "other")
    for name, message in (("damaged", "damaged"), ("missing", "no file"), ("other", "of the kind LSTM")):
        with pytest.raises(RuleFileError, match=message):
            load_rule(tmp_path / name)


@pytest.mark.parametrize("game", ["xy", "bilinear", "van-der-pol", "double-well"])
def test_the_shipped_rule_plays_the_toy_games_as_one_player(game: str) -> None:
    config = ToyConfig(game, ("simultaneous",))
    found = play(TrainedPlay().solver(config.make_game, 0.02), 40)
    assert found.evaluations.tolist() == list(range(41))
    arrived = found.reached(1e-6)
    assert arrived is not None
    assert arrived <= 20


def test_it_finds_the_point_where_no_player_is_pushed_not_that_of_a_leader_who_foresees() -> None:
    game = Duopoly(0.3, 0.2)
    found = play(TrainedPlay().solver(lambda **kind: Duopoly(0.3, 0.2, **kind), 0.02), 40)
    assert torch.cat([found.x[-1] - game.nash[0], found.y[-1] - game.nash[1]]).abs().max() < 1e-10
    assert found.distance[-1] > 0.1


def test_the_command_trains_compares_and_leaves_a_run(tmp_path, capsys) -> None:
    words = "--memory 2 --hidden 3 --windows 4 --updates 5 --games 6 --shortest 5 --longest 10 --size 1 3"
    told = ["train", "toy-rule", *words.split(), "--unseen", "5", "--most", "40", "--run", str(tmp_path / "run")]
    assert main(told) == 0
    run = Run.open(tmp_path / "run")
    assert run.config["task"] == "toy-rule"
    assert run.config["family"]["size"] == [1, 3]
    records = {record["method"]: record for record in run.results()}
    assert list(records) == ["learned", "extragradient", "optimistic"]
    assert all(record["n"] == 5 and 0 <= record["reached_0.01"] <= 1 for record in records.values())
    assert records["learned"]["training_evaluations"] == 4 * 5 * 6
    with run.metrics.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["window"]) for row in rows] == [1, 2, 3, 4]
    assert tuple(float(row["leader_loss"]) for row in rows) == train_rule(TINY).losses
    assert (run.figures / "training.png").read_bytes().startswith(b"\x89PNG")
    assert load_rule(run.checkpoints / "rule.safetensors").memory == 2
    assert "optimistic, best steps" in capsys.readouterr().out
    assert main(told) == 2
    assert main([*told, "--overwrite", "--rate", "0"]) == 2
