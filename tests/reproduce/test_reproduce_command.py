"""The command names what is unknown before a folder is made."""

from __future__ import annotations

from tasks.cli import main
from tasks.commands.reproduce import REPRODUCTIONS
from tasks.reproduce.experiments import EXPERIMENTS


def test_what_is_unknown_is_named_before_a_folder_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words, message in (
        (["tabel2"], "Did you mean table2?"),
        (["table2", "--scale", "gpu"], "There is no scale 'gpu'. Did you mean cpu? Known are: cpu, paper"),
        (["table4", "--data", "svhn"], "There is no table4 for the data set 'svhn'"),
        (["frontier-mnist", "--data", "cifar10"], "no frontier-mnist for the data set 'cifar10'. Known are: mnist"),
        (["table2", "--seeds", "1", "1"], "seeds must be different"),
        (["table2", "--workers", "0"], "workers must be at least 1"),
        (["gail", "--epsilons", "0.3", "--data", "mnist"], "gail takes no --data, --epsilons, but --environments"),
        (["table2", "--rule", "rule.safetensors"], "table2 takes no --rule, but --scale, --data"),
        (["table2", "--precision", "bf16"], "There is no precision 'bf16'. Known are: 32-true, bf16-mixed"),
        (["curves", "--only", "pgm-10"], "curves can only be made whole; leave --only out"),
        (["frontier", "--only", "pgm-10", "k-step-l2l"], "There is no method of frontier 'k-step-l2l'. Did you mean"),
        (["slim", "--only", "pgm-10"], "method of slim 'pgm-10'. Known are: naive-l2l, grad-l2l"),
        (["gail", "--only", "l2l"], "gail takes no --only, but"),
        (["table2", "--windows", "3"], "--run, --workers"),
    ):
        assert main(["reproduce", *words]) == 2
        assert message in capsys.readouterr().err
    assert main(["reproduce", "table2", "--trained", "nowhere"]) == 1
    assert "nowhere does not exist; name the folder of a run" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_usual_data_set_is_that_of_what_is_made():
    usual = {name: REPRODUCTIONS[name].complete({"data": None})["data"] for name in EXPERIMENTS}
    assert usual == dict.fromkeys(EXPERIMENTS, "cifar10") | {"frontier-mnist": "mnist"}
    assert REPRODUCTIONS["curves"].complete({"data": "cifar100"}) == {"data": "cifar100"}
