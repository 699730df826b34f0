"""What mrc takes for PromQL, Prometheus takes too: one that it refuses would take the whole rule file with it."""

import json
import random
from pathlib import Path

import pytest

from judges import promtool
from mrc.promqlrules import problem, regex_problem

_SOURCES = ['"a"', '"1a"', '""']
_PATTERNS = [
    "x", "(", "a|b", "\\\\d+", "(?i)x", "(?=x)", "\\\\p{L}", "[[:alpha:]]", "a{1001}", "\\\\Q.\\\\E", "(?P<n>x)",
    "(?<n>x)", "x{,3}", "[a&&b]", "\\\\x{41}", "\\\\u0041", "a++", "a{2}{3}", "a+?", "\\\\z", "\\\\Z", "\\\\h", "\\\\1",
    "[]a]", "[^]a]", "(?:a)+", "(?s-i:a)", "[+*]", "^*", "a**", "",
]  # fmt: skip
_SPANS = ["5m", "1h30m", "1d", "0s", "1w2d", "5", "1.5m", "1y", "10ms", "5m5s", "1m1h"]
_NUMBERS = ["1", "1e3", "0x1f", "Inf", "NaN", ".5", "5.", "-1", "08", "1e", "5m"]
_OVER = ["rate", "increase", "avg_over_time", "changes", "deriv", "absent_over_time", "last_over_time", "mad_over_time"]
_OF = ["abs", "ceil", "sort", "scalar", "exp", "timestamp", "absent", "vector", "minute", "histogram_count", "deg"]
_AGGREGATES = ["sum", "max", "count", "topk", "quantile", "group", "count_values", "limitk"]
_GROUPED = [" ", " by (version) ", " without (a,) ", " by () "]
_OPERATORS = ["+", "/", "%", "==", "> bool", "and", "or", "unless", "=~", "atan2", "!="]
_MATCHED = ["", "on (version) ", "ignoring (a) ", "on (version) group_left () ", "group_left "]


class _Writer:
    """Expressions as people write and mistype them."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)

    def one(self, *choices: str) -> str:
        return self.pick.choice(choices)

    def selector(self) -> str:
        names = [self.one("a", "version", "job", "__name__", "a-b") for _ in range(self.pick.randint(0, 2))]
        matchers = ",".join(f'{name}{self.one("=", "!=", "=~", "!~")}"{self.one(*_PATTERNS)}"' for name in names)
        offset = f" offset {self.one(*_SPANS)}" if self.pick.random() < 0.15 else ""
        return f"{self.one('up', 'a:b', 'mrc:x')}{{{matchers}}}{offset}"

    def span(self) -> str:
        if self.pick.random() < 0.8:
            return f"{self.selector().split(' offset')[0]}[{self.one(*_SPANS)}]"
        return f"({self.expression(1)})[{self.one(*_SPANS)}:{self.one('', *_SPANS)}]"

    def expression(self, depth: int = 3) -> str:
        kind = self.pick.randint(0, 8) if depth else 0
        inner = depth - 1
        match kind:
            case 0 | 1:
                return self.selector() if self.pick.random() < 0.7 else self.one(*_NUMBERS)
            case 2:
                return f"{self.one(*_OVER)}({self.span()})"
            case 3:
                return f"{self.one(*_OF)}({self.expression(inner)})"
            case 4 | 5:
                first = self.one("", "2, ", "0.9, ", '"v", ')
                return f"{self.one(*_AGGREGATES)}{self.one(*_GROUPED)}({first}{self.expression(inner)})"
            case 6:
                matched = f"{self.one(*_OPERATORS)} {self.one(*_MATCHED)}"
                return f"{self.expression(inner)} {matched}{self.expression(inner)}"
            case 7:
                to, pattern = self.one("version", "1a"), self.one(*_PATTERNS)
                return f'label_replace({self.expression(inner)}, "{to}", "$1", {self.one(*_SOURCES)}, "{pattern}")'
            case _:
                return f"-({self.expression(inner)})"


@pytest.mark.parametrize("seed", range(4))
def test_prometheus_takes_what_mrc_takes(tmp_path: Path, seed: int) -> None:
    writer = _Writer(seed)
    taken = [text for text in (writer.expression() for _ in range(2500)) if problem(text) is None]
    assert len(taken) > 100, "and it takes something"
    groups = [{"name": f"g{number}", "rules": [{"record": "a:b", "expr": text}]} for number, text in enumerate(taken)]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": groups}))
    assert promtool.check_rules([tmp_path / "rules.yaml"], lint=False) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate(up[5])", "5 is no length of time"),
        ("up offset 5", "5 is no length of time"),
        ("max_over_time(up[5m:30])", "30 is no length of time"),
        ("up > 5m", "5m stands where a number belongs"),
        ('up{a=~"b" or c="d"}', "cannot be compared with or"),
        ('up{a=~"b++"}', "a: RE2 repeats nothing twice: +"),
        ('up{a!~"b{1001}"}', "a: RE2 repeats at most 1000 times"),
        ('up{a=~"(?<n>b)"}', "a: RE2 has no (?<n"),
        ('up{a=~"\\\\u0041"}', "a: RE2 has no \\u"),
        ('label_replace(up, "version", "$1", "a", "(")', "label_replace: "),
        ('label_replace(up, "1a", "$1", "a", "b")', "no name of a label"),
        ('label_join(up, "é", ",", "a")', "no name of a label"),
        ("ln(Inf)", "ln takes series"),
        ("limitk(2, up)", "experimental"),
        ("mad_over_time(up[5m])", "experimental"),
    ],
)
def test_what_prometheus_would_refuse_is_said(text: str, said: str) -> None:
    assert said in (problem(text) or "")


@pytest.mark.parametrize(
    "pattern",
    [
        "a.*",
        "(a|b)c?",
        "[+*?{}]+",
        "[]a]",
        "a{2,3}?",
        "\\\\.",
        "(?i)a",
        "(?P<n>a)",
        "\\\\Qa++\\\\E",
        "\\\\d{1,3}",
        "x{,3}",
    ],
)
def test_what_re2_takes_is_taken(pattern: str) -> None:
    assert regex_problem(pattern.replace("\\\\", "\\")) is None


def test_comments_and_texts_are_no_lengths() -> None:
    assert problem('sum by (version) (rate(a{b="[5]", c=`offset 5`}[5m])) # offset 5 [5]') is None
    assert problem("a:5m:rate5m / x5m offset -1h") is None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2000 + "up" + ")" * 2000, "-" * 4000 + "up", "abs(" * 900 + "up" + ")" * 900, " or ".join(["up"] * 600),
        "sum(" * 900 + "up" + ")" * 900, "up[5m:" * 500, "{" * 4000, 'a{b=~"' + "(" * 1500 + ")" * 1500 + '"}',
        'a{b=~"' + "(" * 9 + "a" + "{30})" * 9 + '"}',
    ],
)  # fmt: skip
def test_what_nests_without_end_is_refused_and_does_no_harm(text: str) -> None:
    assert problem(text) is not None
    assert problem(" + ".join(["up"] * 100)) is None
