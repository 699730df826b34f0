"""Diagnostics as SARIF 2.1.0, which code scanning takes: the findings, and what the rulebook says of their rules.

The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from mrc.diagnostics import Diagnostic, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(found: Iterable[Diagnostic], rules: Mapping[str, Rule], version: str) -> str:
    """One run with every finding. `rules` is by code; those of the findings are described."""
    findings = list(found)
    codes = sorted({item.code for item in findings})
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "mrc",
                        "semanticVersion": version,
                        "rules": [_rule(rules[code]) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(item, codes.index(item.code)) for item in findings],
            }
        ],
    }
    return json.dumps(log, indent=2)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.reason},
        "help": {"text": f"{rule.reason} The way out: {rule.hint}."},
        "defaultConfiguration": {"level": str(rule.severity)},
        **({"helpUri": rule.source} if rule.source else {}),
    }


def _result(item: Diagnostic, index: int) -> dict[str, Any]:
    where: dict[str, Any] = {
        "artifactLocation": {"uri": quote(item.file, errors="surrogateescape"), "uriBaseId": "%SRCROOT%"}
    }
    if item.line:
        where["region"] = {"startLine": item.line, "startColumn": max(1, item.column)}
    return {
        "ruleId": item.code,
        "ruleIndex": index,
        "level": str(item.severity),
        "message": {"text": item.message + (f" ({item.hint})" if item.hint else "")},
        "locations": [{"physicalLocation": where}],
    }
