"""The weights of a network from their file into memory: small whole numbers there, float32 here.

The file (grader.training.onnx_graph) holds matrices as whole numbers with scales, and nodes that make float32 of them.
Left to itself the runtime computes those when it loads the file, and keeps every step of all of them until the last is
done: 1.6 GB for matrices of 230 MB. Here each matrix is made alone, by the same arithmetic, and handed to the runtime
ready: the same bits with a third of the memory.

Files are ONNX (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Of its messages only the fields used here are
declared; protobuf carries the others along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from grader.providers import not_loaded

_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {  # field: number, type ("*": repeated)
    "Model": {"graph": (7, "Graph")},
    "Graph": {"node": (1, "Node*"), "initializer": (5, "Tensor*")},
    "Node": {"input": (1, "string*"), "output": (2, "string*"), "op_type": (4, "string"), "attribute": (5, "Number*")},
    "Number": {"i": (3, "int64")},
    "Tensor": {
        "dims": (1, "int64*"), "data_type": (2, "int64"), "name": (8, "string"), "raw_data": (9, "bytes"),
        "external_data": (13, "Entry*"), "data_location": (14, "int64"),
    },
    "Entry": {"key": (1, "string"), "value": (2, "string")},
}  # fmt: skip
_FLOAT, _EXTERNAL = 1, 1  # ONNX's numbers of the type, and of data that lies in another file
_TYPES = {_FLOAT: "<f4", 2: "u1", 3: "i1", 7: "<i8", 10: "<f2"}
_UNPACKING: dict[str, Callable[..., np.ndarray]] = {
    "Cast": lambda node, value: value.astype(np.float32),
    "Sub": lambda node, one, two: one - two,
    "Mul": lambda node, one, two: one * two,
    "Div": lambda node, one, two: one / two,
    "Floor": lambda node, value: np.floor(value),
    "Concat": lambda node, *values: np.concatenate(values, node.attribute[0].i),
    "Reshape": lambda node, value, shape: value.reshape(shape),
}


def unpacked(path: Path) -> tuple[bytes, dict[str, np.ndarray]]:
    """(the model without its stored matrices, these by name as float32), as `open_session` takes them.

    Raises ModelError if the file cannot be read or is no such model."""
    from google.protobuf.message import DecodeError

    model = _model()()
    try:
        model.ParseFromString(path.read_bytes())
        made = _unpack(model.graph)
    except (OSError, DecodeError, LookupError, TypeError, ValueError) as error:
        raise not_loaded(path, error) from error
    return model.SerializeToString(), made


def _unpack(graph: Any) -> dict[str, np.ndarray]:
    """Take out of `graph` the nodes that make constants of constants, and what only they read. What other nodes read
    of them is returned, and a tensor that stands for it is left in the graph."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    known = set(stored)
    unpacking: list[Any] = []
    rest: list[Any] = []
    for node in graph.node:
        constant = node.op_type in _UNPACKING and known.issuperset(node.input)
        (unpacking if constant else rest).append(node)
        known.update(node.output if constant else ())
    read = {name for node in rest for name in node.input}
    waiting = Counter(name for node in unpacking for name in node.input)
    held: dict[str, np.ndarray] = {}
    for node in unpacking:  # those of one matrix lie together: what they leave goes with its last reader
        values = [held[name] if name in held else _array(stored[name]) for name in node.input]
        held[node.output[0]] = _UNPACKING[node.op_type](node, *values)
        waiting.subtract(node.input)
        for name in node.input:
            if not waiting[name] and name not in read:
                held.pop(name, None)
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(rest)
    graph.initializer.extend(kept)
    for name, value in held.items():
        _stand_in(graph.initializer.add(), name, value)
    return {name: np.ascontiguousarray(value) for name, value in held.items()}


def _stand_in(tensor: Any, name: str, value: np.ndarray) -> None:
    """Make of an empty tensor one whose data is the whole of a file called `name`."""
    tensor.name, tensor.data_type, tensor.data_location = name, _FLOAT, _EXTERNAL
    tensor.dims.extend(value.shape)
    for key, what in (("location", name), ("offset", 0), ("length", value.nbytes)):
        tensor.external_data.add(key=key, value=str(what))


def _array(tensor: Any) -> np.ndarray:
    return np.frombuffer(tensor.raw_data, _TYPES[tensor.data_type]).reshape(tensor.dims)


@cache
def _model() -> Any:
    """The class of a model, declared by _MESSAGES."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="weights.proto", package="grader", syntax="proto2")
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            one, plain = declared.field.add(name=field, number=number), kind.removesuffix("*")
            one.label = one.LABEL_REPEATED if kind.endswith("*") else one.LABEL_OPTIONAL
            if plain in _MESSAGES:
                one.type, one.type_name = one.TYPE_MESSAGE, f".grader.{plain}"
            else:
                one.type = getattr(one, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("grader.Model"))
