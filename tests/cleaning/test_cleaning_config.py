"""A cleaning run's configuration: what it compares, and what it refuses."""

from __future__ import annotations

import math

import pytest

from bilevel.errors import ConfigurationError
from tasks.cleaning.baselines import BASELINES
from tasks.cleaning.config import PRESETS, CleaningConfig
from tasks.cleaning.methods import METHODS
from tasks.cleaning.train import contestants

SCALING = tuple(name for name in METHODS if name != "dense")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data": "mnits"}, "Did you mean mnist"),
        ({"follower": "fresh"}, "lives-on, anew"),
        ({"models": ("cnn",)}, "no model 'cnn'"),
        ({"models": ()}, "at least one model"),
        ({"methods": ("unroled",)}, "Did you mean unrolled"),
        ({"methods": ("unrolled", "unrolled")}, "each once"),
        ({"methods": (), "baselines": ()}, "at least one method"),
        ({"baselines": ("oracle",)}, "no baseline 'oracle'"),
        ({"noise": 1.5}, r"share in \[0, 1\]"),
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"steps": 0}, "steps must be above 0"),
        ({"steps": 25, "evaluate_every": 10}, "multiple of evaluate_every"),
        ({"batch_size": 0}, "batch_size must be above 0"),
        ({"rate": math.nan}, "rate must be a finite number"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"hidden": ()}, "hidden must hold"),
        ({"train": -1}, "train must be above 0"),
        ({"seeds": ()}, "seeds must be"),
        ({"seeds": (1, 1)}, "seeds must be"),
        ({"seeds": (-1,)}, "seeds must be"),
        ({"damping": -1.0}, "damping"),
        ({"multiplier": 0.0}, "penalty"),
        ({"sigma": 0.0}, "sigma"),
        ({"pairs": 0}, "pairs must be above 0"),
        ({"methods": ("persistent-evolution",), "follower": "anew"}, "lives on"),
    ],
)
def test_a_configuration_says_what_is_wrong_with_it(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        CleaningConfig(**settings)


def test_every_known_method_is_compared_unless_it_is_too_large():
    known = CleaningConfig().hypergradients("linear")
    assert tuple(known) == METHODS
    assert [one.name for one in contestants(CleaningConfig(), "linear")] == [*BASELINES, *SCALING]
    anew = [one.name for one in contestants(CleaningConfig(follower="anew"), "mlp")]
    assert anew == [*BASELINES, *(name for name in SCALING if name != "persistent-evolution")]
    assert set(PRESETS) == {"digits", "mnist"}


def test_only_the_perceptron_s_hessian_is_damped_unless_it_is_said():
    def damping(model, **changes):
        return CleaningConfig(**changes).hypergradients(model)["conjugate-gradient"].solver.damping

    assert (damping("linear"), damping("mlp")) == (0.0, 0.1)
    assert damping("linear", damping=0.5) == damping("mlp", damping=0.5) == 0.5
    assert damping("mlp", damping=0.0) == 0.0
