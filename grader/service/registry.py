"""The pages of the exam registry: my exams, a new one, and one exam's start."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.service import exams
from grader.service.access import TheActor, TheExam, TheService, allowed
from grader.service.pages import show

rooms = APIRouter(tags=["exams"])


@rooms.get("/exams", dependencies=[Depends(allowed("enter"))])
def my_exams(request: Request, service: TheService, actor: TheActor) -> Response:
    """The exams that I may see."""
    with service.database.read() as connection:
        mine = exams.visible(connection, service.exam_folders, actor)
    return show(request, "service/exams", exams=mine)


@rooms.get("/exams/{exam}", dependencies=[Depends(allowed("see_exam"))])
def one_exam(request: Request, exam: TheExam) -> Response:
    """One exam's start: what can be done in it, and where."""
    return show(request, "service/exam")
