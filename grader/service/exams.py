"""The registry of exams: a row each, and a folder `exams/<id>` with exam.yaml, form.json, scans/ and run/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.engine import Row

from grader.exam.exam import Exam
from grader.service import schema
from grader.service.database import now
from grader.service.permissions import Actor, Role


@dataclass(frozen=True)
class ExamPlace:
    """One exam of the service. folder: where its files are; id: what its addresses say; code: exam.id of its file."""

    id: str
    kind: str  # "exam" or "homework"
    code: str
    title: str
    language: str
    owner: str
    created: str
    keep_until: str
    state: str
    folder: Path

    @property
    def exam_file(self) -> Path:
        """The exam as it was given."""
        return self.folder / "exam.yaml"

    @property
    def form_file(self) -> Path:
        """The geometry of its sheets, once they are made."""
        return self.folder / "form.json"

    @property
    def scans(self) -> Path:
        """Scans and photographs as they came, under names of ours."""
        return self.folder / "scans"

    @property
    def run(self) -> Path:
        """The run folder of the engine."""
        return self.folder / "run"

    @property
    def has_run(self) -> bool:
        """Whether anything was read yet."""
        return (self.run / "run.sqlite").is_file()

    def definition(self) -> Exam:
        """The exam itself. Raises ExamError for a file that was damaged since."""
        from grader.exam.load import load_exam

        return load_exam(self.exam_file)


def place(folders: Path, row: Row[tuple[object, ...]]) -> ExamPlace:
    """The place of a row of the table."""
    return ExamPlace(**row._mapping, folder=folders / row._mapping["id"])


def find(connection: Connection, folders: Path, exam_id: str) -> ExamPlace | None:
    """The exam, or None. Says nothing about who may see it: that is `allowed`."""
    row = connection.execute(select(schema.exam).where(schema.exam.c.id == exam_id)).first()
    return place(folders, row) if row is not None else None


def visible(connection: Connection, folders: Path, actor: Actor) -> list[ExamPlace]:
    """The exams that the actor may see, newest first."""
    query, ids = select(schema.exam).order_by(schema.exam.c.created.desc()), actor.exams_where("see_exam")
    if ids is not None:
        query = query.where(schema.exam.c.id.in_(sorted(ids)))
    return [place(folders, row) for row in connection.execute(query)]


def create(
    connection: Connection, folders: Path, actor: Actor, definition: Exam, source: str, kind: str = "exam"
) -> ExamPlace:
    """A new exam from a definition that was checked; source: its text, kept as exam.yaml.

    Whoever makes it becomes its teacher (homework, or a teacher) or its leader.
    """
    header = definition.exam
    values = {
        "id": schema.new_id(), "kind": kind, "code": header.id, "title": header.title, "language": header.language,
        "owner": actor.account, "created": now(), "keep_until": "", "state": "open",
    }  # fmt: skip
    made = ExamPlace(**values, folder=folders / values["id"])
    made.folder.mkdir(parents=True)
    made.scans.mkdir()
    made.exam_file.write_text(source, encoding="utf-8")
    connection.execute(insert(schema.exam).values(**values))
    role: Role = "teacher" if kind == "homework" or actor.role == "teacher" else "leader"
    admit(connection, made.id, actor.account, role)
    return made


def rename(connection: Connection, exam_id: str, definition: Exam) -> None:
    """Its definition was changed before anything was read: the row says what its file says."""
    header = definition.exam
    values = {"code": header.id, "title": header.title, "language": header.language}
    connection.execute(update(schema.exam).where(schema.exam.c.id == exam_id).values(**values))


def admit(connection: Connection, exam_id: str, account_id: str, role: Role) -> None:
    """Make an account a member; nothing where it is."""
    values = {"account": account_id, "exam": exam_id, "role": role}
    table = schema.membership
    held = select(table).where(*(table.c[name] == value for name, value in values.items()))
    if connection.execute(held).first() is None:
        connection.execute(insert(table).values(**values))
