"""Units as people write them, in Chinese and in symbols: 米/秒, m·s⁻¹, 千克每立方米, kg/m^3.

A strict grammar over a table of known units; nothing is handed to an expression evaluator. Pint does the
arithmetic and is loaded on the first conversion only.

    unit   := factor (("*" | "/" | " ") factor)*      (每 and per are "/")
    factor := NAME ["^" integer] | NAME digit | "(" unit ")"
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from grader.exam.number import fold

Unit = tuple[tuple[str, int], ...]  # pint name and exponent, sorted; () is a pure number

_PREFIXED = {  # symbol: (Chinese names, pint name, prefixes in use)
    "m": ("米", "meter", "kdcmun"),
    "g": ("克", "gram", "kmu"),
    "s": ("秒", "second", "mun"),
    "L": ("升", "liter", "mu"),
    "N": ("牛 牛顿", "newton", "kmM"),
    "Pa": ("帕 帕斯卡", "pascal", "khM"),
    "J": ("焦 焦耳", "joule", "kmM"),
    "W": ("瓦 瓦特", "watt", "kmMG"),
    "V": ("伏 伏特", "volt", "kmu"),
    "A": ("安 安培", "ampere", "mu"),
    "Ω": ("欧 欧姆", "ohm", "kM"),
    "Hz": ("赫 赫兹", "hertz", "kMG"),
    "C": ("库 库仑", "coulomb", "mu"),
    "F": ("法 法拉", "farad", "mun"),
    "H": ("亨 亨利", "henry", "m"),
    "T": ("特 特斯拉", "tesla", "m"),
    "Wb": ("韦伯", "weber", ""),
    "mol": ("摩 摩尔", "mole", "km"),
    "cal": ("卡 卡路里", "calorie", "k"),
    "eV": ("电子伏", "electron_volt", "kMG"),
    "B": ("字节", "byte", "kMG"),
    "bit": ("比特", "bit", "kMG"),
}
_PREFIX = {
    "k": ("千", "kilo"),
    "h": ("百", "hecto"),
    "d": ("分", "deci"),
    "c": ("厘", "centi"),
    "m": ("毫", "milli"),
    "u": ("微", "micro"),
    "n": ("纳", "nano"),
    "M": ("兆", "mega"),
    "G": ("吉", "giga"),
}
_PLAIN = {
    "kilometer": "公里 千米",
    "gram_catty": "斤",
    "kilogram": "公斤",
    "tonne": "t 吨",
    "minute": "min 分 分钟 minute minutes",
    "hour": "h 时 小时 hr hour hours",
    "day": "d 天 日 day days",
    "week": "周 星期 week weeks",
    "year": "年 a year years",
    "degree": "° 度 deg degree degrees",
    "degree_Celsius": "°C 摄氏度 degC",
    "degree_Fahrenheit": "°F 华氏度 degF",
    "kelvin": "K 开 开尔文 kelvin",
    "kilowatt_hour": "kWh 千瓦时 千瓦小时",
    "hectare": "ha hm2 公顷",
    "percent": "% percent",
    "permille": "‰",
    "candela": "cd 坎德拉",
    "lumen": "lm 流明",
    "lux": "lx 勒克斯",
    "decibel": "dB 分贝",
    "diopter_lens": "D 屈光度",
    "millimeter_Hg": "mmHg 毫米汞柱",
    "atmosphere": "atm 标准大气压",
    "dollar_money": "$ dollar dollars 美元",
    "yuan_money": "元 ¥ yuan",
    "jiao_money": "角",
    "item_count": "个 只 次 条 张 人 名 块 本 支 件 棵 种 倍 道 粒 颗 头 匹 台 辆 times",
    "meter": "metre metres meter meters",
    "centimeter": "centimetre centimetres centimeter centimeters",
    "millimeter": "millimetre millimetres millimeter millimeters",
    "second": "sec second seconds",
    "newton": "newton newtons",
    "joule": "joule joules",
    "watt": "watt watts",
    "volt": "volt volts",
    "ampere": "amp amps ampere amperes",
    "pascal": "pascal pascals",
    "ohm": "ohm ohms",
    "liter": "litre litres liter liters l",
    "milliliter": "ml",
}
_OURS = (
    "gram_catty = 500 * gram",
    "yuan_money = [money_cn]",
    "jiao_money = 0.1 * yuan_money",
    "dollar_money = [money_us]",
    "item_count = []",
    "diopter_lens = 1 / meter",
    "decibel_level = []",
)
_OFFSET = {"degree_Celsius": "delta_degree_Celsius", "degree_Fahrenheit": "delta_degree_Fahrenheit"}


def _table() -> dict[str, str]:
    table = {name: unit for unit, names in _PLAIN.items() for name in names.split()}
    table |= {"decibel": "decibel_level", "dB": "decibel_level", "分贝": "decibel_level"}
    for symbol, (chinese, unit, prefixes) in _PREFIXED.items():
        for name in (symbol, *chinese.split()):
            table[name] = unit
        for prefix in prefixes:
            hanzi, latin = _PREFIX[prefix]
            table[prefix + symbol] = latin + unit
            for name in chinese.split():
                table[hanzi + name] = latin + unit
    table["kilometre"] = table["kilometres"] = table["kilometer"] = table["kilometers"] = "kilometer"
    return {fold(name).replace("μ", "u"): unit for name, unit in table.items()}


_UNITS = _table()
_FOLDED: dict[str, set[str]] = {}
for _name, _unit in _UNITS.items():
    _FOLDED.setdefault(_name.casefold(), set()).add(_unit)
# "m/s" in capitals is read all the same, but mW and MW must not be confused.
_ANY_CASE = {name: next(iter(units)) for name, units in _FOLDED.items() if len(units) == 1}

_CHINESE_POWERS = (
    (re.compile("平方(千米|分米|厘米|毫米|公里|米)"), r"\1^2"),
    (re.compile("立方(千米|分米|厘米|毫米|米)"), r"\1^3"),
    (re.compile("(?:二次方|平方)(秒)|(秒)(?:的?平方|二次方)"), r"\1\2^2"),
)
_TOKEN = re.compile(
    r"""\s*(?: (?P<name>[^\W\d_]+|°[CF]?|[%‰$¥]) (?P<digit>[23](?!\d))?
          | (?P<sign>[*/()])
          | \^[({]?(?P<power>-?\d)[)}]? )""",
    re.VERBOSE,
)


def parse(text: str) -> Unit | None:
    """The unit that `text` writes, () for an empty text, None if it is not a unit we know."""
    return _parse(text[:60]) if len(text) <= 60 else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Unit | None:  # noqa: PLR0911, PLR0912 - one scanner, a branch a token
    text = fold(text).replace("μ", "u").replace("每", "/").replace(" per ", "/").strip()
    for pattern, replacement in _CHINESE_POWERS:
        text = pattern.sub(replacement, text)
    powers: dict[str, int] = {}
    stack = [1]  # sign of the exponents inside the brackets that are open
    direction, last, position = 1, "", 0
    last_factor = 1
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        position = token.end()
        if token["name"]:
            unit = _UNITS.get(token["name"]) or _ANY_CASE.get(token["name"].casefold())
            if unit is None:
                return None
            last, last_factor = unit, direction * stack[-1]
            powers[unit] = powers.get(unit, 0) + last_factor * int(token["digit"] or 1)
            direction = 1
        elif token["power"]:
            if not last:
                return None
            powers[last] += last_factor * (int(token["power"]) - 1)
            last = ""
        elif token["sign"] == "/":
            if direction == -1:
                return None
            direction, last = -1, ""
        elif token["sign"] == "*":
            direction, last = 1, ""
        elif token["sign"] == "(":
            stack.append(stack[-1] * direction)
            direction = 1
        elif len(stack) > 1:
            stack.pop()
            last = ""
        else:
            return None
    if len(stack) > 1 or direction == -1:
        return None
    unit_powers = {unit: power for unit, power in powers.items() if power}
    if len(unit_powers) > 1 or any(power != 1 for power in unit_powers.values()):
        unit_powers = {_OFFSET.get(unit, unit): power for unit, power in unit_powers.items()}
    return tuple(sorted(unit_powers.items()))


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    # half a second, and only numeric items with units need it
    registry: Any = pint.UnitRegistry()
    for definition in _OURS:
        registry.define(definition)
    return registry


@lru_cache(maxsize=4096)
def _pint(unit: Unit, difference: bool = False) -> Any:
    registry = _registry()
    result = registry.Unit("dimensionless")
    for name, power in unit:
        result = result * registry.Unit(_OFFSET.get(name, name) if difference else name) ** power
    return result


def compatible(one: Unit, other: Unit) -> bool:
    """True if the two measure the same quantity."""
    return bool(_pint(one).dimensionality == _pint(other).dimensionality)


def convert(value: float, unit: Unit, target: Unit, *, difference: bool = False) -> float | None:
    """`value` in `unit` as a number of `target`, or None where they measure different quantities.

    difference: the value is a difference of two values (matters for temperatures only).
    """
    if unit == target:
        return value
    if not compatible(unit, target):
        return None
    import pint

    quantity = _registry().Quantity(value, _pint(unit, difference))
    try:
        return float(quantity.to(_pint(target, difference)).magnitude)
    except (pint.PintError, ArithmeticError):  # degrees Celsius as part of a product, or beyond all bounds
        return None
