"""Pictures of an episode."""

from __future__ import annotations

import sys

import pytest
from imitation_cases import small

from bilevel.errors import ConfigurationError
from tasks.cli import main
from tasks.gail import frames
from tasks.gail.train import train
from tasks.run import Run

QUICK = [
    *("--steps", "64", "--environments", "4", "--policy-hidden", "8", "--hidden", "6", "4", "--passes", "2"),
    *("--batch-size", "16", "--iterations", "2", "--evaluation-episodes", "2"),
]


def test_an_episode_in_pictures(tmp_path):
    pytest.importorskip("pygame", reason="gymnasium draws CartPole with pygame, of the extra film")
    from PIL import Image, ImageSequence

    training = train(small(iterations=1), progress=False)
    episode = frames.film(training.policy, training.config)
    assert len(episode.frames) == episode.total
    frames.write_gif(episode.frames, tmp_path / "episode.gif", every=1)
    with Image.open(tmp_path / "episode.gif") as animation:
        shown = [frame.info["duration"] for frame in ImageSequence.Iterator(animation)]
        assert sum(shown) == 20 * len(episode.frames)  # pictures that are alike are one, shown for longer
    frames.write_strip(episode.frames, tmp_path / "episode.png", count=3)
    with Image.open(tmp_path / "episode.png") as strip:
        assert strip.size == (600, 133)
        assert strip.info["Description"].startswith(f"An episode of {len(episode.frames)} steps: steps 0, ")


def test_pictures_need_a_library_that_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    training = train(small(iterations=1), progress=False)
    with pytest.raises(ConfigurationError, match=r"CartPole-v1 cannot be drawn: .*pygame"):
        frames.film(training.policy, training.config)


def test_an_evaluation_that_cannot_be_drawn_says_so_before_it_plays(tmp_path, capsys, monkeypatch):
    assert main(["train", "gail", *QUICK, "--run", str(tmp_path / "run")]) == 0
    before = Run.open(tmp_path / "run").results()
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "3", "--film"]) == 2
    assert "CartPole-v1 cannot be drawn" in capsys.readouterr().err
    assert Run.open(tmp_path / "run").results() == before
