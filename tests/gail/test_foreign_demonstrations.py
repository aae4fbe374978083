"""Data sets of Minari and of imitation: read as they were written, and refused where they are damaged."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from demonstration_cases import Bomb

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError, DataWarning
from tasks.gail.demonstrations import from_imitation, from_minari, load, read, save

FILES = Path(__file__).parent / "files"
sys.path.insert(0, str(FILES))
from make_files import KINDS, episodes  # noqa: E402


def expected(name):
    """Return what the writer of the test files recorded, as demonstrations have it."""
    recorded = list(episodes(name))
    return (
        np.concatenate([observations[:-1] for observations, _, _ in recorded]),
        np.concatenate([actions for _, actions, _ in recorded]),
        [len(rewards) for _, _, rewards in recorded],
        [rewards.sum() for _, _, rewards in recorded],
    )


def check_read(found, name):
    observations, actions, lengths, returns = expected(name)
    # The environments' cosines may differ in the last bit from those of the machine that wrote the files.
    np.testing.assert_allclose(found.observations, observations, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.actions, actions, rtol=1e-6)
    np.testing.assert_allclose(found.returns, returns, rtol=1e-6)
    assert found.lengths.tolist() == lengths
    environment = gymnasium.make(name)
    found.check(name, environment.observation_space, environment.action_space)


@pytest.mark.parametrize(("name", "kind"), list(KINDS.items()))
def test_data_sets_of_minari_are_read(name, kind):
    found = from_minari(FILES / "minari" / kind / "tiny-v0")
    check_read(found, name)
    assert found.horizon is None
    assert found.about["dataset_id"] == f"{kind}/tiny-v0"


@pytest.mark.parametrize(("name", "kind"), list(KINDS.items()))
def test_whatever_is_named_is_read(name, kind, tmp_path):
    minari, imitation = FILES / "minari" / kind / "tiny-v0", FILES / "imitation" / kind
    save(from_minari(minari), tmp_path / "ours")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for path in (minari, minari / "data", imitation, tmp_path / "ours.npz"):
            check_read(read(path, name), name)
        # Whoever wants episodes of a fixed length is not given others under that name.
        for path in (minari, imitation):
            with pytest.raises(ConfigurationError, match=r"The episodes in .* steps, those of the training 7 each"):
                read(path, name, horizon=7)


@pytest.mark.parametrize("ending", ["", ".npz"])
@pytest.mark.parametrize(("name", "kind"), list(KINDS.items()))
def test_trajectories_of_imitation_are_read_and_what_is_pickled_is_left_out(name, kind, ending):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = from_imitation(FILES / "imitation" / f"{kind}{ending}", name, horizon=9)
    check_read(found, name)
    assert found.horizon == 9
    # In CartPole's folder all infos are empty; a pickle cannot be looked into.
    told = [str(one.message) for one in said if issubclass(one.category, DataWarning)]
    assert [message.split(": ")[1] for message in told] == (
        []
        if (kind, ending) == ("cartpole", "")
        else ["what the environment said beside (infos) is pickled and was left out."]
    )


def test_an_old_file_of_imitation_without_rewards_has_unknown_returns(tmp_path):
    with np.load(FILES / "imitation" / "cartpole.npz") as file:
        np.savez(tmp_path / "bare.npz", **{name: file[name] for name in ("obs", "acts", "indices", "terminal")})
    found = from_imitation(tmp_path / "bare.npz", "CartPole-v1")
    assert np.isnan(found.returns).all()
    save(found, tmp_path / "kept")
    assert np.isnan(load(tmp_path / "kept").returns).all()


def test_foreign_and_damaged_data_sets_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="is no data set of Minari in HDF5"):
        from_minari("empty")
    with pytest.raises(ConfigurationError, match=r"it has no state\.json"):
        from_imitation("empty", "CartPole-v1")
    with pytest.raises(ConfigurationError, match="nowhere does not exist"):
        from_imitation("nowhere", "CartPole-v1")
    shutil.copytree(FILES / "minari" / "cartpole" / "tiny-v0", "minari")
    hdf5 = tmp_path / "minari" / "data" / "main_data.hdf5"
    (tmp_path / "minari" / "data" / "metadata.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="does not say which environment it is of"):
        from_minari("minari")
    assert from_minari("minari", environment="Mine-v0").environment == "Mine-v0"
    for damaged in ('{"env_spec": "{"}', '{"env_spec": "{}"}', '{"env_spec": ["CartPole-v1"]}'):
        (tmp_path / "minari" / "data" / "metadata.json").write_text(damaged)
        with pytest.raises(DataError, match=r"main_data\.hdf5 does not say .* name it"):
            from_minari("minari")
    hdf5.write_bytes(hdf5.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"main_data\.hdf5 is damaged, or no data set of Minari"):
        from_minari("minari")
    shutil.copytree(FILES / "imitation" / "cartpole", "imitation")
    arrow = next((tmp_path / "imitation").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:700])
    with pytest.raises(DataError, match="imitation is damaged, or not written by imitation"):
        from_imitation("imitation", "CartPole-v1")
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    (tmp_path / "bomb.npy").rename("bomb.pkl")
    with pytest.raises(DataError, match=r"a pickle \(which is never read"):
        from_imitation("bomb.pkl", "CartPole-v1")
    np.savez(tmp_path / "bombs.npz", obs=np.array([Bomb()], object), indices=np.array([], np.int64))
    with pytest.raises(DataError, match=r"bombs\.npz is damaged, a pickle"):
        from_imitation("bombs.npz", "CartPole-v1")
    assert not Path("exploded").exists()


def test_observations_of_several_parts_are_refused(tmp_path):
    import h5py

    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data" / "main_data.hdf5", "w") as file:
        file["episode_0/observations/a"] = np.zeros((3, 2))
        file["episode_0/actions"] = np.zeros(2, np.int64)
        file["episode_0/rewards"] = np.zeros(2)
    with pytest.raises(DataError, match=r"The observations in episode_0 of .* are of several parts"):
        from_minari(tmp_path, environment="Mine-v0")


@pytest.mark.parametrize(
    ("library", "read"),
    [
        ("h5py", lambda: from_minari(FILES / "minari" / "cartpole" / "tiny-v0")),
        ("pyarrow", lambda: from_imitation(FILES / "imitation" / "cartpole", "CartPole-v1")),
    ],
)
def test_a_missing_library_is_one_sentence(monkeypatch, library, read):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=rf"need {library}, .*pip install 'bilevel\[demonstrations\]'"):
        read()
