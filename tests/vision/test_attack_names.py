"""Attacks by name, with the settings and starts that a name stands for."""

from __future__ import annotations

import pytest
from attack_cases import images
from small_classifiers import Mixed

from bilevel.errors import ConfigurationError
from bilevel.rules import SignGradient
from bilevel.starts import Center, Uniform
from tasks.vision.attacks import PGM, Learned, cw, fgsm, named, pgm


def test_names_and_settings():
    assert [a.name for a in (fgsm(0.2), pgm(0.2), pgm(0.2, 100), cw(0.2), PGM(0.2, 1, 0.1))] == [
        "FGSM",
        "PGM-20",
        "PGM-100",
        "CW-20",
        "PGM-1",
    ]
    paper = pgm(0.031).describe()
    assert paper["step_size"] == pytest.approx(0.003)
    assert pgm(0.031).start.radius == pytest.approx(1e-4)
    assert (pgm(0.31).step_size, pgm(0.31).start.radius) == (pytest.approx(0.03), pytest.approx(1e-3))
    assert fgsm(0.2).describe() == {"eps": 0.2, "norm": "linf", "steps": 1, "step_size": 0.2, "start": "Center()"}
    assert cw(8 / 255).step_size == pytest.approx(2 / 255)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fgsm", "FGSM"),
        ("PGM-7", "PGM-7"),
        ("cw-100", "CW-100"),
        ("random-50", "Random-50"),
        ("pgm-2 + cw-3", "PGM-2 + CW-3"),
        ("pgm-20:zero", "PGM-20:zero"),
        ("PGM-20:code", "PGM-20:code"),
        ("pgm-20:tiny", "PGM-20"),
        ("cw-search-50", "CW-search-50"),
        ("apgd-ce-100", "APGD-CE-100"),
        ("APGD-CW-10", "APGD-CW-10"),
        ("apgd-t-100", "APGD-T-100"),
        ("square-5000", "Square-5000"),
    ],
)
def test_attacks_by_name(text, name):
    attack = named(text, 0.2)
    assert attack.name == name
    assert attack.describe()["eps"] == 0.2
    assert named(attack.name, 0.2).describe() == attack.describe()


@pytest.mark.parametrize(
    "text", ["pgd-20", "pgm", "pgm-", "", "pgm-20+", "cw-1.5", "pgm-20:nowhere", "cw-20:zero", "apgd-100"]
)
def test_an_unknown_name_lists_the_known(text):
    with pytest.raises(ConfigurationError, match="Known are FGSM, PGM-<steps>"):
        named(text, 0.2)


def test_the_starts_are_those_of_the_papers_and_the_code():
    eps = 0.031
    starts = {name: named(f"pgm-20:{name}", eps).start for name in ("tiny", "zero", "ball", "code", "gaussian")}
    assert starts["zero"] == Center()
    assert starts["tiny"].radius == pytest.approx(1e-4)
    assert starts["ball"] == Uniform(eps)
    assert starts["code"] == Uniform(eps, feasible=False)
    assert starts["gaussian"].std == pytest.approx(0.001)
    model, batch = Mixed().eval(), images(low=0.0, high=0.1)
    seen = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    for name, leaves in (("ball", False), ("code", True)):
        seen.clear()
        named(f"pgm-3:{name}", 0.2)(model, batch)
        assert (seen[0].min() < 0).item() is leaves  # where the first gradient is taken
        assert all(x.min() >= 0 for x in seen[1:])


def test_the_centre_is_the_default_start():
    assert PGM(0.1, 2, 0.05).start == Center()
    assert Learned(SignGradient(0.1), 0.1).start == Center()
