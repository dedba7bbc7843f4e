"""Fits the one number behind a line's confidence (grader.ocr.confidence.SHARPNESS) on rendered handwriting.

    python benchmarks/ocr_confidence.py [--lines 600]

A line's confidence is p ** SHARPNESS, p being the product of its characters' probabilities. The number is
chosen by maximum likelihood of "the line was read exactly" on lines set in handwriting fonts and degraded to
the point of error. Real crops are for measuring only: benchmarks/ocr.py says how reliable the result is there.
"""

from __future__ import annotations

import argparse

import numpy as np
from harness import table, write
from rendered_lines import degrade, random_text, render

from grader.ocr.ppocr import PPOCR

SEED = 20240602
KINDS = ("zh", "en", "number")


def sample(lines: int) -> tuple[np.ndarray, np.ndarray]:
    """Product of character probabilities, and whether the line was read exactly, of rendered lines."""
    engine = PPOCR()
    products, right = [], []
    for number in range(lines):
        random = np.random.default_rng([SEED, number])
        kind = KINDS[number % len(KINDS)]
        text = random_text(random, kind)
        crop = degrade(render(text, random, kind, int(random.integers(20, 56))), random, random.uniform(0.3, 3.0))
        read = engine.read(crop, alphabet="number" if kind == "number" else "any")
        characters = [c.confidence for line in read.lines for c in line.characters if c.text.strip()]
        if "struck_out" in read.flags or not characters:
            continue
        products.append(float(np.prod(characters)))
        right.append(read.text.replace(" ", "") == text.replace(" ", ""))
    return np.array(products), np.array(right)


def log_likelihood(sharpness: float, products: np.ndarray, right: np.ndarray) -> float:
    """Mean log-likelihood of the outcomes if p ** sharpness is the probability of an exact reading."""
    p = np.clip(products, 1e-9, 1 - 1e-6) ** sharpness
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(np.where(right, np.log(p), np.log(1 - p)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=600)
    products, right = sample(parser.parse_args().lines)
    grid = np.round(np.arange(0.5, 6.01, 0.1), 1)
    fitted = float(max(grid, key=lambda s: log_likelihood(s, products, right)))
    rows = []
    for low, high in ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.001)):
        here = (products**fitted >= low) & (products**fitted < high)
        if here.any():
            rows.append((f"{low:.2f}-{high:.2f}", int(here.sum()), float((products[here] ** fitted).mean()),
                         float(right[here].mean())))  # fmt: skip
    table(f"sharpness {fitted}, {len(right)} rendered lines", ("confidence", "lines", "mean", "exact"), rows)
    write("ocr_confidence", {"seed": SEED, "lines": len(right), "sharpness": fitted, "reliability": rows})


if __name__ == "__main__":
    main()
