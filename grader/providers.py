"""Where ONNX Runtime computes: on the processor, or elsewhere by name.

The processor's result is the mark of record. Every other provider rounds differently in the last bits, so an engine
that uses one says so in its name, and a run is begun, resumed and replayed with the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from grader.errors import ModelError, UsageError

Provider = Literal["cpu", "cuda", "openvino"]
_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),  # float32 in full
    "openvino": ("OpenVINOExecutionProvider", {"device_type": "CPU", "precision": "FP32", "num_of_threads": "1"}),
}
_PACKAGES = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "openvino": "onnxruntime-openvino"}


def check_provider(provider: Provider) -> None:
    """Raise UsageError unless this installation of ONNX Runtime has `provider`."""
    import onnxruntime

    there = set(onnxruntime.get_available_providers())
    usable = [name for name, (full_name, _) in _PROVIDERS.items() if full_name in there]
    if provider in usable:
        return
    remedy = f"choose one of: {', '.join(usable)}"
    if package := _PACKAGES.get(provider):
        remedy += f"; or: pip uninstall onnxruntime && pip install {package}"
    raise UsageError(f"onnxruntime has no provider {provider!r} here", remedy)


def open_session(path: Path, provider: Provider = "cpu", *, arena: bool = True, without: Sequence[str] = ()) -> Any:
    """An InferenceSession for the model file `path`: one thread, so that sums have a fixed order.

    arena: keep freed memory for the next call. without: names of graph optimisations to leave out. Raises UsageError
    for a provider that is not here, ModelError if the file cannot be loaded.
    """
    import onnxruntime

    check_provider(provider)
    names = ["cpu"] if provider == "cpu" else [provider, "cpu"]  # what a provider cannot do, the processor does
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=[_PROVIDERS[name] for name in names], disabled_optimizers=list(without)
        )
    except Exception as error:  # onnxruntime raises its own unrelated classes
        raise ModelError(
            f"{path} cannot be loaded: {error}", "reinstall grader, or restore models/ in the checkout"
        ) from error
    if _PROVIDERS[provider][0] not in session.get_providers():  # a missing driver only makes it fall back
        raise UsageError(f"the provider {provider!r} is installed but cannot start", "check its drivers, or use cpu")
    return session
