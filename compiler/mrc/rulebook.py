"""Every rule that mrc knows, for `mrc explain` and the reference."""

from mrc import check, link, load, metrics, parse, read, revert, write
from mrc.diagnostics import Rule

_STEPS = (read, load, parse, metrics, link, check, revert, write)
RULES: tuple[Rule, ...] = tuple(sorted((rule for step in _STEPS for rule in step.RULES), key=lambda rule: rule.code))
