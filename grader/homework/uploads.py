"""What comes in: each file is looked at the moment it arrives, and refused with what to do while the paper is at hand.

Names of files are used to find the pupil and then forgotten: on disk they have names of ours, and a file's kind is
what its bytes say.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sqlalchemy import ColumnElement, Connection, func, insert, select

from grader.errors import PageError
from grader.homework import classlist, schema
from grader.intake.formats import HEAD_BYTES, Kind, sniff
from grader.reading.owner import placed_by_name
from grader.records import PageRef
from grader.service.database import now
from grader.service.exams import ExamPlace
from grader.service.service import Service

MAX_BYTES = 60_000_000  # of one file
MAX_FILES = 400  # of one request
MAX_REQUEST = 400_000_000  # bytes of one request
MAX_UPLOADS = 4000  # of one exam
UNSORTED = "unsorted"  # folder of what nobody was named for
_ENDINGS = {"jpeg": ".jpg", "png": ".png", "pdf": ".pdf", "tiff": ".tif", "webp": ".webp", "gif": ".gif", "bmp": ".bmp"}


@dataclass(frozen=True)
class Arrived:
    """What became of a file. reason: "" where it was taken, "duplicate_file", or why not (a code of grader.flags).
    candidate: whose it was taken for, or ""."""

    name: str
    reason: str
    candidate: str = ""
    pages: int = 0

    @property
    def taken(self) -> bool:
        return self.reason in ("", "duplicate_file")


def take(
    service: Service, exam: ExamPlace, actor: str, name: str, file: BinaryIO, candidate: str, plain: bool
) -> Arrived:
    """Take one file in. name: as the browser says, with its folders; candidate: chosen by hand, or ""."""
    shown = PurePosixPath(name.replace("\\", "/")).name[:80]
    data = file.read(MAX_BYTES + 1)
    kind, digest = sniff(data[:HEAD_BYTES]), hashlib.sha256(data).hexdigest()
    with service.database.read() as connection:
        pupils = classlist.candidates(connection, exam.id)
        reason = _why_not(len(data), kind) or ("duplicate_file" if _held(connection, exam.id, digest) else "")
    if reason:
        return Arrived(shown, reason)
    if plain and candidate not in pupils:
        candidate = placed_by_name(name, pupils)
    folder = exam.scans / (candidate or UNSORTED) if plain else exam.scans
    waiting = exam.folder / "arriving"
    waiting.mkdir(exist_ok=True)
    new = waiting / f"{secrets.token_hex(8)}{_ENDINGS[kind]}"
    new.write_bytes(data)
    try:
        pages = _look(new)
        with service.database.begin() as connection:
            # Two phones at once wait for each other here: each file has a number of its own.
            connection.execute(
                select(schema.homework.c.exam).where(schema.homework.c.exam == exam.id).with_for_update()
            )
            if _held(connection, exam.id, digest):
                return Arrived(shown, "duplicate_file")
            number = (connection.scalar(select(func.max(schema.upload.c.number)).where(_of(exam.id))) or 0) + 1
            if number > MAX_UPLOADS:
                return Arrived(shown, "too_large")
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / f"{number:05d}-{digest[:8]}{_ENDINGS[kind]}"
            row = {"exam": exam.id, "number": number, "candidate": candidate if plain else "", "pages": pages,
                   "file": str(target.relative_to(exam.scans)), "bytes": len(data), "sha256": digest, "actor": actor,
                   "at": now()}  # fmt: skip
            connection.execute(insert(schema.upload).values(**row))
            new.rename(target)
    except PageError as error:
        return Arrived(shown, error.reason)
    finally:
        new.unlink(missing_ok=True)
    return Arrived(shown, "", candidate, pages)


def counts(connection: Connection, exam: str) -> tuple[int, int, dict[str, int]]:
    """Files, pages, and candidate → pages ("" for those that nobody was named for)."""
    c = schema.upload.c
    query = select(c.candidate, func.count(), func.sum(c.pages)).where(_of(exam)).group_by(c.candidate)
    rows = connection.execute(query).all()
    return sum(row[1] for row in rows), sum(row[2] for row in rows), {row[0]: row[2] for row in rows}


def _why_not(size: int, kind: Kind) -> str:
    """Why a file cannot be taken, by its size and its first bytes, or ""."""
    if size > MAX_BYTES:
        return "too_large"
    if kind in _ENDINGS:
        return ""
    return {"empty": "empty_file", "heic": "unsupported_kind"}.get(kind, "not_an_image")


def _of(exam: str) -> ColumnElement[bool]:
    return schema.upload.c.exam == exam


def _held(connection: Connection, exam: str, digest: str) -> bool:
    query = select(schema.upload.c.number).where(_of(exam), schema.upload.c.sha256 == digest)
    return connection.execute(query).first() is not None


def _look(path: Path) -> int:
    """Pages of a file whose first page can be read. Raises PageError."""
    from grader.intake.decode import load_page
    from grader.intake.plan import list_pages
    from grader.intake.quality import check_quality

    check_quality(load_page(PageRef(str(path)), pdf_dpi=100))
    return len(list_pages([path]))
