"""What breaks a training off through no fault of its own, said in the user's words."""

from __future__ import annotations

import traceback

import torch

from bilevel.errors import BilevelError, OutOfMemoryError, ProcessError

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that memory ran out, on whatever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def breakdown(error: Exception, step: int, advice: str) -> BilevelError | None:
    """Return the error that a user is shown for ``error``; ``None`` if it is shown as it is.

    Args:
        error: what was raised.
        step: how many steps were taken before.
        advice: which checkpoint there is, and how to go on.
    """
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"Memory ran out after step {step} ({_first_line(error)}). {advice} If nothing else can be freed, a new "
            "run with smaller batches, or in lower precision, needs less."
        )
    if isinstance(error, ProcessError):
        return ProcessError(f"{error} {advice}")
    if (isinstance(error, RuntimeError) and "DataLoader worker" in str(error)) or _broken_pipe(error):
        return ProcessError(f"A worker that loads the data was lost: {_first_line(error)} {advice}")
    return None


def _broken_pipe(error: Exception) -> bool:
    """Return whether ``error`` says that another process of this program ended while it was sending.

    A worker that is killed just then is noticed by its connection before anybody looks after the worker.
    """
    if not isinstance(error, ConnectionError | EOFError | FileNotFoundError):
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("multiprocessing.") for frame, _ in frames)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
