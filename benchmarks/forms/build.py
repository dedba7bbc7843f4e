"""Write the forms of the real sheets that come without a layout: geometry only, measured on flat pictures.

    python benchmarks/forms/build.py

Units are pixels of the flattened picture of a sheet that each form names in its title. A form whose
registration names a picture finds it in the data set's folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.harness import DATA
from grader.exam.form import (
    AnyField,
    AnyMethod,
    BubbleBox,
    CodeField,
    ContourMethod,
    FeaturesMethod,
    Fiducial,
    Form,
    MarkersMethod,
    MarksField,
    PageForm,
    WholeMethod,
)

HERE = Path(__file__).resolve().parent
Points = Iterable[tuple[str, float, float]]  # label, centre x, centre y


def bubbles(points: Points, w: float, h: float, shape: str, position: int = 0) -> tuple[BubbleBox, ...]:
    return tuple(
        BubbleBox(label=label, x=round(x - w / 2, 1), y=round(y - h / 2, 1), w=w, h=h, position=position, shape=shape)
        for label, x, y in points
    )


def grid(
    name: str, labels: Sequence[str], xs: Sequence[float], y: float, step: float, size: float, role: str
) -> MarksField:
    """A column of bubbles for every position, as for a number to be coded."""
    found = [
        b
        for position, x in enumerate(xs)
        for b in bubbles([(label, x, y + step * n) for n, label in enumerate(labels)], size, size, "ellipse", position)
    ]
    return MarksField(id=name, role=role, bubbles=tuple(found))


def save(
    path: str,
    title: str,
    size: tuple[float, float],
    fields: Iterable[AnyField],
    method: AnyMethod,
    fiducials: Iterable[Fiducial] = (),
    *,
    limit: float,
    align: bool = True,
    **options: object,
) -> None:
    page = PageForm(number=1, width=size[0], height=size[1], fiducials=tuple(fiducials), fields=tuple(fields))
    form = Form(
        id=path.replace("/", "-"),
        title=title,
        unit="px",
        registration=(method,),
        max_residual=limit,
        align_bubbles=align,
        pages=(page,),
        **options,
    )
    target = HERE / f"{path}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    form.save(target)


def marks(kind: str, size: float, *points: tuple[float, float]) -> list[Fiducial]:
    return [Fiducial(kind=kind, x=x, y=y, size=size) for x, y in points]


# --- openmcr: three squares and a bracket, 75 questions -------------------------------------------------


def openmcr() -> None:
    letters = [chr(ord("A") + n) for n in range(26)]
    digits = list("0123456789")
    fields: list[AnyField] = [
        grid("last_name", letters, [186 + 39.85 * n for n in range(12)], 305, 40.12, 25, "other"),
        grid("first_name", letters, [705 + 39.85 * n for n in range(6)], 305, 40.12, 25, "other"),
        grid("middle", letters, [984, 1024], 305, 40.12, 25, "other"),
        grid("student_id", digits, [1144 + 40 * n for n in range(10)], 305, 40.1, 25, "candidate"),
        grid("course_id", digits, [1144 + 40 * n for n in range(10)], 826, 40.2, 25, "other"),
        MarksField(
            id="form_code",
            role="other",
            bubbles=bubbles([(label, 1224 + 40 * n, 1308) for n, label in enumerate("ABCDEF")], 25, 25, "ellipse"),
        ),
    ]
    for block, x in enumerate((226, 505.5, 784.5, 1063.5, 1344)):
        for row in range(15):
            number = str(15 * block + row + 1)
            points = [(label, x + 40 * n, 1469 + 40.14 * row) for n, label in enumerate("ABCDE")]
            fields.append(MarksField(id=number, item=number, bubbles=bubbles(points, 25, 25, "ellipse")))
    bracket = Fiducial(kind="corner", x=125, y=162, size=60)
    fiducials = [bracket, *marks("square", 31, (1550, 176), (1549, 2076), (140, 2076))]
    save("openmcr/75", "75 questions; core3_07", (1700, 2200), fields, MarkersMethod(), fiducials, limit=6)


# --- FormScanner's examples -----------------------------------------------------------------------------


def formscanner() -> None:
    fields: list[AnyField] = [
        grid("student_id", list("0123456789"), [246, 291, 336, 382, 428, 473], 525, 44.8, 17, "candidate")
    ]
    for first, xs in ((1, (656, 700.5, 746, 795.5)), (21, (931, 980, 1025.5, 1070))):
        for row in range(20):
            points = [(label, x, 535 + 41.6 * row) for label, x in zip("ABCD", xs, strict=True)]
            number = str(first + row)
            fields.append(MarksField(id=number, item=number, bubbles=bubbles(points, 17, 17, "ellipse")))
    for name, x, w in (("university", 235, 440), ("course", 758, 266)):
        fields.append(CodeField(id=name, role="other", x=x, y=1440, w=w, h=76, formats=("Code128",)))
    rings = marks("ring", 68, (102, 82), (1158, 82), (1157, 1621), (101, 1622))
    save("formscanner/test", "40 questions; test1", (1240, 1718), fields, MarkersMethod(), rings, limit=4)

    def choice(name: str, points: Points, multiple: bool = False) -> MarksField:
        return MarksField(id=name, item=name, bubbles=bubbles(points, 17, 17, "ellipse"), multiple=multiple)

    ages = ("Under 25", "25-29", "30-39", "40-49", "50-59", "60 or more")
    often = ("Less than once", "1 or 2", "3 or 4", "5 or 6", "Every day")
    agree = (("SA", 682), ("A", 794.5), ("D", 908), ("SD", 1021.5))
    sources = (
        ("Newspapers", 363, 1260),
        ("Magazines", 363, 1311),
        ("TV", 658.5, 1260),
        ("Internet", 658.5, 1311),
        ("Radio", 953, 1259),
        ("Books", 953, 1310),
    )
    questions: list[AnyField] = [
        choice("q1", [("Female", 614, 420.5), ("Male", 802, 420)]),
        choice("q2", [(label, 380.5, 563 + 45.75 * n) for n, label in enumerate(ages)]),
        choice("q3", [(label, 952, 560.5 + 46 * n) for n, label in enumerate(often)]),
        *(choice(f"q4{row}", [(label, x, 1001.5 + 46.8 * n) for label, x in agree]) for n, row in enumerate("abc")),
        choice("q5", sources, multiple=True),
        CodeField(id="interviewer", role="other", x=990, y=1435, w=138, h=138),
    ]
    brackets = marks("corner", 53, (98, 75), (1174, 69), (1179, 1626), (103, 1632))
    save("formscanner/questionnaire", "questionnaire1", (1240, 1718), questions, MarkersMethod(), brackets, limit=4)


# --- Auto-Multiple-Choice: four discs, boxes to cross ---------------------------------------------------


def _boxes(
    name: str, labels: Sequence[str], points: Sequence[tuple[float, float]], size: float, many: bool
) -> MarksField:
    found = bubbles([(label, x, y) for label, (x, y) in zip(labels, points, strict=True)], size, size, "rect")
    return MarksField(id=name, item=name, bubbles=found, multiple=many)


def _column(x: float, *ys: float) -> list[tuple[float, float]]:
    return [(x, y) for y in ys]


def amc() -> None:
    def discs(size: float, bottom: float) -> list[Fiducial]:
        return marks("disc", size, (160, 160), (1040, 160), (1040, bottom), (160, bottom))

    def write(name: str, fields: Sequence[AnyField], size: float = 20, bottom: float = 1580) -> None:
        page = (1240, bottom + 174)
        save(f"amc/{name}", name, page, fields, MarkersMethod(), discs(size, bottom), limit=6, align=False)

    def number(xs: Sequence[float], ys: Sequence[float], across: bool) -> MarksField:
        found: list[BubbleBox] = []
        for position, at in enumerate(ys if across else xs):
            places = [(x, at) for x in xs] if across else [(at, y) for y in ys]
            cells = [(str(digit), x, y) for digit, (x, y) in enumerate(places)]
            found.extend(bubbles(cells, 25, 25, "rect", position))
        return MarksField(id="student_no", role="candidate", bubbles=tuple(found))

    none = "None"
    countries = ("Canada", "Cambodia", "Switzerland", "Guatemala", none)
    frogs = ("taureau", "enclume", "criquet", "concombre", none)
    write(
        "multiple_2",
        [
            number([206.5 + 46.3 * d for d in range(10)], (341, 374, 407.5), True),
            _boxes("Q1", ("-1", "π", "4-10", "2", none), _column(205, 560, 592, 624, 656, 686), 25, True),
            _boxes("Q2", countries, _column(205.5, 770, 802, 832, 864, 895), 25, True),
            _boxes("Q3", ("W", "B", "A", "Z"), [(404, 983), (528, 983), (644, 983), (762, 983)], 25, False),
        ],
    )
    write(
        "stats_3",
        [
            number([210 + 45 * d for d in range(10)], (341, 374, 408), True),
            _boxes("B", ("c2", "w1", "c1", "w2", none), _column(205, 559, 590, 621, 652, 682), 25, True),
            _boxes("A", ("c", "w2", "w3", "w1"), [(395, 771), (506, 771), (633, 771), (760, 771)], 25, False),
            _boxes("C", ("c2", "c1", "w1", "w2", none), _column(205, 857, 887, 919, 950, 980), 25, True),
        ],
    )
    write(
        "postcorrect_0",
        [
            number([226 + 46.5 * n for n in range(8)], [349 + 33.2 * d for d in range(10)], False),
            _boxes("Q1", ("A", "B", "C", "D", "Z"), [(350 + 117 * n, 759) for n in range(5)], 25, False),
            _boxes("Q2", ("4", "-1", "2", "1", "-2", "π"), _column(206, 843, 874, 906, 938, 968, 1000), 25, True),
            _boxes("Q3", ("007", "492", "123", "561"), _column(206, 1084, 1115, 1148, 1178), 25, False),
        ],
    )
    write(
        "rotate_0",
        [
            _boxes("Q1", ("1918", "1910", "1901"), _column(222, 522.7, 564.6, 606.5), 34, False),
            _boxes("Q2", ("4810m", "8848m", "1436m"), _column(222, 721.6, 763, 805), 34, False),
            _boxes("Q3", frogs, _column(222, 920.4, 962.3, 1004, 1046, 1086), 34, True),
        ],
        28,
        1398,
    )


# --- single sheets --------------------------------------------------------------------------------------


def misc() -> None:
    fields = [
        MarksField(
            id=str(row + 1),
            item=str(row + 1),
            bubbles=bubbles([(x, 342 + 108 * n, 345 + 86.5 * row) for n, x in enumerate("ABCDE")], 49, 49, "ellipse"),
        )
        for row in range(10)
    ]
    brackets = marks("corner", 217, (100, 100), (900, 100), (900, 1233), (100, 1233))
    save("misc/rbaron", "rbaron_moire", (1000, 1333), fields, MarkersMethod(), brackets, limit=10)

    starts = ((85, 46), (388, 45.8), (685, 46.3), (980, 41.3))
    answers = [
        MarksField(
            id=str(49 + 4 * row + column),
            item=str(49 + 4 * row + column),
            bubbles=bubbles([(c, x + step * n, 32 + 70 * row) for n, c in enumerate("ABCDE")], 29, 29, "ellipse"),
        )
        for row in range(10)
        for column, (x, step) in enumerate(starts)
        if 49 + 4 * row + column <= 87
    ]
    frame = ContourMethod(corners=((0, 0), (1200, 0), (1200, 720), (0, 720)))
    save("misc/cn_webcam", "cn_webcam_1: the printed frame", (1200, 720), answers, frame, limit=10)

    columns = ((118.5, 38.7), (346, 38.7), (568, 38.7), (803.5, 38.7), (1050, 43.5))
    rows = (602, 655, 711, 764, 820, 871, 923, 976, 1028, 1085)  # not quite even
    rows += (1139, 1192, 1245, 1300, 1354, 1413, 1466, 1525, 1581, 1641)
    crosses = [
        MarksField(
            id=str(20 * block + row + 1),
            item=str(20 * block + row + 1),
            bubbles=bubbles([(label, x + step * n, y) for n, label in enumerate("ABCD")], 37, 26, "rect"),
        )
        for block, (x, step) in enumerate(columns)
        for row, y in enumerate(rows)
    ]
    whole = WholeMethod()  # a flat scan of a sheet without marks
    save("misc/es_crosses", "es_crosses_1", (1240, 1754), crosses, whole, limit=8)


def upsc() -> None:
    """160 questions, four small squares; the printed head (booklet, roll number) is covered on one of the photos."""
    fields = []
    for block, x in enumerate((404.5, 638.5, 873.5, 1109.5)):
        for row in range(40):
            number = str(40 * block + row + 1)
            points = [(label, x + 47.3 * n, 507.5 + 26.03 * row) for n, label in enumerate("ABCD")]
            fields.append(MarksField(id=number, item=number, bubbles=bubbles(points, 22, 22, "ellipse")))
    squares = marks("square", 14, (100, 100), (1300, 100), (1300, 1540), (100, 1540))
    save("omrchecker/upsc", "160 questions; upsc_rgb", (1400, 1640), fields, MarkersMethod(), squares, limit=6)


def zhongkao() -> None:
    """85 questions, 11-digit candidate number; cell centres as measured in the data set's geometry.json."""
    geometry = json.loads((DATA / "omr/cn_zhongkao_card/geometry.json").read_text())
    width, height = geometry["frame_px"]
    w, h = geometry["box_px"]
    fields: list[AnyField] = []
    digits: list[BubbleBox] = []
    for name, cells in geometry["cells"].items():
        if name.startswith("id"):
            digits.extend(bubbles(cells, w, h, "rect", int(name[2:]) - 1))
        elif name == "subject":
            fields.append(MarksField(id=name, role="other", bubbles=bubbles(cells, w, h, "rect")))
        else:
            fields.append(MarksField(id=name, item=name, bubbles=bubbles(cells, w, h, "rect")))
    fields.sort(key=lambda field: (not field.id.isdigit(), int(field.id) if field.id.isdigit() else 0))
    fields.insert(0, MarksField(id="candidate_no", role="candidate", bubbles=tuple(digits)))
    for name, x in (("absent_mark", 463.2), ("violation_mark", 591.2)):
        fields.append(MarksField(id=name, role="other", bubbles=bubbles([("X", x, 733.2)], 38, 16, "rect")))
    method = FeaturesMethod(image="blank_reference.jpg")
    save("cn_zhongkao_card/K008", "NHII K 008", (width, height), fields, method, limit=6)


if __name__ == "__main__":
    openmcr()
    formscanner()
    amc()
    misc()
    upsc()
    zhongkao()
