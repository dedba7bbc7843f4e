"""Names of the people whose marks stand beside each other."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from sqlalchemy import select

from grader.marking.scheme import MODEL
from grader.service import schema
from grader.service.database import Database
from grader.service.pages import tell


def namer(request: Request, database: Database) -> Callable[[str], str]:
    """Account id → name; the model has a name of its own, and a rule or a stranger keeps the one it has."""
    with database.read() as connection:
        rows = connection.execute(select(schema.account.c.id, schema.account.c.name))
        names = {row.id: row.name for row in rows}
    names[MODEL] = tell(request, "marker_model")
    return lambda account: names.get(account, account)
