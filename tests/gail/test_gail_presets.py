"""The presets of imitation, and which of them a command begins with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tyro

from tasks.commands.train_gail import TrainGAIL
from tasks.gail.config import GAILConfig
from tasks.gail.demonstrations import shipped
from tasks.gail.presets import DEFAULT, PRESETS, fixed_twin
from tasks.settings import flags, from_dict, to_dict


def test_presets_are_configurations_of_environments_with_demonstrations():
    for name, config in PRESETS.items():
        assert from_dict(GAILConfig, to_dict(config)) == config
        assert shipped(config.env, config.horizon).environment == config.env
        assert ("-fixed" in name) == (config.horizon is not None)
        assert (config.steps, config.policy_hidden) == ((5000, (64, 32)) if "paper" in name else (2048, (100, 100)))


def test_an_environment_brings_its_preset():
    assert TrainGAIL.default(["--env", "MountainCar-v0"]).config == PRESETS["mountaincar"]
    assert TrainGAIL.default(["--env=CartPole-v1", "--horizon", "500"]).config == PRESETS["cartpole-fixed"]
    assert TrainGAIL.default(["--env", "MountainCar-v0", "--horizon", "7"]).config == PRESETS["mountaincar"]
    assert TrainGAIL.default(["--env", "MountainCar-v0", "--preset", "cartpole"]).config == PRESETS["cartpole"]
    assert TrainGAIL.default(["--env", "Acrobot-v1"]).config == PRESETS[DEFAULT]


def test_it_is_known_where_no_discriminator_is_tested():
    assert fixed_twin(PRESETS["cartpole-paper"]) == "cartpole-fixed"
    assert fixed_twin(PRESETS["mountaincar"]) == "mountaincar-fixed"
    assert fixed_twin(PRESETS["cartpole-fixed"]) is None
    assert fixed_twin(replace(PRESETS["cartpole"], reward="logit")) is None
    assert fixed_twin(GAILConfig(env="Acrobot-v1")) is None


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_of_a_run_makes_its_configuration_again(name):
    config = replace(PRESETS[name], method="l2l", vectorised=False, updater_hidden=(4, 4), fresh=True, proximal=0.0)
    words = flags(config, PRESETS[DEFAULT])
    read = tyro.cli(TrainGAIL, args=words, default=TrainGAIL(), config=(tyro.conf.OmitArgPrefixes,))
    assert read.config == config
    back = flags(PRESETS[DEFAULT], config)
    assert tyro.cli(
        TrainGAIL, args=back, default=TrainGAIL(config=config), config=(tyro.conf.OmitArgPrefixes,)
    ).config == PRESETS[DEFAULT]  # fmt: skip
