"""Make the fonts in grader/paper/fonts from their packages in the npm registry. A one-off tool.

    npm pack @expo-google-fonts/noto-sans-sc @fontsource/long-cang @expo-google-fonts/patrick-hand
    (unpack each into SOURCE/<package's last name>)
    pip install fonttools brotli
    python scripts/fonts.py SOURCE

Noto Sans SC and Long Cang are cut down to GB 2312, Latin, Greek, mathematics and punctuation, so that a
wheel stays small; hinting is dropped, since sheets are printed. Patrick Hand is copied as it is.
All are under the SIL Open Font License; its text is copied beside each font.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FONTS = Path(__file__).resolve().parent.parent / "grader" / "paper" / "fonts"

# What exam texts use besides Chinese: Latin with accents, Greek, punctuation, super- and subscripts,
# currency, letter-like signs, fractions, Roman numerals, arrows, mathematics, circled numbers, box drawing,
# geometric shapes, CJK punctuation, units, full-width forms.
RANGES = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x1CD, 0x1DC), (0x2C6, 0x2DD), (0x370, 0x3FF), (0x2000, 0x206F),
    (0x2070, 0x209F), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2150, 0x218F), (0x2190, 0x21FF),
    (0x2200, 0x22FF), (0x2300, 0x23FF), (0x2460, 0x24FF), (0x2500, 0x257F), (0x25A0, 0x25FF),
    (0x2600, 0x266F), (0x2713, 0x2718), (0x3000, 0x303F), (0x3100, 0x312F), (0x3200, 0x33FF),
    (0xFF00, 0xFFEF),
]  # fmt: skip


def gb2312() -> set[int]:
    """The code points of GB 2312."""
    points = set()
    for high in range(0xA1, 0xF8):
        for low in range(0xA1, 0xFF):
            try:
                points.add(ord(bytes((high, low)).decode("gb2312")))
            except UnicodeDecodeError:
                continue
    return points


def cut(source: Path, target: Path) -> None:
    """Subset `source` to the characters above and write TrueType outlines to `target`."""
    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.name_IDs = ["*"]
    options.notdef_outline = True
    options.flavor = None
    font = TTFont(source)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=gb2312() | {p for low, high in RANGES for p in range(low, high + 1)})
    subsetter.subset(font)
    font.flavor = None
    font.save(target)
    print(f"{target.name}: {len(font.getBestCmap())} characters, {target.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    source = Path(sys.argv[1])
    noto, cang, patrick = (source / name / "package" for name in ("noto-sans-sc", "long-cang", "patrick-hand"))
    FONTS.mkdir(exist_ok=True)
    cut(noto / "400Regular" / "NotoSansSC_400Regular.ttf", FONTS / "NotoSansSC-Regular.ttf")
    cut(noto / "700Bold" / "NotoSansSC_700Bold.ttf", FONTS / "NotoSansSC-Bold.ttf")
    cut(cang / "files" / "long-cang-chinese-simplified-400-normal.woff2", FONTS / "LongCang-Regular.ttf")
    shutil.copyfile(patrick / "400Regular" / "PatrickHand_400Regular.ttf", FONTS / "PatrickHand-Regular.ttf")
    shutil.copyfile(noto / "LICENSE_FONT", FONTS / "NotoSansSC-OFL.txt")
    shutil.copyfile(cang / "LICENSE", FONTS / "LongCang-OFL.txt")
    shutil.copyfile(patrick / "LICENSE_FONT", FONTS / "PatrickHand-OFL.txt")


if __name__ == "__main__":
    main()
