"""The answers of plain paper: the rows of single pages become one row a candidate and item (grader.run.scripts)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.exam.exam import Exam
from grader.flags import check
from grader.records import Mark, PageRef
from grader.run.rows import row_of
from grader.run.scripts import Found, PlainPage, gather
from grader.store.decisions import AnswerKey, Decision, answer_key
from grader.store.store import PageRecord, RunStore

Row = dict[str, Any]
DecidedBy = Mapping[AnswerKey, tuple[str, Decision]]


@dataclass(frozen=True, eq=False)
class Script:
    """A candidate's pages that were read, in their order."""

    candidate: str
    pages: tuple[PageRecord, ...]

    def place_of(self, ref: PageRef) -> int:
        """The number of a page in the script, from 1."""
        return [page.result.ref for page in self.pages].index(ref) + 1


def plain_rows(store: RunStore, exam: Exam, rows: Iterable[Row], scripts: Sequence[Script]) -> Iterator[Row]:
    """rows: of every page by itself. Pages that belong to nobody keep theirs; each candidate has one row an item.

    Pictures of answers that go over several places are put into the store.
    """
    by_place: dict[tuple[PageRef, str], Row] = {}
    for row in rows:
        by_place[PageRef(row["file"], row["file_page"]), row["item"]] = row
    owned = {page.result.ref for script in scripts for page in script.pages}
    yield from (row for (ref, _), row in by_place.items() if ref not in owned)
    items = [item.id for item in exam.items]
    for script in scripts:
        pages = [
            PlainPage(p.result.ref, {r.field: r for r in p.result.readings}, frozenset(p.crops)) for p in script.pages
        ]
        for found in gather(items, pages):
            yield _missing(store, exam, script, found) if found.missing else _found(store, script, found, by_place)


def decision_for(row: Row, script: Script | None, decided_by: DecidedBy) -> tuple[str, Decision] | None:
    """The decision that stands for a row. A person may have decided it where it stood before another page came."""
    refs = [page.result.ref for page in script.pages] if script is not None else []
    own = PageRef(row["file"], row["file_page"])
    for ref in [own, *(ref for ref in refs if ref != own)]:
        found = decided_by.get(answer_key(row["candidate"], ref.file, ref.page, row["item"]))
        if found is not None:
            return found
    return None


def _missing(store: RunStore, exam: Exam, script: Script, found: Found) -> Row:
    item = exam.item(found.item)
    mark = Mark(script.candidate, item.id, None, item.max_mark, 0.0, "review", found.flags)
    place = {"file": found.ref.file, "file_page": found.ref.page, "sheet_page": script.place_of(found.ref)}
    return row_of(mark, exam.items.index(item), **place, crop=_picture(store, script, found))


def _found(store: RunStore, script: Script, found: Found, by_place: Mapping[tuple[PageRef, str], Row]) -> Row:
    row = {**by_place[found.ref, found.item], "sheet_page": script.place_of(found.ref)}
    if not found.flags:
        return row
    texts = [row["response"], *(text for text in [found.text] if text)]
    flags = check((*row["flags"].split(), *found.flags))
    crop = row["crop"] if len(found.pictures) == 1 else _picture(store, script, found)
    return {**row, "status": "review", "flags": " ".join(flags), "response": "\n".join(texts), "crop": crop}


def _picture(store: RunStore, script: Script, found: Found) -> str:
    """SHA-256 of the found item's pictures, one below the other; "" where there is none."""
    crops = {page.result.ref: page.crops for page in script.pages}
    parts = [crops[ref][name] for ref, name in found.pictures if name in crops[ref]]
    if len(parts) == 1:
        return parts[0]
    return store.keep_crop(stacked([store.crop(part) for part in parts])) if parts else ""


def stacked(pictures: Sequence[bytes]) -> bytes:
    """PNG pictures one below the other, a line between them, as one PNG."""
    import cv2
    import numpy as np

    from grader.run.pipeline import png

    read = [cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE) for picture in pictures]
    gray = [picture for picture in read if picture is not None]
    width = max(picture.shape[1] for picture in gray)
    line = np.full((6, width), 128, np.uint8)
    parts: list[np.ndarray] = []
    for picture in gray:
        parts += [line] if parts else []
        parts.append(cv2.copyMakeBorder(picture, 0, 0, 0, width - picture.shape[1], cv2.BORDER_CONSTANT, value=255))
    return png(np.vstack(parts))
