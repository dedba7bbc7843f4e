"""Whether there is an NVIDIA GPU and how much of its memory is free, asked of what CUDA brings anyway.

The first GPU that CUDA may see is used (CUDA_VISIBLE_DEVICES chooses another). Never run on one: the driver, CUDA's
runtime and nvidia-smi were stand-ins when this was tested.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from contextlib import suppress

from grader.errors import UsageError

VARIABLE = "GRADER_GPU_MEMORY"  # MiB that each network may have on the GPU
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
_RUNTIMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so", "cudart64_13.dll", "cudart64_12.dll")
_UNKNOWN = 2**29  # bytes taken to be free where nothing tells


def check() -> None:
    """Raise UsageError where the driver has no GPU for us, or as `limit` does."""
    limit()
    found = ctypes.c_int()
    for name in _DRIVERS:
        with suppress(OSError, AttributeError):
            driver = ctypes.CDLL(name)
            if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(found)) == 0 and found.value > 0:
                return
    raise UsageError("CUDA finds no NVIDIA GPU here", "see whether nvidia-smi shows one, or use the provider cpu")


def limit() -> int | None:
    """Bytes that each network may have, where GRADER_GPU_MEMORY says so. Raises UsageError if that is no number of
    MiB."""
    said = os.environ.get(VARIABLE, "").strip()
    if not said:
        return None
    if not (said.isascii() and said.isdecimal() and int(said) > 0):
        raise UsageError(f"{VARIABLE} is {said!r}", "give a whole number of MiB, or leave it unset")
    return int(said) * 2**20


def room() -> int:
    """Bytes that a network may use: what is free, and no more than the limit. Raises UsageError as `limit` does."""
    allowed = limit()
    free = _asked_of_runtime()
    if free is None:
        free = _asked_of_driver()
    if free is None:
        free = _UNKNOWN if allowed is None else allowed
    return free if allowed is None else min(free, allowed)


def _asked_of_runtime() -> int | None:
    """Free bytes as cudaMemGetInfo tells, None where there is no CUDA runtime or no GPU."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    for name in _RUNTIMES:
        with suppress(OSError, AttributeError):
            if ctypes.CDLL(name).cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0:
                return free.value
    return None


def _asked_of_driver() -> int | None:
    """Free bytes as nvidia-smi tells, None where it is missing or does not say."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
    command = ["nvidia-smi", "-i", visible, "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
        return int(said.split()[0]) * 2**20 if said.split() else None
    return None
