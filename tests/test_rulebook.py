"""Every rule is shown by a case: what nobody has seen printed, nobody has read."""

import re
from pathlib import Path

import pytest

from mrc.rulebook import RULES

CASES = Path(__file__).parent / "cases"
SHOWN = {code for path in CASES.glob("*/stdout") for code in re.findall(r"\bMRC\d{3}\b", path.read_text())}


@pytest.mark.parametrize("code", [rule.code for rule in RULES])
def test_every_rule_is_shown_by_a_case(code: str) -> None:
    assert code in SHOWN
