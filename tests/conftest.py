"""Every test runs with the packages' shape annotations executed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

# Before any test module imports the packages.
install_import_hook(["bilevel", "tasks"], "beartype.beartype")

# The same examples on every run; a slow, shared machine is no reason to fail.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    """Give each test the same random numbers whatever ran before it, and leave the other cores alone."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def server(monkeypatch):
    """Return a web server on this machine, whose ``files`` a test fills."""
    from file_server import FileServer

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    serving = FileServer()
    yield serving
    serving.stop()
