"""The main path for plain paper: no printed form says where the answers are, so the page is read first.

sheet → lines → item numbers → answers → the same path as any page
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grader.exam.form import TextField
from grader.exam.plain import LEAD
from grader.flags import check
from grader.ocr.protocol import Crop
from grader.records import Box, Identity, Page, PageResult, Reading, Registration, Response, TextLine, Transcription
from grader.run.pipeline import PageReader, png, responses_of
from grader.run.scripts import PAGE
from grader.stages import stage

_SHOWN = 1500  # pixels of the longer side of that crop
_PAD = 0.35  # heights of a line that an answer's crop may reach above and below, where there is room


@dataclass(frozen=True)
class _Region:
    """Where an answer lies: left, top, right, bottom in pixels of the straightened sheet."""

    left: float
    top: float
    right: float
    bottom: float

    def cut(self, gray: np.ndarray) -> np.ndarray:
        top, left = max(0, round(self.top)), max(0, round(self.left))
        bottom, right = max(top + 1, round(self.bottom)), max(left + 1, round(self.right))
        return np.ascontiguousarray(gray[top:bottom, left:right])


class PlainReader(PageReader):
    """Reads plain pages for one job. What a page lacks is settled with the candidate's other pages
    (grader.run.scripts)."""

    def read_page(self, page: Page) -> PageResult:
        """The main path for a decoded page. Raises PageError."""
        from grader.reading.labels import find_items
        from grader.reading.owner import owner_lines
        from grader.reading.sheet import find_sheet
        from grader.scoring.marking import mark_responses

        with stage("registration"):
            sheet = find_sheet(page.gray, self.ocr)
            registration = Registration(1, sheet.millimetres, 0.0, sheet.method)
        page_form = self.job.form.page(1)
        with stage("recognition"):
            lines = self.ocr.read(sheet.gray, lines=None).lines
            places = find_items(lines, [item.id for item in self.job.exam.items])
            first = places[0].label.line if places else len(lines)
            lead = lines[:first]
            named = owner_lines(lead, self.job.roster)
            regions = _regions(lines, [(p.label.line, p.label.x if p.label.start else 0.0) for p in places], sheet.gray)
            crops = {place.item: region.cut(sheet.gray) for place, region in zip(places, regions, strict=True)}
            fields = {field.id: field for field in page_form.fields if isinstance(field, TextField)}
            texts = self.read_crops([fields[place.item] for place in places], [crops[p.item] for p in places])
            readings = []
            for place, region, text in zip(places, regions, texts, strict=True):
                flags = check((*text.flags, *place.flags))
                box = _box(sheet.to_picture, region)
                readings.append(Reading(place.item, "text", text.text, text.confidence, flags, box, (), text))
        identity = self._owner(page.ref.file, lead)
        responses = self.responses(readings, identity.candidate)
        with stage("scoring"):
            marks = mark_responses(self.job.exam, responses, self.scorer, self.job.settings.marking)
        rest = [line for line in lead if line not in named]
        if rest:
            region = _around(rest, sheet.gray)
            above = "\n".join(line.text for line in rest)
            readings.append(Reading(LEAD, "text", above, 0.0, (), _box(sheet.to_picture, region)))
            crops[LEAD] = region.cut(sheet.gray)
        crops[PAGE] = _shown(sheet.gray, named)
        return PageResult(
            page.ref,
            "unmatched" if identity.flags else "read",
            identity.flags[0] if identity.flags else "",
            sha256=page.sha256,
            identity=identity,
            sheet_page=1,
            registration=registration,
            readings=tuple(readings),
            responses=tuple(responses),
            marks=tuple(marks),
            crops={name: png(crop) for name, crop in crops.items()},
        )

    def read_crops(self, fields: Sequence[TextField], crops: Sequence[np.ndarray]) -> list[Transcription]:
        """The texts of answers, without the items' numbers at their beginnings."""
        asked = [Crop(crop, None, field.alphabet) for field, crop in zip(fields, crops, strict=True)]
        return [self._answer(field, read) for field, read in zip(fields, self.ocr.read_many(asked), strict=True)]

    def _answer(self, field: TextField, read: Transcription) -> Transcription:
        from grader.reading.labels import label_length, without_label

        length = label_length(read.lines[0].text, field.id) if read.lines else None
        if length is None:
            return replace(read, flags=check((*read.flags, "item_doubtful")))
        lines = (without_label(read.lines[0], length), *read.lines[1:])
        lines = tuple(line for line in lines if line.text)
        if not lines:
            return Transcription("", read.confidence, (), check((*read.flags, "blank")))
        return replace(read, text="\n".join(line.text for line in lines), lines=lines)

    def responses(self, readings: Sequence[Reading], candidate: str) -> list[Response]:
        """The responses of a page, in the exam's order."""
        return responses_of(self.job.form.page(1), readings, candidate, self.job.exam.exam.language)

    def _owner(self, file: str, lead: Sequence[TextLine]) -> Identity:
        from grader.reading.owner import owner

        if self.job.roster is None:  # a run that is derived again: whose page it is stands in its record
            return Identity("", 0.0, ("identity_unread",))
        return owner(file, lead, self.job.roster)


def _regions(lines: Sequence[TextLine], starts: Sequence[tuple[int, float]], gray: np.ndarray) -> list[_Region]:
    """Where each answer lies. starts: line of its label, and where it begins along it (0: at the margin)."""
    height, width = gray.shape
    regions = []
    for number, (first, left) in enumerate(starts):
        following, beside = starts[number + 1] if number + 1 < len(starts) else (len(lines), 0.0)
        last = max(first, following - 1)
        own = lines[first : last + 1]
        right = beside if following == first else float(width)
        above = lines[first - 1] if first else None
        below = lines[last + 1] if last + 1 < len(lines) else None
        top, bottom = min(line.box[1] for line in own), max(_bottom(line) for line in own)
        pad = _PAD * max(own[0].box[3], own[-1].box[3])
        up = pad if above is None else min(pad, max(0.0, (top - _bottom(above)) / 2))
        down = pad if below is None else min(pad, max(0.0, (below.box[1] - bottom) / 2))
        regions.append(
            _Region(max(0.0, left - 0.2 * pad), max(0.0, top - up), right, min(float(height), bottom + down))
        )
    return regions


def _around(lines: Sequence[TextLine], gray: np.ndarray) -> _Region:
    return _Region(0.0, min(line.box[1] for line in lines), float(gray.shape[1]), max(_bottom(line) for line in lines))


def _bottom(line: TextLine) -> float:
    return line.box[1] + line.box[3]


def _box(to_picture: np.ndarray, region: _Region) -> Box:
    from grader.reading.crops import bounding_box

    at = (region.left, region.top, region.right - region.left, region.bottom - region.top)
    return bounding_box(to_picture, at)


def _shown(gray: np.ndarray, named: Sequence[TextLine]) -> np.ndarray:
    """The whole page for people to mark from, without the lines that say whose it is."""
    import cv2

    masked = gray.copy()
    for line in named:
        x, y, w, h = (round(v) for v in line.box)
        masked[max(0, y - h // 6) : y + h + h // 6, max(0, x - h // 2) : x + w + h // 2] = 255
    scale = min(1.0, _SHOWN / max(gray.shape))
    return np.asarray(cv2.resize(masked, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
