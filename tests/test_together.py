"""Two processes that train together do what one does on the whole batches."""

from __future__ import annotations

import csv

import pytest
import torch
import two_processes
from two_processes import BATCHES, batches, in_two_processes, players, solver

import bilevel
from bilevel.errors import ConfigurationError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def both(folder):
    return in_two_processes(two_processes.everything, folder)


def alone():
    one = solver()
    for batch in batches():
        one.step(batch)
    return players(one)


def test_two_processes_come_to_the_weights_of_one(both):
    for found in both:
        torch.testing.assert_close(found["steps"], alone(), rtol=1e-12, atol=1e-14)


def test_both_have_the_same_weights_and_statistics_to_the_last_bit(both):
    for case in ("steps", "norm"):
        first, second = (found[case] for found in both)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_running_statistics_are_the_means_of_those_of_the_shares(both):
    """The mean is that of the whole batch; the variance lacks the variance between the shares' means."""
    leader = solver(norm=True).task.leader
    x = leader[0](batches()[0][0]).detach()
    for found in both:
        statistics = found["statistics"]
        torch.testing.assert_close(statistics["leader 1.running_mean"], 0.1 * x.mean(0), rtol=1e-12, atol=1e-14)
        within = torch.stack([share.var(0) for share in x.chunk(2)]).mean(0)
        torch.testing.assert_close(statistics["leader 1.running_var"], 0.9 + 0.1 * within, rtol=1e-12, atol=1e-14)


def test_the_first_process_alone_writes_and_the_log_has_the_means(both, folder):
    files = sorted(path.name for path in (folder / "whole").rglob("*") if path.is_file())
    assert files == ["metrics.csv", "step-00000008.pt", "step-00000010.pt", "step-00000012.pt"]
    first, second = (found["fit"] for found in both)
    assert first["checkpoint"] == second["checkpoint"] == folder / "whole" / "checkpoints" / "step-00000012.pt"
    for one, other in zip(first["rows"], second["rows"], strict=True):
        assert one["leader_loss"] == other["leader_loss"]
    with (folder / "whole" / "metrics.csv").open() as file:
        logged = [float(row["leader_loss"]) for row in csv.DictReader(file)]
    assert logged == [row["leader_loss"] for row in first["rows"]]


def test_each_process_draws_numbers_of_its_own(both):
    first, second = (found["fit"] for found in both)
    assert not torch.equal(first["random"], second["random"])
    assert first["visits"] == second["visits"] == 2 * BATCHES * 4


def test_a_signal_to_one_stops_both_and_they_go_on_to_the_same_weights(both):
    for found in both:
        assert "after step 8" in found["parts"]["message"]  # they next wait for each other to write a checkpoint
        assert "step-00000008.pt" in found["parts"]["message"]
        whole, parts = found["fit"], found["parts"]
        assert all(torch.equal(whole["players"][name], parts["players"][name]) for name in whole["players"])
        assert torch.equal(whole["random"], parts["random"])
        assert whole["visits"] == parts["visits"]
        assert whole["rows"][-1]["leader_loss"] == pytest.approx(parts["rows"][-1]["leader_loss"], rel=1e-12)


def test_the_signal_is_named_where_it_came(both):
    assert "Stopped by SIGUSR1" in both[1]["parts"]["message"]


def test_what_is_not_finite_in_one_ends_both(both):
    assert both[1]["nan"].startswith("NonFiniteError: Step 3: the leader's loss is nan")
    assert both[0]["nan"].startswith("NonFiniteError: ")


def test_what_the_first_process_refuses_is_said_in_both(both):
    for found in both:
        assert found["taken"].startswith("ConfigurationError: ")
        assert "holds a run already" in found["taken"]


def test_another_number_of_processes_cannot_go_on(both):
    assert "in 2 processes, and this one has 1" in both[0]["alone"]


def test_a_follower_that_lives_on_is_refused(both):
    assert "another one" in both[0]["refused"]


def test_a_lost_process_ends_the_other_with_a_way_to_go_on(tmp_path):
    [message] = in_two_processes(two_processes.lost, tmp_path, needed=(0,))
    assert message.startswith("ProcessError: Another process of this training was lost")
    assert "step-00000008.pt" in message
    assert "resume=True" in message


def test_without_a_group_of_processes():
    with pytest.raises(ConfigurationError, match="init_process_group"):
        bilevel.Together()
