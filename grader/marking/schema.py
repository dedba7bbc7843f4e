"""The tables of marking. Truth is `mark_event`, which can only grow: every mark, of people and of the model, every
withdrawal, raise, comment, change of a group. `mark_answer` holds what follows from it, so that one request touches
a few rows.

Whose an answer is stands in `mark_origin` alone, which nothing that serves markers reads.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from grader.service.database import metadata
from grader.service.guards import append_only


def _exam(*, primary_key: bool = False, index: bool = False) -> Column[str]:
    return Column("exam", ForeignKey("exam.id"), nullable=False, primary_key=primary_key, index=index)


def _answer(*, primary_key: bool = False, nullable: bool = False, index: bool = False) -> Column[int]:
    key = ForeignKey("mark_answer.id")
    return Column("answer", key, primary_key=primary_key, nullable=nullable, index=index)


# An exam whose answers were brought in. secret: for opaque names and the streams of seeds. gate: JSON of the release
# gate's settings.
exam = Table(
    "mark_exam",
    metadata,
    _exam(primary_key=True),
    Column("secret", String, nullable=False),
    Column("gate", Text, nullable=False, server_default="{}"),
)

# place: in the exam, from 0. settings: JSON, grader.marking.settings.
item = Table(
    "mark_item",
    metadata,
    _exam(primary_key=True),
    Column("item", String, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("max_mark", Float, nullable=False),
    Column("settings", Text, nullable=False),
)

# name: opaque. place: order in the queue, identical answers together. cluster: its group. text, crop, flags: what
# was read. engine_*: the model's or rule's own mark (marker 0), under version engine_rubric of the exam, which
# engine_by put in force ("" for the first). state: "first", "second", "third" (awaits a person in that role), "leader"
# (why: "difference", "tie", "raised", "missing_page"), "final", "excused" (why: the reason). marker1, marker2,
# marker3: people whose marks stand. seed: "", or the trials it serves. how, markers: of the final mark. version:
# counts changes of what is final; written: the version that the run store has.
answer = Table(
    "mark_answer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _exam(),
    Column("item", String, nullable=False),
    Column("name", String, nullable=False),
    Column("place", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("crop", String, nullable=False),
    Column("flags", String, nullable=False),
    Column("engine_mark", Float),
    Column("engine_confidence", Float, nullable=False),
    Column("engine_status", String, nullable=False),
    Column("engine_marker", String, nullable=False),
    Column("engine_criteria", Text, nullable=False),
    Column("engine_rubric", Integer, nullable=False, server_default="1"),
    Column("engine_by", String, nullable=False, server_default=""),
    Column("state", String, nullable=False),
    Column("why", String, nullable=False, server_default=""),
    Column("marker1", String, nullable=False, server_default=""),
    Column("marker2", String, nullable=False, server_default=""),
    Column("marker3", String, nullable=False, server_default=""),
    Column("seed", String, nullable=False, server_default=""),
    Column("mark", Float),
    Column("how", String, nullable=False, server_default=""),
    Column("markers", Text, nullable=False, server_default="[]"),
    Column("criteria", Text),
    Column("comment", Text, nullable=False, server_default=""),
    Column("lease_actor", String, nullable=False, server_default=""),
    Column("lease_token", String, nullable=False, server_default=""),
    Column("lease_since", String, nullable=False, server_default=""),
    Column("lease_until", String, nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("written", Integer, nullable=False, server_default="0"),
    UniqueConstraint("exam", "name"),
)
Index("mark_answer_queue", answer.c.exam, answer.c.item, answer.c.state, answer.c.place)
Index("mark_answer_lease", answer.c.lease_actor, answer.c.exam, answer.c.item)
Index("mark_answer_cluster", answer.c.exam, answer.c.item, answer.c.cluster, answer.c.state)
Index("mark_answer_seed", answer.c.exam, answer.c.item, answer.c.seed)
Index(
    "mark_answer_unwritten",
    answer.c.exam,
    answer.c.id,
    sqlite_where=answer.c.version > answer.c.written,
    postgresql_where=answer.c.version > answer.c.written,
)

NO_LEASE = {"lease_actor": "", "lease_token": "", "lease_since": "", "lease_until": ""}

# Where an answer comes from, and whose it is: as grader.store.decisions names answers.
origin = Table(
    "mark_origin",
    metadata,
    _answer(primary_key=True),
    _exam(index=True),
    Column("candidate", String, nullable=False),
    Column("file", String),
    Column("file_page", Integer),
)

# kind: "mark" (giver: "person", "model", "leader", "appeal"), "trial" (a mark for a seed, served as such), "withdraw"
# (undoes: the event taken back), "raise", "return", "comment", "excuse", "definitive", "group", "lift", "settings".
# rubric: the version of the exam that the mark was given under. seconds: from being shown to being saved. token: the
# lease, so that a save that is sent twice is one. together: the action that made several events.
event = append_only(
    Table(
        "mark_event",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        _exam(),
        Column("item", String, nullable=False, server_default=""),
        _answer(nullable=True),
        Column("at", String, nullable=False),
        Column("actor", String, nullable=False),
        Column("kind", String, nullable=False),
        Column("giver", String, nullable=False, server_default=""),
        Column("mark", Float),
        Column("criteria", Text),
        Column("comment", Text, nullable=False, server_default=""),
        Column("seconds", Float),
        Column("rubric", Integer, nullable=False, server_default="1"),
        Column("undoes", Integer),
        Column("token", String),
        Column("together", String, nullable=False, server_default=""),
        Column("body", Text, nullable=False, server_default="{}"),
        UniqueConstraint("answer", "token"),
        UniqueConstraint("undoes"),
    )
)
Index("mark_event_answer", event.c.answer, event.c.id)
Index("mark_event_actor", event.c.exam, event.c.actor, event.c.kind, event.c.id)
Index("mark_event_item", event.c.exam, event.c.item, event.c.kind, event.c.id)

# A seed that was served to a marker. turn: from 0, counts up when it is served to him again. event: his mark.
trial = Table(
    "mark_trial",
    metadata,
    _exam(primary_key=True),
    _answer(primary_key=True),
    Column("actor", String, primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("item", String, nullable=False),
    Column("trial", String, nullable=False),
    Column("token", String, nullable=False),
    Column("at", String, nullable=False),
    Column("event", Integer),
    Column("exact", Boolean),
    Column("within", Boolean),
)
Index("mark_trial_actor", trial.c.exam, trial.c.actor, trial.c.item, trial.c.at)

# A marker at an item. served: answers so far, the place in his stream of seeds.
marker = Table(
    "mark_marker",
    metadata,
    _exam(primary_key=True),
    Column("item", String, primary_key=True),
    Column("actor", String, primary_key=True),
    Column("served", Integer, nullable=False),
)

# A random sample that a person looks at before the rest is accepted in bulk. population, names: JSON lists of
# answers' names; draw: the seed of the draw; accepted: when, or "".
sample = Table(
    "mark_sample",
    metadata,
    Column("id", String, primary_key=True),
    _exam(),
    Column("item", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", String, nullable=False),
    Column("sure", Float, nullable=False),
    Column("draw", String, nullable=False),
    Column("population", Text, nullable=False),
    Column("names", Text, nullable=False),
    Column("accepted", String, nullable=False, server_default=""),
)
Index("mark_sample_item", sample.c.exam, sample.c.item)

# A version of the exam (its items, answers and rubrics). exam_json: grader.exam.exam.Exam. preview: JSON of what the
# person saw that it would change.
revision = append_only(
    Table(
        "mark_revision",
        metadata,
        _exam(primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("at", String, nullable=False),
        Column("actor", String, nullable=False),
        Column("reason", Text, nullable=False),
        Column("exam_json", Text, nullable=False),
        Column("preview", Text, nullable=False),
    )
)

# A numbered release. gate: JSON of what the gate found, with what was excused and by whom.
release = append_only(
    Table(
        "mark_release",
        metadata,
        _exam(primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("at", String, nullable=False),
        Column("actor", String, nullable=False),
        Column("reason", Text, nullable=False),
        Column("rubric", Integer, nullable=False),
        Column("hash", String, nullable=False),
        Column("gate", Text, nullable=False),
    )
)

release_row = append_only(
    Table(
        "mark_release_row",
        metadata,
        _exam(primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("candidate", String, primary_key=True),
        Column("item", String, primary_key=True),
        Column("place", Integer, nullable=False),
        Column("mark", Float),
        Column("max_mark", Float, nullable=False),
        Column("how", String, nullable=False),
        Column("criteria", Text),
    )
)

# An appeal on one answer. state: grader.marking.appeals. before: the mark that was appealed.
appeal = Table(
    "mark_appeal",
    metadata,
    Column("id", String, primary_key=True),
    _exam(),
    _answer(index=True),
    Column("item", String, nullable=False),
    Column("state", String, nullable=False),
    Column("before", Float),
    Column("after", Float),
    Column("taken_by", String, nullable=False, server_default=""),
)
Index("mark_appeal_exam", appeal.c.exam, appeal.c.state)

# What happened to appeals, step by step. step: "opened", "taken", "handed_back", "marked", "withdrawn".
appeal_event = append_only(
    Table(
        "mark_appeal_event",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        _exam(),
        Column("appeal", ForeignKey("mark_appeal.id"), nullable=False, index=True),
        Column("at", String, nullable=False),
        Column("actor", String, nullable=False),
        Column("step", String, nullable=False),
        Column("mark", Float),
        Column("note", Text, nullable=False, server_default=""),
    )
)
