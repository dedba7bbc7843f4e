"""Where ONNX Runtime computes: on the processor, or elsewhere by name.

The processor's result is the mark of record. Every other provider rounds differently in the last bits, so an engine
that uses one says so in its name, and a run is begun, resumed and replayed with the same one.

"cuda" is an NVIDIA GPU, on which the lines of a page are recognised in batches (grader.ocr.batches) sized by the free
memory (grader.gpu). It was built without one: the batches, their sizes and the halving when memory runs out are tested
on the processor, with the code that a GPU would use; the provider itself has never been run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from grader import gpu
from grader.errors import ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np

Provider = Literal["cpu", "cuda", "openvino"]
_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": (
        "CUDAExecutionProvider",
        {
            "use_tf32": "0",  # float32 in full
            # The default times all algorithms for each new shape: slow where widths vary, and tomorrow another may win.
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",  # no doubling: memory is shared with other workers
        },
    ),
    "openvino": ("OpenVINOExecutionProvider", {"device_type": "CPU", "precision": "FP32", "num_of_threads": "1"}),
}
_PACKAGES = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "openvino": "onnxruntime-openvino"}
_NO_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc", "alloc_failed")


def check_provider(provider: Provider) -> None:
    """Raise UsageError unless this installation of ONNX Runtime has `provider`, and "cuda" a GPU."""
    import onnxruntime

    there = set(onnxruntime.get_available_providers())
    usable = [name for name, (full_name, _) in _PROVIDERS.items() if full_name in there]
    if provider in usable:
        if provider == "cuda":
            gpu.check()
        return
    remedy = f"choose one of: {', '.join(usable)}"
    if package := _PACKAGES.get(provider):
        remedy += f"; or: pip uninstall onnxruntime && pip install {package}"
    raise UsageError(f"onnxruntime has no provider {provider!r} here", remedy)


def open_session(
    path: Path,
    provider: Provider = "cpu",
    *,
    arena: bool = True,
    without: Sequence[str] = (),
    unpacked: tuple[bytes, dict[str, np.ndarray]] | None = None,
) -> Any:
    """An InferenceSession for the model file `path`: one thread, so that sums have a fixed order.

    arena: keep freed memory for the next call. without: names of graph optimisations to leave out. unpacked: the model
    to be loaded in place of the file, and the tensors whose data it does not hold. Raises UsageError for a provider
    that is not here, ModelError if the file cannot be loaded.
    """
    import onnxruntime

    check_provider(provider)
    if provider == "cuda" and hasattr(onnxruntime, "preload_dlls"):  # finds CUDA's libraries where pip has put them
        with redirect_stdout(sys.stderr):  # it complains with print, and stdout is for data
            onnxruntime.preload_dlls()
    names = ["cpu"] if provider == "cpu" else [provider, "cpu"]  # what a provider cannot do, the processor does
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 3
    model, tensors = unpacked or (str(path), {})
    try:
        if tensors:
            data = [value.reshape(-1).view("u1") for value in tensors.values()]
            sizes = [value.nbytes for value in data]
            options.add_external_initializers_from_files_in_memory(list(tensors), data, sizes)
        session = onnxruntime.InferenceSession(
            model, options, providers=[_with_limit(name) for name in names], disabled_optimizers=list(without)
        )
    except Exception as error:  # onnxruntime raises its own unrelated classes
        raise not_loaded(path, error) from error
    if _PROVIDERS[provider][0] not in session.get_providers():  # a missing driver only makes it fall back
        remedy = "check its drivers, or use cpu"
        if provider == "cuda":
            remedy = "pip install 'onnxruntime-gpu[cuda,cudnn]' for CUDA's libraries, or use cpu"
        raise UsageError(f"the provider {provider!r} is installed but cannot start", remedy)
    return session


def not_loaded(path: Path, error: Exception) -> ModelError:
    """What to say of a model file that cannot be used."""
    return ModelError(f"{path} cannot be loaded: {error}", "reinstall grader, or restore models/ in the checkout")


def _with_limit(provider: str) -> tuple[str, dict[str, str]]:
    """A provider's full name and its options, with the limit of memory that was set for it."""
    name, options = _PROVIDERS[provider]
    limit = gpu.limit() if provider == "cuda" else None
    return name, options if limit is None else {**options, "gpu_mem_limit": str(limit)}


def room(provider: Provider) -> int | None:
    """Bytes of its own memory that a provider has for one more network; None where that is the machine's, which other
    limits guard. To be asked once a session is open, so that what the weights take is no longer counted."""
    return gpu.room() if provider == "cuda" else None


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory, of the machine or a GPU, did not suffice. ONNX Runtime has no class of errors for that: its
    arena, CUDA, cuBLAS, cuDNN and the machine's own allocator each say it in other words."""
    if isinstance(error, MemoryError):
        return True
    said = str(error).lower()
    return type(error).__module__.startswith("onnxruntime") and any(words in said for words in _NO_MEMORY)
