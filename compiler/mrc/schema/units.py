"""Values with a unit: exact, immutable, and written back in one canonical form.

Each type parses the text of a YAML scalar. Nothing here is ever a binary float.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mrc.records import dataclass
from mrc.schema import meant
from mrc.schema.meant import NUMBER

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema
    from pydantic_core.core_schema import NoInfoValidatorFunctionSchema


class Scalar:
    """A value written as one YAML scalar; `parse` turns its text into the value or raises ValueError."""

    json_schema: ClassVar[dict[str, Any]]

    @classmethod
    def parse(cls, text: str) -> Self:
        raise NotImplementedError

    @classmethod
    def _validate(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"expected {cls.json_schema['description']}")
        return cls.parse(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        function: NoInfoValidatorFunctionSchema = {"type": "no-info", "function": cls._validate}
        return {"type": "function-plain", "function": function, "serialization": {"type": "to-string"}}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        return dict(cls.json_schema)


_DURATION = re.compile(r"(?=.)(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?(?:(\d{1,6})ms)?", re.ASCII)
_DURATION_PARTS = (86_400_000, 3_600_000, 60_000, 1_000, 1)
_LONGEST = 3650 * _DURATION_PARTS[0]  # Argo counts seconds in 32 bits


class Duration(Scalar, int):
    """A length of time in whole milliseconds, written `30s`, `5m`, `1h30m`, `2d`."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^(?=.)(\d{1,6}d)?(\d{1,6}h)?(\d{1,6}m)?(\d{1,6}s)?(\d{1,6}ms)?$",
        "description": "a duration such as 30s, 5m, 1h30m or 2d",
        "examples": ["30s", "5m", "1h30m"],
    }

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is units in falling order, each at most once."""
        match = _DURATION.fullmatch(text)
        if not match:
            length = meant.milliseconds(text)
            ways = [f"{text}s", f"{text}m"] if text.isdigit() else [str(cls(length))] if length is not None else []
            raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m{meant.instead(ways)}")
        found = cls(sum(int(n) * part for n, part in zip(match.groups(), _DURATION_PARTS, strict=True) if n))
        if found > _LONGEST:
            raise ValueError(f"{text!r} is longer than 3650 days")
        return found

    @property
    def seconds(self) -> int:
        """Whole seconds, rounded up."""
        return -(-int(self) // 1000)

    @lru_cache(maxsize=1024)  # noqa: B019  a number keeps nothing alive
    def __str__(self) -> str:
        rest, parts = int(self), []
        for name, size in zip(("d", "h", "m", "s", "ms"), _DURATION_PARTS, strict=True):
            count, rest = divmod(rest, size)
            if count:
                parts.append(f"{count}{name}")
        return "".join(parts) or "0s"

    __repr__ = __str__


class Span(Duration):
    """A length of time of at least a second: of what takes none, there is nothing to wait for and nothing to see."""

    json_schema: ClassVar[dict[str, Any]] = {
        **Duration.json_schema, "description": "a duration of at least 1s, such as 30s, 5m, 1h30m or 2d",
    }  # fmt: skip

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a duration of a second or more."""
        found = cls(Duration.parse(text))
        if found < 1000:
            raise ValueError(f"{text!r} is less than a second")
        return found


class Share(Scalar, Decimal):
    """A share between 0 and 1, written in percent: `5%`."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,12})?)%$",
        "description": "a share in percent such as 5%",
        "examples": ["1%", "50%"],
    }

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a percentage from 0% to 100%."""
        if not re.fullmatch(rf"{NUMBER}%", text):
            raise ValueError(f"{text!r} is not a share such as 5%{meant.instead(meant.share(text))}")
        share = Decimal(text[:-1]).scaleb(-2)
        if share > 1:
            raise ValueError(f"{text} is more than 100%")
        return cls(share)

    WHOLE: ClassVar[int] = 10**14  # the finest share that can be written is one part of it

    @property
    def parts(self) -> int:
        """The share as a whole number of `WHOLE`: such add up faster than fractions do."""
        return int(self * self.WHOLE)

    @property
    def percent(self) -> Decimal:
        """The number in front of the percent sign."""
        return self.scaleb(2)

    def __str__(self) -> str:
        return f"{plain(self.percent)}%"

    def __format__(self, spec: str, /, context: Any = None) -> str:
        return str(self)  # Decimal's own would write 0.05 into a message


_RATE_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Rate(Scalar):
    """Events per second, exact, written `200/s`, `5/m`."""

    per_second: Fraction
    text: str

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?/[smhd]$",
        "description": "a rate such as 200/s or 5/m",
        "examples": ["200/s", "5/m"],
    }

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a number, a slash and one of s, m, h, d."""
        match = re.fullmatch(rf"({NUMBER})/([smhd])", text)
        if not match:
            raise ValueError(f"{text!r} is not a rate such as 200/s{meant.instead(meant.rate(text))}")
        return cls(Fraction(match[1]) / _RATE_SECONDS[match[2]], text)

    def __str__(self) -> str:
        return self.text


_QUANTITY_FACTORS = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12),
    "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
    "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip


class Quantity(Scalar, str):
    """A Kubernetes resource quantity, kept as it was written: `4`, `500m`, `8Gi`."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": ["string", "number"],
        "pattern": r"^[0-9]{1,15}(\.[0-9]{1,9})?([numkMGTPE]|[KMGTPE]i)?$",
        "description": "a Kubernetes quantity such as 4, 500m or 8Gi",
        "examples": ["500m", "8Gi"],
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a Kubernetes quantity without sign or exponent."""
        if not re.fullmatch(meant.QUANTITY, text):
            said = meant.instead(meant.quantity(text))
            raise ValueError(f"{text!r} is not a Kubernetes quantity such as 4, 500m or 8Gi{said}")
        return cls(text)

    @property
    def value(self) -> Fraction:
        """The exact amount, in the resource's base unit."""
        number = self.rstrip("numkMGTPEi")
        return Fraction(number) * _QUANTITY_FACTORS[self[len(number) :]]


# unit -> suffix -> factor to the base unit in which Prometheus holds the series
UNITS: dict[str, dict[str, Decimal]] = {
    "ratio": {"%": Decimal("0.01"), "": Decimal(1)},
    "seconds": {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)},
    "bytes": {"": Decimal(1), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30)},
    "per second": {"/s": Decimal(1)},
    "count": {"": Decimal(1)},
    "number": {"": Decimal(1)},
}
_EXAMPLES = {"ratio": "1%", "seconds": "250ms", "bytes": "512Mi", "per second": "10/s"}


@dataclass(frozen=True)
class Threshold(Scalar):
    """A number as the team wrote it, with the suffix that says its unit; `in_unit` reads it."""

    number: Decimal
    suffix: str

    json_schema: ClassVar[dict[str, Any]] = {
        "type": ["string", "number"],
        "pattern": rf"^-?{NUMBER}(%|ms|s|m|h|/s|Ki|Mi|Gi)?$",
        "description": "a number with the metric's unit such as 1%, 250ms or 10/s",
        "examples": ["1%", "250ms"],
    }

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a decimal number and a known suffix or none."""
        match = re.fullmatch(rf"(-?{NUMBER})(%|ms|s|m|h|/s|Ki|Mi|Gi|)", text)
        if not match:
            raise ValueError(f"{text!r} is not a number with a unit such as 1%, 250ms or 10/s")
        return cls(Decimal(match[1]), match[2])

    def in_unit(self, unit: str) -> Decimal:
        """The value in the base unit of `unit`, exact; ValueError says what to write instead."""
        factors = UNITS[unit]
        if self.suffix in factors:
            return self.number * factors[self.suffix]
        if not self.suffix and unit == "seconds":
            raise ValueError(f'{self} has no unit where one of time is needed: write "{self}ms" or "{self}s"')
        example = f", such as {_EXAMPLES[unit]}" if unit in _EXAMPLES else ", a plain number"
        raise ValueError(f"{self} is not in {unit}{example}")

    def __str__(self) -> str:
        return f"{plain(self.number)}{self.suffix}"


def plain(number: Decimal) -> str:
    """The shortest decimal notation without an exponent: 0.0100 -> 0.01, 1E+1 -> 10."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


class Timestamp(Scalar, datetime):
    """An instant in UTC, written as RFC 3339: `2026-10-04T09:12:00Z`."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "format": "date-time",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$",
        "description": "an instant such as 2026-10-04T09:12:00Z",
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is RFC 3339 with an offset."""
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", text, re.ASCII):
            raise ValueError(
                f"{text!r} is not an instant such as 2026-10-04T09:12:00Z{meant.instead(meant.instant(text))}"
            )
        try:
            found = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is not a date and time that exists") from None
        return cls(found.year, found.month, found.day, found.hour, found.minute, found.second,
                   found.microsecond, tzinfo=UTC)  # fmt: skip

    def __str__(self) -> str:
        return self.isoformat().replace("+00:00", "Z")


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class WeekTime(Scalar, int):
    """A moment of every week in UTC, in minutes since Monday 00:00, written `Fri 16:00`."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01][0-9]|2[0-3]):[0-5][0-9]$",
        "description": "a day and time of the week in UTC such as Fri 16:00",
        "examples": ["Fri 16:00"],
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a day of three letters and a time of 24 hours."""
        match = re.fullmatch(r"([A-Z][a-z]{2}) ([01][0-9]|2[0-3]):([0-5][0-9])", text)
        if not match or match[1] not in _DAYS:
            said = meant.instead(meant.week_time(text, _DAYS))
            raise ValueError(f"{text!r} is not a day and time in UTC such as Fri 16:00{said}")
        return cls((_DAYS.index(match[1]) * 24 + int(match[2])) * 60 + int(match[3]))

    @classmethod
    def of(cls, instant: datetime) -> Self:
        """The moment of the week at which an instant falls."""
        utc = instant.astimezone(UTC)
        return cls((utc.weekday() * 24 + utc.hour) * 60 + utc.minute)

    def __str__(self) -> str:
        hours, minutes = divmod(int(self), 60)
        return f"{_DAYS[hours // 24]} {hours % 24:02}:{minutes:02}"

    __repr__ = __str__


class Number(Scalar, int):
    """A whole number from 0 to 10^9 without sign, exponent or leading zero."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "integer",
        "minimum": 0,
        "maximum": 10**9,
        "description": "a whole number such as 3",
    }
    least: ClassVar[int] = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a whole number of at least `least`."""
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text) or not cls.least <= int(text) <= 10**9:
            least = (
                f"of at least {cls.least}" if not text.isdecimal() or len(text) < 10 else f"from {cls.least} to 10^9"
            )
            raise ValueError(f"{text!r} is not a whole number {least}")
        return cls(text)


class Positive(Number):
    """A whole number of at least 1."""

    json_schema: ClassVar[dict[str, Any]] = {
        **Number.json_schema, "minimum": 1, "description": "a whole number of at least 1",
    }  # fmt: skip
    least: ClassVar[int] = 1


class Bytes(Number):
    """A size in bytes, up to one exbibyte."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "integer", "minimum": 0, "maximum": 2**60, "description": "a size in bytes",
    }  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise ValueError unless `text` is a whole number of bytes."""
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) > 2**60:
            raise ValueError(f"{text!r} is not a size in whole bytes, as `stat --format=%s FILE` prints it")
        return cls(text)
