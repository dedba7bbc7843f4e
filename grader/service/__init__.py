"""The multi-user service: accounts, exams and rights; other parts hang their pages into it.

How to add a part (marking, homework, ...):

1. Its tables register on `grader.service.database.metadata` in a module of its own, named in `database.TABLES`.
   Columns `exam` are `ForeignKey("exam.id")` and those of people `ForeignKey("account.id")`; times are text from
   `database.now()`. A table that may only grow is wrapped in `guards.append_only(Table(...))`. When an exam is
   deleted, rows go from every table that has a column `exam`; what hangs on those rows needs
   `ForeignKey(..., ondelete="CASCADE")`.
2. Its routes stand in one flat `rooms = APIRouter()`; the module, the module of its `WORDS`
   (key: (English, Chinese)) and its templates are listed in `grader.service.rooms.ROOMS`, with the doors that an
   exam's start page shows. What else goes when an exam's pictures go: `retention.CLEARERS`.
3. Every route declares its permission once; the actions are the table in `grader.service.permissions`:

       @rooms.get("/exams/{exam}/mark", dependencies=[Depends(allowed("mark"))])
       def desk(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
           with service.database.read() as connection:
               waiting = ...
           return show(request, "marking/desk", waiting=waiting)

       @rooms.post("/exams/{exam}/mark/{answer}", dependencies=[Depends(allowed("mark"))])
       def decide(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
           with service.database.begin() as connection:        # may write; all or nothing; never nested
               ...
               audit.record(connection, actor.account, "marked", exam.id, answer=answer)
           say(request, "saved_mark", mark=3)                   # a notice on the next page, after the transaction
           return go(f"/exams/{exam.id}/mark")

   `{exam}` is the opaque id; who may not see that exam gets the same 404 as for one that is not there. Objects
   below an exam are looked up together with `exam.id`; for one that is not there raise `Refused(404, "not_here")`.
   Routes that answer with JSON are checked in just the same way. `anyone` is the permission of what needs no sign-in.
4. Forms carry `<input type="hidden" name="csrf" value="{{ csrf }}">`, scripts send the header `X-CSRF-Token`
   (then nothing of a stranger's body is read). Both are checked before the route, for every method but GET. Read
   the form through `form: Form` (or `await request.form()`), not through FastAPI's `Form()` parameters, which
   would be parsed before the permission is asked. A route that takes files says how much:
   `allowed("upload", body=500_000_000)`. File names are never trusted, pictures are re-encoded
   (`pictures.shown`) before they are sent.
5. Templates extend "service/base.html.j2" (blocks heading, scripts, tools, body) and find `t(key, **values)`, `flag`,
   `number`, `language`, `actor`, `exam`, `may(action)` (in this exam), `can(action)` (outside of exams), `csrf`,
   `here`. The desk's own macros are "marking.html.j2". No inline script or style: the policy refuses both.
6. Who saw what: `service.saw(actor.account, exam.id, "crops", [answer])`, gathered into one row every few seconds.
   Names of candidates come from `grader.service.vault` alone, and only for those who may `see_names`.
7. Refusals: `raise Refused(404, "not_here")`, `Refused(403, "forbidden")`, `Refused(409, "stale")`; any GraderError
   becomes a page with its remedy. `exam.definition()`, `exam.run`, `service.run(exam)` lead to the engine's records.

How it is run: SERVICE.md beside this file.
Tests: tests/service_client.py; test_service_routes.py tries every route as everybody, new ones of themselves.
"""
