"""Alphabets and CTC decoding, on probabilities written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import UsageError
from grader.ocr.alphabet import confusable, fold, parse
from grader.ocr.confidence import flags_of, line_confidence
from grader.ocr.ctc import decode, decode_restricted

VOCABULARY = ("", "A", "B", "C", "a", "石", "0", "O", "1", "l", "Ａ", ".", " ")


def steps(*rows: dict[str, float]) -> np.ndarray:
    """Probabilities, one row a time step; what is left goes to the blank ("")."""
    out = np.zeros((len(rows), len(VOCABULARY)), np.float32)
    for row, given_ in zip(out, rows, strict=True):
        for label, value in given_.items():
            row[VOCABULARY.index(label)] = value
        row[0] += 1 - row.sum()
    return out


def text(symbols: list) -> str:
    return "".join(s.text for s in symbols)


def test_repeats_merge_and_blanks_separate():
    assert text(decode(steps({"A": 0.9}, {"A": 0.8}, {}, {"A": 0.9}, {"B": 0.9}), VOCABULARY)) == "AAB"


def test_a_character_has_its_peak_probability_its_rival_and_its_place():
    (symbol,) = decode(steps({}, {"1": 0.6, "l": 0.3}, {"1": 0.7, "l": 0.2}, {}), VOCABULARY)
    assert (symbol.text, symbol.start, symbol.end, symbol.second) == ("1", 1, 3, "l")
    assert symbol.probability == pytest.approx(0.7)
    assert flags_of([symbol], exact=True) == ["ocr_doubtful", "ocr_ambiguous"]


def test_restriction_folds_the_same_mark_but_not_another():
    folding = fold(parse("=ABC"), VOCABULARY)
    (symbol,) = decode_restricted(steps({"A": 0.4, "a": 0.3, "Ａ": 0.2}), folding)
    assert symbol.text == "A"
    assert symbol.probability == pytest.approx(0.9)
    assert not symbol.foreign


def test_a_foreign_symbol_never_becomes_a_sure_letter():
    folding = fold(parse("=ABC"), VOCABULARY)
    (symbol,) = decode_restricted(steps({"石": 0.9, "B": 0.05}), folding)
    assert symbol.text == "B"
    assert symbol.foreign
    assert line_confidence([symbol]) < 0.05
    assert set(flags_of([symbol], exact=True)) >= {"out_of_alphabet", "ocr_doubtful"}
    (symbol,) = decode_restricted(steps({"石": 0.99999}), folding)
    assert (symbol.text, symbol.foreign) == ("", True)


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=13, max_size=13), min_size=1, max_size=12))
def test_restriction_never_gives_more_than_the_network_gave(rows: list[list[float]]):
    probabilities = np.array(rows, np.float32)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    folding = fold(parse("=AC"), VOCABULARY)
    inside = [VOCABULARY.index(c) for c in "AaＡC"]
    for symbol in decode_restricted(probabilities, folding):
        assert symbol.text in ("A", "C", "")
        assert symbol.probability <= probabilities[symbol.start : symbol.end, inside].sum(axis=1).max() + 1e-6


def test_separators_between_letters_are_skipped():
    symbols = decode_restricted(steps({"A": 0.9}, {".": 0.9}, {" ": 0.9}, {"C": 0.9}), fold(parse("=ABC"), VOCABULARY))
    assert text(symbols) == "AC"
    assert not any(s.foreign for s in symbols)


def test_digits_take_their_look_alikes():
    symbols = decode_restricted(steps({"l": 0.9}, {"O": 0.9}), fold(parse("digits"), VOCABULARY))
    assert text(symbols) == "10"


@pytest.mark.parametrize("spec", ["", "=", "= ", "roman", "ABCD"])
def test_an_unknown_alphabet_is_refused_with_a_remedy(spec: str):
    with pytest.raises(UsageError, match="use one of"):
        parse(spec)


def test_known_confusions():
    assert confusable("7", "1")
    assert confusable("0", "O")
    assert not confusable("A", "7")
