"""Downloads: resumed, verified, and there whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import random
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.download import RemoteFile, download
from tasks.shelf import FOLDER_VARIABLE, Shelf, data_home

CONTENT = random.Random(0).randbytes(1_000_000)
SUM = hashlib.sha256(CONTENT).hexdigest()
CHUNK = 1 << 16


def remote(server, content=CONTENT, checksum=f"sha256:{SUM}"):
    server.files["some.bin"] = content
    return RemoteFile(server.url("some.bin"), checksum)


def visible(folder):
    """Return the names of the files, without locks."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("checksum", [f"sha256:{SUM}", f"md5:{hashlib.md5(CONTENT).hexdigest()}"])
def test_a_file_is_downloaded_once(checksum, server, tmp_path):
    file = remote(server, checksum=checksum)
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        path = download(file, folder)
        assert path == folder / "some.bin"
        assert path.read_bytes() == CONTENT
    assert server.asked == [("some.bin", None)]
    assert visible(folder) == ["some.bin"]


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.breaks = [300_000, 0, 400_000]
    assert download(remote(server), tmp_path).read_bytes() == CONTENT
    begins = [int(wanted[6:-1]) if wanted else 0 for _, wanted in server.asked]
    assert len(begins) == 4
    assert 300_000 - CHUNK <= begins[1] == begins[2] <= 300_000
    assert begins[1] + 400_000 - CHUNK <= begins[3] <= begins[1] + 400_000
    assert visible(tmp_path) == ["some.bin"]


def test_what_has_come_is_kept_for_the_next_call(server, tmp_path):
    server.breaks = [300_000, 0, 0, 0]
    with pytest.raises(DataError, match=r"some\.bin could not be downloaded: .*Run it again.*--data-dir"):
        download(remote(server), tmp_path)
    assert visible(tmp_path) == [".some.bin.part"]
    have = (tmp_path / ".some.bin.part").stat().st_size
    assert have >= 300_000 - CHUNK
    server.asked.clear()
    assert download(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("some.bin", f"bytes={have}-")]
    assert visible(tmp_path) == ["some.bin"]


def test_a_server_that_cannot_begin_in_the_middle_is_asked_for_everything_anew(server, tmp_path):
    server.breaks, server.ranges = [300_000], False
    assert download(remote(server), tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_packed_file_stays_packed_whatever_the_server_says_of_it(server, tmp_path):
    content = gzip.compress(bytes(100_000) + CONTENT)
    server.packed, server.breaks = "x-gzip", [300_000]
    file = remote(server, content, f"sha256:{hashlib.sha256(content).hexdigest()}")
    assert download(file, tmp_path).read_bytes() == content
    assert len(server.asked) == 2


def test_the_rest_of_another_longer_file_is_thrown_away(server, tmp_path):
    (tmp_path / ".some.bin.part").write_bytes(b"x" * 2_000_000)
    assert download(remote(server), tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == ["bytes=2000000-", None]


@pytest.mark.parametrize("begun", [False, True])
def test_another_file_than_expected_is_not_kept(begun, server, tmp_path):
    if begun:  # and so is one of which the beginning was another's
        (tmp_path / ".some.bin.part").write_bytes(b"x" * 1000)
    file = remote(server, content=CONTENT if begun else b"y" + CONTENT[1:])
    with pytest.raises(DataError, match=rf"not the expected file \(sha256:{SUM}\).*but got .*Run it again"):
        download(file, tmp_path)
    assert visible(tmp_path) == []
    assert download(remote(server), tmp_path).read_bytes() == CONTENT


def test_an_address_that_leads_nowhere(server, tmp_path):
    with pytest.raises(DataError, match=r"404.*by hand"):
        download(RemoteFile(server.url("other.bin"), f"sha256:{SUM}"), tmp_path)
    assert len(server.asked) == 1
    gone = RemoteFile("http://127.0.0.1:9/some.bin", f"sha256:{SUM}")
    with pytest.raises(DataError, match="could not be downloaded"):
        download(gone, tmp_path)
    assert visible(tmp_path) == []


def test_a_file_that_has_no_room_is_not_begun(server, tmp_path):
    server.promised = 10**17
    with pytest.raises(DataError, match=r"cannot be kept in .*no space left: 100,000,000,000,000,000 bytes.*Make room"):
        download(remote(server), tmp_path)
    assert visible(tmp_path) == []


def test_when_room_runs_out_on_the_way_the_next_call_goes_on(server, tmp_path):
    """The limit on a file's size fails a write in the middle, as a full disk does."""
    file = remote(server)
    script = f"""
        import resource
        from pathlib import Path
        from tasks.data_error import DataError
        from tasks.download import RemoteFile, download
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        try:
            download(RemoteFile({file.url!r}, {file.checksum!r}), Path({str(tmp_path)!r}))
        except DataError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert f"some.bin cannot be kept in {tmp_path}: File too large. Make room there" in done.stdout
    assert visible(tmp_path) == [".some.bin.part"]
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("some.bin", "bytes=200000-")


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot be kept in .*file/mnist: Not a directory.*BILEVEL_DATA"):
        download(remote(server), tmp_path / "file" / "mnist")
    assert server.asked == []


def test_of_several_at_once_one_downloads(server, tmp_path):
    file = remote(server)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download(file, tmp_path), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.asked == [("some.bin", None)]


# Where files are looked for.


def test_a_folder_that_was_named_is_used_as_it_is(server, tmp_path):
    file = remote(server)
    shelf = Shelf.of("some", tmp_path)
    with pytest.raises(DataError, match=r"holds no some\.bin nor other\.bin\. Fetch http.*some\.bin and put it there"):
        shelf.get(file, "other.bin")
    (tmp_path / "some").mkdir()
    for place in ("some/some.bin", "some/other.bin", "some.bin", "other.bin"):  # each is preferred to those before
        (tmp_path / place).write_bytes(b"")
        assert shelf.get(file, "other.bin") == tmp_path / place
    assert server.asked == []
    with pytest.raises(ConfigurationError, match=r"no folder .*nowhere, .*--data-dir"):
        Shelf.of("some", tmp_path / "nowhere")


def test_without_a_folder_files_go_where_the_variable_says(server, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert Shelf.of("some", None).get(remote(server)) == tmp_path / "some" / "some.bin"
    assert Shelf.of("some", None).get(remote(server)) == tmp_path / "some" / "some.bin"
    assert len(server.asked) == 1
    (tmp_path / "some" / "some.bin").unlink()
    (tmp_path / "other.bin").write_bytes(b"")
    assert Shelf.of("some", None).get(remote(server), "other.bin") == tmp_path / "other.bin"
    assert len(server.asked) == 1


def test_the_variable_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER_VARIABLE, "~/data")
    assert data_home() == tmp_path / "data"


def test_without_the_variable_they_go_into_the_usual_cache(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_home().name == "bilevel"
    if sys.platform == "linux":
        assert data_home() == tmp_path / "bilevel"
    assert not list(tmp_path.iterdir())
