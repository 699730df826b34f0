"""Every rule is shown by a case or a test: what nobody has seen printed, nobody has read."""

import re
from pathlib import Path

import pytest

from mrc.rulebook import RULES

TESTS = Path(__file__).parent
SHOWN = {
    code
    for path in (*TESTS.glob("cases/*/stdout"), *TESTS.glob("test_*.py"))
    for code in re.findall(r"\bMRC\d{3}\b", path.read_text())
}


@pytest.mark.parametrize("code", [rule.code for rule in RULES])
def test_every_rule_is_shown_by_a_case_or_a_test(code: str) -> None:
    assert code in SHOWN
