"""Archives: all files or none."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import textwrap

import pytest

from tasks.archive import unpack
from tasks.data_error import DataError

FILES = {"one.bin": bytes(range(256)) * 400, "two.bin": b"two" * 50_000}


def archive(path, members):
    """Write a packed archive of (name, content) pairs; content None is a folder."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            tar.addfile(info, None if content is None else io.BytesIO(content))
    return path


@pytest.fixture
def good(tmp_path):
    members = [("data", None), *((f"data/{name}", content) for name, content in FILES.items()), ("data/more", b"?")]
    return archive(tmp_path / "data.tar.gz", members)


def test_the_files_that_are_asked_for_are_unpacked_and_nothing_else(good, tmp_path):
    unpack(good, list(FILES), tmp_path / "data")
    assert {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()} == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.tar.gz"]


def test_what_somebody_else_unpacked_meanwhile_stays(good, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.bin").write_bytes(b"theirs")
    unpack(good, list(FILES), tmp_path / "data")
    assert (tmp_path / "data" / "one.bin").read_bytes() == b"theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.tar.gz"]


def test_names_that_lead_elsewhere_stay_inside(tmp_path):
    evil = archive(tmp_path / "evil.tar.gz", [(f"../../{name}", content) for name, content in FILES.items()])
    (tmp_path / "a" / "b").mkdir(parents=True)
    unpack(evil, list(FILES), tmp_path / "a" / "b" / "data")
    assert {path.name for path in (tmp_path / "a" / "b" / "data").iterdir()} == set(FILES)
    assert not list(tmp_path.glob("*.bin"))


def test_links_are_no_files(tmp_path):
    path = tmp_path / "links.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("one.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(DataError, match=r"holds no one\.bin"):
        unpack(path, ["one.bin"], tmp_path / "data")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_named_and_leaves_nothing(keep, good, tmp_path):
    content = good.read_bytes()
    good.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=rf"{good} is damaged .*Remove it and fetch it anew"):
        unpack(good, list(FILES), tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data.tar.gz"]


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><html>Not found</html>", b"\x1f\x8bwhat is this?", b"0" * 2000]
)
def test_what_is_no_archive_is_named_and_leaves_nothing(content, tmp_path):
    path = tmp_path / "data.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path} is damaged or no tar archive"):
        unpack(path, list(FILES), tmp_path / "data")
    assert [found.name for found in tmp_path.iterdir()] == ["data.tar.gz"]


def test_another_archive_is_named_with_what_it_lacks(good, tmp_path):
    with pytest.raises(DataError, match=rf"{good} holds no four\.bin, three\.bin: is it another archive"):
        unpack(good, ["one.bin", "three.bin", "four.bin"], tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data.tar.gz"]


def test_when_room_runs_out_nothing_is_left(good, tmp_path):
    """The limit on a file's size fails a write in the middle, as a full disk does."""
    script = f"""
        import resource
        from pathlib import Path
        from tasks.archive import unpack
        from tasks.data_error import DataError
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))
        try:
            unpack(Path({str(good)!r}), {list(FILES)!r}, Path({str(tmp_path / "data")!r}))
        except DataError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert f"{good} cannot be unpacked in {tmp_path}: File too large. Make room there, or unpack it else" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data.tar.gz"]
