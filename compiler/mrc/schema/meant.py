"""What was probably meant by a value with a unit that is not written as mrc reads it: other spellings, or none."""

import re
from collections.abc import Collection, Iterable
from decimal import Decimal

NUMBER = r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,12})?"
QUANTITY = r"[0-9]{1,15}(?:\.[0-9]{1,9})?(?:[numkMGTPE]|[KMGTPE]i)?"
_LONGEST = 3650 * 86_400_000
_LENGTHS = (
    ("w week weeks", 604_800_000), ("d day days", 86_400_000), ("h hr hrs hour hours", 3_600_000),
    ("m min mins minute minutes", 60_000), ("s sec secs second seconds", 1_000), ("ms msec millis milliseconds", 1),
)  # fmt: skip


def instead(ways: Iterable[str]) -> str:
    """What a message ends with where it is known what was meant: ` (write "5%")`."""
    said = " or ".join(f'"{way}"' for way in ways)
    return f" (write {said})" if said else ""


def milliseconds(text: str) -> int | None:
    """What `30 min`, `1hour` or `1.5h` say; None where it is no length of time."""
    parts = re.findall(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*([a-z]+)\.?[\s,]*|(.)", text.strip().lower()[:80])
    sizes = {word: Decimal(size) for words, size in _LENGTHS for word in words.split()}
    if not parts or any(rest or unit not in sizes for _, unit, rest in parts):
        return None
    length = sum((Decimal(number) * sizes[unit] for number, unit, _ in parts), Decimal(0))
    return int(length) if length == int(length) <= _LONGEST else None


def share(text: str) -> list[str]:
    """0.05 is a share as other tools write it, 5 a number of percent, and 1 may be either."""
    if not re.fullmatch(NUMBER, bare := text.removesuffix("%").rstrip()) or Decimal(bare) > 100:
        return []
    if bare != text or Decimal(bare) == 0 or Decimal(bare) > 1:
        return [f"{bare}%"]
    percent = f"{Decimal(bare).scaleb(2).normalize():f}%"
    return [percent] if Decimal(bare) < 1 else ["1%", percent]


def rate(text: str) -> list[str]:
    """What `200`, `200 rps`, `200 / s` or `5 per minute` say."""
    if re.fullmatch(NUMBER, text):
        return [f"{text}/s"]
    unit = r"(?:(?:rp|qp)|(?:req|requests)?\s*(?:/|per)\s*)([smhd])[a-z]*"
    found = re.fullmatch(rf"({NUMBER})\s*{unit}", text.strip().lower())
    return [f"{found[1]}/{found[2]}"] if found else []


def quantity(text: str) -> list[str]:
    """What `64GB`, `8 Gi` or `8gb` say: bytes have no letter of their own in Kubernetes."""
    if re.fullmatch(QUANTITY, bare := text.replace(" ", "")):
        return [bare]
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([kmgtpe])(i?)b?", text.strip().lower())
    if not found:
        return []
    number, letter, binary = found.groups()
    power = f"{number}{letter.upper()}i"
    return [power] if binary else [power, f"{number}{letter.upper() if letter != 'k' else 'k'}"]


def instant(text: str) -> list[str]:
    """What a day says, or a day and a time of which nobody wrote that it is UTC."""
    day = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?", text, re.ASCII)
    return [f"{day[1]}T{day[2] or '00:00'}{day[3] or ':00'}Z"] if day else []


def week_time(text: str, days: Collection[str]) -> list[str]:
    """What `friday 9:00` says."""
    close = re.fullmatch(r"([A-Za-z]{3})[a-z]*,? ([0-9]{1,2}):([0-5][0-9])", text)
    if not close or close[1].title() not in days or int(close[2]) > 23:
        return []
    return [f"{close[1].title()} {int(close[2]):02}:{close[3]}"]
