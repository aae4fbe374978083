import io
import math

import pytest
import torch

import bilevel
from bilevel import memory
from bilevel.errors import ConfigurationError, DivergenceError
from bilevel.rules import Gradient
from bilevel.tree import leaves, norms
from tasks.gail.batch import Halves, ImitationBatch
from tasks.gail.discriminator import Discriminator
from tasks.gail.learned_updaters import LEARNED
from tasks.gail.networks import AllAtOnce
from tasks.gail.regularisers import GradientPenalty
from tasks.gail.task import Imitation
from tasks.gail.updaters import UPDATERS, UpdaterSettings, moving

every_bounded = pytest.mark.parametrize("name", [name for name in UPDATERS if name != "paper-literal"])
every_learned = pytest.mark.parametrize("name", LEARNED)
every_corrected = pytest.mark.parametrize("name", [n for n in LEARNED if n not in ("paper-literal", "paper-proximal")])
small = Discriminator(2, (4, 3))


def pairs() -> ImitationBatch:
    return ImitationBatch(torch.randn(600, 2), torch.randn(400, 2) + 1)


def solver(settings: UpdaterSettings, discriminator: Discriminator = small) -> bilevel.Solver:
    torch.manual_seed(0)
    parts = moving(settings, discriminator)
    return bilevel.Solver(
        Imitation(discriminator),
        parts.rule,
        rule_optimizer=parts.rule_optimizer,
        rule_loss=parts.rule_loss,
        play=bilevel.FollowerFirst(),
    )


@every_bounded
def test_it_lowers_the_discriminators_loss(name: str) -> None:
    players, batch = solver(UpdaterSettings(name)), pairs()
    first = players.task.follower_loss(batch, small.start(batch.policy))
    for _ in range(20):
        players.step(batch)
    assert players.task.follower_loss(batch, players.answer) < first


@every_bounded
def test_a_saved_training_goes_on_bit_for_bit(name: str) -> None:
    players, batches = solver(UpdaterSettings(name)), [pairs() for _ in range(5)]
    for batch in batches[:3]:
        players.step(batch)
    file = io.BytesIO()
    torch.save(players.state_dict(), file)
    file.seek(0)
    again = solver(UpdaterSettings(name))
    again.load_state_dict(torch.load(file, weights_only=True))
    for batch in batches[3:]:
        players.step(batch)
        again.step(batch)
    assert all(torch.equal(a, b) for a, b in zip(leaves(players.answer), leaves(again.answer), strict=True))


@pytest.mark.parametrize("name", ["coordinate-wise", "lstm", "low-rank"])
def test_an_updater_may_be_trained_through_several_updates_on_pairs_it_has_not_seen(name: str) -> None:
    torch.manual_seed(0)
    parts = moving(UpdaterSettings(name), small)
    players = bilevel.Solver(
        Imitation(small, regularisers=[GradientPenalty(1.0)], split=Halves()),
        parts.rule,
        steps=3,
        rule_optimizer=parts.rule_optimizer,
        rule_loss=parts.rule_loss,
        play=bilevel.FollowerFirst(),
    )
    batch = pairs()
    losses = [float(players.step(batch).follower_loss) for _ in range(15)]
    assert losses[-1] < losses[0]


@every_corrected
def test_it_begins_as_its_base_step_and_is_never_far_from_it(name: str) -> None:
    settings, batch = UpdaterSettings(name, rate=1.0), pairs()
    players, base = solver(settings), solver(settings.base)
    players.step(batch)
    base.step(batch)
    for mine, theirs in zip(leaves(players.answer), leaves(base.answer), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    for _ in range(3):  # at this rate the network says nothing sensible
        before = players.answer
        _, gradient = players.problem(batch).gradient(before)
        players.step(batch)
        for z, g, after in zip(*(leaves(tree) for tree in (before, gradient, players.answer)), strict=True):
            assert (after - (z - 0.5 * g)).abs().max() <= 0.02 + 1e-6
            assert not torch.equal(after, z - 0.5 * g)


@every_learned
def test_every_parameter_learns(name: str) -> None:
    players, batch = solver(UpdaterSettings(name, rate=1e-4)), pairs()
    before = [p.detach().clone() for p in players.rule.parameters()]
    for _ in range(4):  # nothing before a last layer of zeros moves until that has
        players.step(batch)
    names = [n for n, _ in players.rule.named_parameters()]
    still = [n for n, p, old in zip(names, players.rule.parameters(), before, strict=True) if torch.equal(p, old)]
    assert still == []


@pytest.mark.parametrize("name", ["coordinate-wise", "lstm"])
def test_a_coordinate_wise_updater_does_not_know_which_weight_is_which(name: str) -> None:
    torch.manual_seed(0)
    rule = moving(UpdaterSettings(name), small).rule
    with torch.no_grad():
        for parameter in rule.parameters():
            parameter.normal_(0, 0.3)
    z, g, order = torch.randn(30), torch.randn(30), torch.randperm(30)
    update, state = rule.update(g, rule.init(z), params=z)
    update, _ = rule.update(g, state, params=z)
    shuffled, state = rule.update(g[order], rule.init(z[order]), params=z[order])
    shuffled, _ = rule.update(g[order], state, params=z[order])
    torch.testing.assert_close(shuffled, update[order], rtol=1e-5, atol=1e-6)


def test_the_numbers_of_parameters() -> None:
    cart_pole = Discriminator(6)
    m, layers = 2561, (384, 64, 2048, 32, 32, 1)
    counts = {
        "coordinate-wise": (3 * 32 + 32) + (32 * 32 + 32) + (32 + 1) + 2,
        "per-layer": sum(2 * n * 64 + 64 + 64 * 64 + 64 + 64 * n + n + 2 for n in layers),
        "low-rank": 2 * 16 * m + 52 * 16**2 + 13 * 16 + 2,
        "paper": 341_086_787,
        "paper-factored": 341_086_787,
        "paper-literal": 341_086_787,
    }
    for name, count in counts.items():
        assert UPDATERS[name].network.parameters(UpdaterSettings(name), cart_pole) == count


def test_the_default_rates_are_those_that_worked() -> None:
    assert AllAtOnce().rate(Discriminator(6, (16, 8))) == pytest.approx(1e-5, rel=0.05)  # m = 257
    assert AllAtOnce().rate(Discriminator(6)) == pytest.approx(1e-6, rel=0.05)  # m = 2,561
    assert moving(UpdaterSettings("coordinate-wise"), small).rule_optimizer.param_groups[0]["lr"] == 1e-3
    assert moving(UpdaterSettings("lstm", rate=0.5), small).rule_optimizer.param_groups[0]["lr"] == 0.5


def test_the_controls_and_losses() -> None:
    assert UpdaterSettings("lstm", step=0.3).base == UpdaterSettings("sgd", rate=0.3, step=0.3)
    assert moving(UpdaterSettings("lstm", step=0.3).base, small).rule.rule == Gradient(0.3)
    assert moving(UpdaterSettings("lstm"), small).rule_loss == bilevel.Proximal(1.0)
    assert moving(UpdaterSettings("lstm", proximal=0.0), small).rule_loss == bilevel.LastAnswer()
    assert moving(UpdaterSettings("paper-literal"), small).rule_loss == bilevel.LastAnswer()
    assert moving(UpdaterSettings("paper-proximal", proximal=0.5), small).rule_loss == bilevel.Proximal(0.5)
    assert moving(UpdaterSettings("adam"), small).rule_optimizer is None
    assert UpdaterSettings("lstm").learns
    assert not UpdaterSettings("adam").learns


def test_taken_literally_the_papers_updater_diverges_and_the_error_names_it() -> None:
    players, batch = solver(UpdaterSettings("paper-literal")), pairs()

    def train() -> None:
        for _ in range(300):
            players.step(batch)

    with pytest.raises(DivergenceError, match=r"The updater paper-literal diverged.*Proximal"):
        train()
    (size,) = norms(leaves(players.answer))
    assert float(size) <= 1000


def test_the_proximal_loss_keeps_the_same_updater_bounded() -> None:
    largest = {}
    for name in ("paper-literal", "paper-proximal"):
        players, batch = solver(UpdaterSettings(name, rate=1e-3, bound=1e9)), pairs()
        sizes = []
        for _ in range(100):
            players.step(batch)
            sizes.append(float(norms(leaves(players.answer))[0]))
        largest[name] = max(sizes)
    assert largest["paper-proximal"] < 14
    assert largest["paper-literal"] > 1000


def test_memory_is_asked_for_before_the_papers_updater_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2 * 2**30)
    with pytest.raises(ConfigurationError) as caught:
        moving(UpdaterSettings("paper"), Discriminator(6))
    message = str(caught.value)
    assert "paper has 341,086,787 parameters for a discriminator of 2,561 weights" in message
    assert "needs 5.1 GiB of memory, and 2.0 GiB are left" in message
    assert "paper-factored (1.3 GiB)" in message
    assert "low-rank (1 MiB)" in message
    assert "paper (" not in message
    assert "coordinate-wise" in message


def test_what_does_not_fit_either_is_not_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    with pytest.raises(
        ConfigurationError, match=r"What fits: coordinate-wise .* per-layer \(\d+ MiB\), low-rank"
    ) as caught:
        moving(UpdaterSettings("paper"), Discriminator(6))
    assert "paper-factored" not in str(caught.value)
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    with pytest.raises(ConfigurationError, match=r"GiB are left\. Take fewer weights, such as --hidden 16 8"):
        moving(UpdaterSettings("paper"), Discriminator(6))


def test_an_unroll_sums_gradients_and_needs_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2 * 2**30)
    for name in ("paper", "paper-literal"):
        with pytest.raises(ConfigurationError, match=r"needs 6\.4 GiB of memory"):
            moving(UpdaterSettings(name, unroll=2), Discriminator(6))


def test_unknown_names_and_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no updater 'coordinatewise'. Did you mean coordinate-wise\?"):
        UpdaterSettings("coordinatewise")
    for wrong in ({"rate": 0.0}, {"limit": -1.0}, {"step": math.inf}, {"bound": math.nan}, {"rank": 0}):
        with pytest.raises(ConfigurationError, match="must be a finite number above 0"):
            UpdaterSettings(**wrong)
    with pytest.raises(ConfigurationError, match="proximal price must be at least 0"):
        UpdaterSettings(proximal=-1.0)
    with pytest.raises(ConfigurationError, match="must have units"):
        UpdaterSettings(hidden=())
    with pytest.raises(ConfigurationError, match="must be of one size"):
        moving(UpdaterSettings("lstm", hidden=(3, 4)), small)
