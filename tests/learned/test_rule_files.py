"""Rules as files: every rule comes back as it was, and nothing else is believed."""

from __future__ import annotations

import builtins
import json
import sys
from dataclasses import dataclass

import pytest
import torch
import torchopt
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from bilevel import learned, rules
from bilevel.errors import ConfigurationError, NonFiniteError, RuleFileError
from bilevel.tree import leaves

NAMED = {"conv.weight": torch.randn(2, 1, 2, 2), "fc.bias": torch.randn(3)}
IMAGES = torch.rand(2, 1, 5, 5)
FIVE = torch.randn(5)
INPUTS = (
    learned.Iterate(detach=True),
    learned.Start(),
    learned.Displacement(),
    learned.Direction(learned.SampleRMS(), detach=False),
    learned.LastDirection(learned.LogSign(7.0)),
    learned.Direction(learned.Sign()),
    learned.Direction(learned.BatchMax()),
    learned.Noise(0.1),
)
RULES = {
    "lstm": (learned.LSTM, NAMED),
    "lstm of other settings": (lambda: learned.LSTM(4, 3, inputs=INPUTS, scale=-0.5, zero_last=True), NAMED),
    "mlp": (lambda: learned.MLP(5, (7, 6), inputs=INPUTS), FIVE),
    "mlp without hidden layers": (lambda: learned.MLP(1, ()), NAMED),
    "small": (lambda: learned.Convolutional(1, learned.Small(4, 1, skip=True), scale=0.2, inputs=INPUTS), IMAGES),
    "wide": (lambda: learned.Convolutional(1, learned.Wide(tapered=True), scale=0.2), IMAGES),
    "slim": (lambda: learned.Convolutional(1, learned.Slim(2.0), scale=0.2, inputs=learned.NAIVE), IMAGES),
    "multistep": (lambda: learned.Multistep(3, 4, probe=0.1, ridge=0.01), NAMED),
    "low rank": (lambda: learned.LowRank(learned.MLP(2), size=5, rank=2, zero_last=False), FIVE),
    "residual": (
        lambda: learned.BoundedResidual(learned.LSTM(3), base=rules.Adam(0.1, (0.8, 0.9)), limit=0.1),
        NAMED,
    ),
    "grouped": (
        lambda: learned.Grouped({"fc*": learned.LSTM(3), "*": rules.Sum(rules.Momentum(0.1), learned.MLP(1))}),
        NAMED,
    ),
    "guarded": (lambda: rules.Guarded(rules.Flattened(learned.MLP(1)), limit=1e3, name="mine"), NAMED),
    "sum": (lambda: rules.Sum(rules.SignGradient(0.1), rules.Gradient(0.2), rules.Stay(), learned.MLP(1)), NAMED),
}


def test_what_watches_a_rule_is_not_saved(tmp_path):
    watched = learned.Watched(learned.MLP(1))
    for rule in (watched, learned.Grouped({"*": watched})):
        with pytest.raises(ConfigurationError, match=r"keeps more than weights .*of Watched its \.rule"):
            learned.save(rule, tmp_path / "rule")


def walk(rule, z):
    torch.manual_seed(3)
    state = rule.init(z)
    with torch.no_grad():
        for _ in range(3):
            gradient = torch.utils._pytree.tree_map(torch.randn_like, z)
            updates, state = rule.update(gradient, state, params=z)
    return leaves((updates, state))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("make", "z"), RULES.values(), ids=RULES)
def test_a_rule_comes_back_as_it_was(make, z, dtype, tmp_path):
    z = torch.utils._pytree.tree_map(lambda t: t.to(dtype), z)
    rule = make().to(dtype)
    for m in rule.modules():  # statistics of its own
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.uniform_()
    learned.save(rule, tmp_path / "rule.safetensors", {"seed": 3, "how": ["adam", 0.1, None]})
    seed = torch.random.get_rng_state()
    found = learned.load(tmp_path / "rule.safetensors")
    assert torch.equal(seed, torch.random.get_rng_state())
    assert found.about == {"seed": 3, "how": ["adam", 0.1, None]}
    assert type(found.rule) is type(rule)
    assert not any(m.training for m in found.rule.modules())
    assert all(p.device.type == "cpu" and p.requires_grad for p in found.rule.parameters())
    for a, b in zip(walk(rule.eval(), z), walk(found.rule, z), strict=True):
        assert a is b or torch.equal(a, b)


def test_the_file_is_small_and_its_settings_can_be_read(tmp_path):
    path = tmp_path / "rule.safetensors"
    learned.save(learned.LSTM(), path)
    assert path.stat().st_size < 25_000
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["rule"])["settings"]["hidden"] == 20
    assert not [p for p in tmp_path.iterdir() if p != path]


@dataclass(frozen=True)
class Doubling:
    factor: float = 2.0

    def init(self, params):
        return ()

    def update(self, grads, state, *, params=None, inplace=False):
        return self.factor * params, state


def shrunk(x):
    return 0.5 * torch.tanh(x)


def test_parts_of_ones_own_are_named_when_loading(tmp_path):
    path = tmp_path / "rule.safetensors"
    rule = learned.BoundedResidual(
        learned.Convolutional(1, learned.Small(2), scale=0.1, output=shrunk), base=Doubling(3.0), limit=1.0
    )
    learned.save(rule, path)
    with pytest.raises(RuleFileError, match=r"'shrunk', which is none of .*load\(\.\.\., known=\[shrunk\]\)"):
        learned.load(path, [Doubling])
    found = learned.load(path, [Doubling, shrunk]).rule
    assert found.base == Doubling(3.0)
    assert found.learned.output is shrunk


def test_what_cannot_be_described_is_refused(tmp_path):
    path = tmp_path / "rule.safetensors"
    with pytest.raises(ConfigurationError, match=r"TorchOpt take one of bilevel\.rules"):
        learned.save(learned.Grouped({"*": torchopt.sgd(0.1)}), path)
    with pytest.raises(ConfigurationError, match="cannot be written to a file"):
        learned.save(learned.Convolutional(1, learned.Small(2), scale=0.1, output=lambda x: x), path)
    with pytest.raises(ConfigurationError, match="plain values"):
        learned.save(learned.MLP(1), path, {"model": object()})

    class MLP(rules.Composite):
        """Of the same name as another."""

        @property
        def settings(self):
            return {}

        def init(self, params): ...

        def update(self, grads, state, *, params=None, inplace=False): ...

    with pytest.raises(ConfigurationError, match="rename it"):
        learned.save(MLP([rules.Stay()]), path)

    class Silent(MLP):
        settings = rules.ModuleRule.settings

    with pytest.raises(ConfigurationError, match="Silent does not say how it is made"):
        learned.save(Silent([rules.Stay()]), path)
    assert not path.exists()


def test_a_rule_that_is_not_finite_is_not_saved(tmp_path):
    path, rule = tmp_path / "rule.safetensors", learned.MLP(1)
    learned.save(rule, path, {"good": True})
    with torch.no_grad():
        rule.network[0].bias[1] = torch.nan
    with pytest.raises(NonFiniteError, match=r"network\.0\.bias"):
        learned.save(rule, path)
    assert learned.load(path).about == {"good": True}


def rewritten(path, **changes):
    with safe_open(path, "pt") as file:
        metadata, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    weights |= changes.pop("weights", {})
    save_file(weights, path, {k: v for k, v in (metadata | changes).items() if v is not None})


@pytest.fixture
def path(tmp_path):
    learned.save(learned.LSTM(3), tmp_path / "rule.safetensors")
    return tmp_path / "rule.safetensors"


def test_foreign_and_damaged_files_are_refused(path, tmp_path):
    with pytest.raises(RuleFileError, match="There is no file"):
        learned.load(tmp_path / "other")
    content = path.read_bytes()
    (tmp_path / "text").write_text("a rule?")
    (tmp_path / "cut").write_bytes(content[:-10])
    for name in ("text", "cut"):
        with pytest.raises(RuleFileError, match="damaged, cut short or no file of a rule"):
            learned.load(tmp_path / name)
    (tmp_path / "flipped").write_bytes(content[:-10] + bytes([content[-10] ^ 1]) + content[-9:])
    with pytest.raises(RuleFileError, match="checksum"):
        learned.load(tmp_path / "flipped")
    save_file({"w": torch.ones(2)}, tmp_path / "foreign")
    with pytest.raises(RuleFileError, match=r"bilevel\.learned\.save did not write it"):
        learned.load(tmp_path / "foreign")
    rewritten(path, weights={"output.bias": torch.zeros(1)})
    with pytest.raises(RuleFileError, match="checksum"):
        learned.load(path)


def test_another_version_is_named(path):
    rewritten(path, version="7")
    with pytest.raises(RuleFileError, match="has format version 7; this version of bilevel reads version 1"):
        learned.load(path)


def signed(path, description, **weights):
    """Write what somebody else could have written, with a checksum that is right."""
    from bilevel.learned.rule_file import FORMAT, VERSION, _checksum

    with safe_open(path, "pt") as file:
        old = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    texts = {"rule": json.dumps(description), "about": "{}"}
    meta = {"format": FORMAT, "version": str(VERSION), "sha256": _checksum(old | weights, texts), **texts}
    save_file(old | weights, path, meta)


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ({"class": "system", "settings": {}}, "'system', which is none of"),
        ({"class": "LSTM", "settings": {"hidden": 4}}, "size mismatch"),
        ({"class": "LSTM", "settings": {"hidden": 10**6}}, "size mismatch"),
        ({"class": "LSTM", "settings": {"hidden": -1}}, "at least 1"),
        ({"class": "LSTM", "settings": {"depth": 3}}, "depth"),
        ({"class": "MLP", "settings": {"size": 1}}, "Missing key"),
        ({"class": "Gradient", "settings": {"step": 1.0}}, "does not fit"),
        ({"kind": "LSTM"}, "describes no part"),
        (3, "does not fit"),
    ],
)
def test_a_file_that_lies_is_refused(path, description, says):
    signed(path, description)
    with pytest.raises(RuleFileError, match=says):
        learned.load(path)


def test_weights_of_another_shape_are_refused(path):
    signed(path, {"class": "LSTM", "settings": {"hidden": 3}}, **{"output.bias": torch.zeros(2)})
    with pytest.raises(RuleFileError, match=r"size mismatch for output\.bias"):
        learned.load(path)


def test_a_missing_library_is_one_sentence(path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("safetensors"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "safetensors.torch", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'bilevel\[vision\]'"):
        learned.load(path)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RuleFileError, match="could not be written"):
        learned.save(learned.MLP(1), tmp_path / "no" / "rule.safetensors")
