from pathlib import Path

import pytest

from bilevel import memory
from bilevel.errors import ConfigurationError
from bilevel.memory import available_memory, require_memory


def test_what_is_left_is_less_than_what_there_is() -> None:
    left = available_memory()
    assert left is not None
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024 if Path("/proc/meminfo").exists() else 2**50
    assert 2**20 < left <= total


def test_the_machines_number_is_read_in_kibibytes(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:    500 kB\n")
    assert memory._of_machine(file) == 500 * 1024


def test_the_limit_of_a_container_counts_and_cached_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert memory._of_container(tmp_path) == 450
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_container(tmp_path) is None
    assert memory._of_container(tmp_path / "nowhere") is None


def test_too_much_is_refused_with_both_numbers_and_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 3 * 2**30)
    require_memory(3 * 2**30, "It", lambda left: "Do less.")
    with pytest.raises(ConfigurationError, match=r"^It needs 4\.0 GiB of memory, and 3\.0 GiB are left\. Do less\.$"):
        require_memory(4 * 2**30, "It", lambda left: "Do less.")
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    require_memory(2**60, "It", lambda left: "Do less.")
