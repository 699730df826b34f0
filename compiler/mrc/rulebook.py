"""Every rule that mrc knows, for `mrc explain` and the reference."""

from mrc import check, link, load, parse, read, revert, write
from mrc.diagnostics import Rule

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (*read.RULES, *load.RULES, *parse.RULES, *link.RULES, *check.RULES, *revert.RULES, *write.RULES),
        key=lambda rule: rule.code,
    )
)
