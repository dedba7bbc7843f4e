"""Tables that can only grow: triggers, in both databases, that refuse updates and deletions.

    mark_event = append_only(Table("mark_event", metadata, ..., Column("exam", ForeignKey("exam.id"))))

An erasable table lets rows of an exam go while that exam stands in the table `erasing`, which only the deletion
of a whole exam (grader.service.retention) does, within one transaction. Updates are refused even then.
"""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, Table, text


def append_only(table: Table, *, erasable: bool = True) -> Table:
    """Let `table` only grow. erasable: it has a column `exam`, and its rows go when that exam is deleted."""
    table.info["append_only"] = "erasable" if erasable else "for ever"
    return table


def install(connection: Connection, metadata: MetaData) -> None:
    """Make the triggers of every append-only table; nothing where they stand already."""
    guarded = [table for table in metadata.sorted_tables if "append_only" in table.info]
    postgres = connection.dialect.name == "postgresql"
    for table in guarded:
        erasable = table.info["append_only"] == "erasable"
        for statement in _postgres(table.name, erasable) if postgres else _sqlite(table.name, erasable):
            connection.execute(text(statement))


_BEING_ERASED = "SELECT 1 FROM erasing WHERE erasing.exam = OLD.exam"


def _sqlite(table: str, erasable: bool) -> tuple[str, ...]:
    refusal = f"BEGIN SELECT RAISE(ABORT, '{table} can only grow'); END"
    unless = f" WHEN NOT EXISTS ({_BEING_ERASED})" if erasable else ""
    return (
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {refusal}",
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table}{unless} {refusal}",
    )


def _postgres(table: str, erasable: bool) -> tuple[str, ...]:
    spared = f"IF TG_OP = 'DELETE' THEN IF EXISTS ({_BEING_ERASED}) THEN RETURN OLD; END IF; END IF; "
    return (
        f"CREATE OR REPLACE FUNCTION {table}_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{spared if erasable else ''}RAISE EXCEPTION '{table} can only grow'; END $$",
        f"CREATE OR REPLACE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_grows()",
        f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_grows()",
    )
