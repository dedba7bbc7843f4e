"""Files of a few kilobytes that are within every limit on size and that no decoder survives: one is never done,
one takes all memory. Both are valid PDF."""

from __future__ import annotations

import zlib

_A4 = "0 0 595 842"
_OPERATIONS = 60_000  # of the calculator function, for each of the four million pixels
_FAN, _DEPTH = 40, 12  # a form that draws another one so often, and that again: 40 to the power of 12 pictures


def endless_pdf() -> bytes:
    """Rendering it takes days: its background is a function that is computed for every pixel."""
    program = b"{ " + b"add 1 sub dup " * 2 + b"sin cos atan " * _OPERATIONS + b"pop }"
    shading = "<< /ShadingType 1 /ColorSpace /DeviceGray /Domain [0 595 0 842] /Function 5 0 R >>"
    function = "<< /FunctionType 4 /Domain [0 595 0 842] /Range [0 1] /Filter /FlateDecode /Length {length} >>"
    return _pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{_A4}] /Contents 4 0 R"
            f" /Resources << /Shading << /S {shading} >> >> >>".encode(),
            _stream("<< /Length {length} >>", b"/S sh"),
            _stream(function, zlib.compress(program)),
        ]
    )


def swelling_pdf() -> bytes:
    """Opening its page takes more memory than any machine has: forms that draw forms that draw forms."""
    last = 4 + _DEPTH
    forms = []
    for number in range(5, last + 1):
        inner = f"<< /XObject << /F {number + 1} 0 R >> >>" if number < last else "<< >>"
        drawing = b"/F Do " * _FAN if number < last else b"0 0 1 1 re f " * 200
        head = f"<< /Type /XObject /Subtype /Form /BBox [{_A4}] /Resources {inner} /Length {{length}} >>"
        forms.append(_stream(head, drawing))
    return _pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{_A4}] /Contents 4 0 R"
            f" /Resources << /XObject << /F 5 0 R >> >> >>".encode(),
            _stream("<< /Length {length} >>", b"/F Do"),
            *forms,
        ]
    )


def _stream(head: str, body: bytes) -> bytes:
    return head.replace("{length}", str(len(body))).encode() + b"\nstream\n" + body + b"\nendstream"


def _pdf(objects: list[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(data)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    data += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return data + trailer.encode()
