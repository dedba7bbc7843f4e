"""Vocabularies cut down to what the languages of a scorer need: most of a small model is its embeddings.

Dropping pieces that no text uses changes nothing: a greedy (WordPiece) or best (Unigram) segmentation that holds
kept pieces only stays the greedy or best one. Text with dropped pieces falls apart into smaller kept ones.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import UsageError

_MARKS = "#▁"  # "inside a word" of WordPiece, "before a word" of Unigram
_SCRIPTS = {"en": ("LATIN", "GREEK"), "zh": ("LATIN", "GREEK", "CJK", "BOPOMOFO", "KANGXI", "IDEOGRAPHIC")}
_NEEDED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "<s>", "<pad>", "</s>", "<unk>")


def read(path: Path) -> dict[str, Any]:
    """The tokenizer.json. Raises UsageError unless it is of a kind that can be trimmed."""
    try:
        tokenizer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind = tokenizer["model"]["type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no tokenizer.json: {error}", "give the tokenizer of the base") from error
    if kind not in ("WordPiece", "Unigram"):
        raise UsageError(f"{path} is a {kind} tokenizer", "use WordPiece or Unigram")
    return tokenizer


def pieces(tokenizer: dict[str, Any]) -> list[str]:
    """Every piece in the order of its id."""
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, dict):
        return sorted(vocabulary, key=vocabulary.__getitem__)
    return [piece for piece, _ in vocabulary]


def of_languages(tokenizer: dict[str, Any], languages: Collection[str], most: int = 0) -> np.ndarray:
    """Places of the pieces whose letters are of the languages' scripts: digits, signs and the special pieces that
    a scorer needs stay; placeholders go. most: of pieces of several characters only so many, those of the lowest
    places (WordPiece vocabularies list the commonest first); 0: all."""
    scripts = tuple(sorted({script for language in languages for script in _SCRIPTS[language]}))
    special = {one["content"] for one in tokenizer["added_tokens"]}
    kept = []
    for place, piece in enumerate(pieces(tokenizer)):
        if piece in special or piece in _NEEDED:
            wanted = piece in _NEEDED
        else:
            wanted = not piece.startswith("[unused") and all(_fits(c, scripts) for c in piece.strip(_MARKS))
        if wanted:
            kept.append(place)
    if most:
        names = pieces(tokenizer)
        long = [place for place in kept if len(names[place].strip(_MARKS)) > 1 and names[place] not in _NEEDED]
        rare = set(long[most:])
        kept = [place for place in kept if place not in rare]
    return np.array(kept)


def _fits(character: str, scripts: tuple[str, ...]) -> bool:
    if unicodedata.category(character)[0] not in "LM":
        return True
    name = unicodedata.name(character, "")
    return any(script in name for script in scripts) or name.startswith(("COMBINING", "MODIFIER"))


def trimmed(tokenizer: dict[str, Any], kept: Sequence[int] | np.ndarray) -> dict[str, Any]:
    """The tokenizer with only the pieces at the places `kept` (rising), renumbered in their order. Truncation,
    padding and templates go: the scorer puts texts together itself. Raises UsageError if a needed piece is lost."""
    places = {int(old): new for new, old in enumerate(kept)}
    model = dict(tokenizer["model"])
    if model["type"] == "WordPiece":
        model["vocab"] = {piece: places[old] for old, piece in enumerate(pieces(tokenizer)) if old in places}
        lost = model["unk_token"] not in model["vocab"]
    else:
        model["vocab"] = [entry for old, entry in enumerate(model["vocab"]) if old in places]
        lost = model["unk_id"] not in places
        model["unk_id"] = places.get(model["unk_id"])
    if lost:
        raise UsageError("the piece for unknown text was dropped", "keep the special pieces")
    added = [{**one, "id": places[one["id"]]} for one in tokenizer["added_tokens"] if one["id"] in places]
    plain = {"truncation": None, "padding": None, "post_processor": None, "decoder": None}
    return {**tokenizer, **plain, "added_tokens": added, "model": model}


def write(tokenizer: dict[str, Any], path: Path) -> None:
    """Compact JSON, the same bytes for the same vocabulary."""
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def of_texts(tokenizer: dict[str, Any], languages: Collection[str], texts: Iterable[str]) -> np.ndarray:
    """Of a multilingual vocabulary, the places to keep: of the pieces of the languages' scripts all that hold no
    Latin letter, every single character, and of the Latin ones (most belong to other languages) those that
    `texts` use."""
    from tokenizers import Tokenizer

    whole = Tokenizer.from_str(json.dumps({**tokenizer, "truncation": None, "padding": None}))
    used = {place for text in texts for place in whole.encode(text, add_special_tokens=False).ids}
    names = pieces(tokenizer)
    return np.array([
        place for place in of_languages(tokenizer, languages).tolist()
        if place in used or names[place] in _NEEDED or len(names[place].strip(_MARKS)) < 2
        or not any(unicodedata.name(c, "").startswith("LATIN") for c in names[place])
    ])  # fmt: skip
