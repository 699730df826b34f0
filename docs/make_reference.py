"""Writes docs/reference/ and .schemas/ from the code: `make reference`. The same code yields the same bytes."""

import ast
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from mrc import catalogue, guardrail, labels
from mrc.catalogue import METRICS, Metric, reads
from mrc.cli import main
from mrc.guardrail import TIERS
from mrc.init import files
from mrc.plan import json as plan_json
from mrc.render import rules as alerts
from mrc.rulebook import RULES
from mrc.schema import FILES, KINDS
from mrc.schema.fields import class_meaning
from mrc.schema.jsonschema import json_schema
from mrc.schema.outline import Field, outline

TOP = Path(__file__).parents[1]
MARK = "<!-- Written by `make reference` from the code. Do not edit. -->\n\n"
_EXIT_CODES = (
    (0, "fine"),
    (1, "problems were found; nothing was written"),
    (2, "wrong use, or input that cannot be read"),
    (3, "a bug of mrc; a log is written, and named"),
)


def pages() -> dict[str, str]:
    """Every generated file by its path from the top of the repository."""
    reference = {
        "rules": _rules(),
        "catalogue": _catalogue(),
        "commands": _commands(),
        "plan": _plan(),
        "series": _series(),
        **{page_of(kind): _document(kind) for kind in KINDS},
    }
    found = {f"docs/reference/{name}.md": MARK + text.rstrip("\n") + "\n" for name, text in reference.items()}
    return found | {f".schemas/{kind}.json": json_schema(kind) for kind in KINDS}


def page_of(kind: str) -> str:
    """`RolloutPolicy` -> `rollout-policy`"""
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in kind).lstrip("-")


def _document(kind: str) -> str:
    text = f"# {kind}\n\n{class_meaning(KINDS[kind])}\n\nFile: `{FILES[kind]}`\n\n"
    example = next((data for path, data in sorted(files().items(), reverse=True) if _is(kind, path, data)), None)
    if example is not None:
        text += f"```yaml\n{example.decode()}```\n\n"
    return text + "".join(_field(field) for field in outline(kind))


def _is(kind: str, path: str, data: bytes) -> bool:
    return path.endswith(".yaml") and f"\nkind: {kind}".encode() in data


def _field(field: Field) -> str:
    said = [f"written as: {field.written}"]
    if field.required:
        said.append("required")
    else:
        said.append(f"default: `{field.default}`" if field.default else "may be left out")
    said += [f"example: `{field.key}: {field.example}`"] if field.example else []
    said += [f"rendered: {field.rendered}"] if field.rendered else []
    return f"## `{field.dotted}`\n\n{field.meaning}\n\n" + "".join(f"- {line}\n" for line in said) + "\n"


def _rules() -> str:
    text = (
        "# Rules\n\nWhat `mrc check` and `mrc render` can find. An error forbids writing; a warning is shown and stops "
        "nothing.\n`mrc explain CODE` prints the same.\n\n"
    )
    text += _table(
        ("code", "severity", "what"),
        ((f"[{rule.code}](#{rule.code.lower()})", rule.severity, rule.title) for rule in RULES),
    )
    for rule in RULES:
        text += f"\n## {rule.code}\n\n**{rule.title[0].upper()}{rule.title[1:]}** ({rule.severity})\n\n"
        text += f"{rule.reason}\n\nThe way out: {rule.hint}.\n"
        text += f"\nSource: <{rule.source}>\n" if rule.source else ""
    return text


def _plan() -> str:
    """The parts of the JSON of a plan, each with its fields, from the schema that it keeps."""
    schema = json.loads(plan_json.schema())
    text = (
        "# Plan\n\nWhat `mrc plan --format json` prints. `mrc schema Plan` prints the JSON Schema. Within the format\n"
        "`mrc.dev/plan/v1alpha1`, fields are added, never renamed or removed.\n"
    )
    for name, part in {"Plan": schema, **schema["$defs"]}.items():
        if "properties" not in part:
            continue
        text += f"\n## {name}\n\n{part['description']}\n\n"
        rows = ((f"`{key}`", _type(field), field.get("description", "")) for key, field in part["properties"].items())
        text += _table(("field", "type", "what"), rows)
    return text


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return "`error`, `warning`" if name == "Severity" else f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    return f"list of {_type(field['items'])}" if field["type"] == "array" else str(field["type"])


def _catalogue() -> str:
    text = (
        "# Catalogue of metrics\n\nWhat a guardrail can name as its `metric`. A metric of the router comes before the "
        "runtime's of the same name: the edge\nsees failures that a server never counts. Anything else is declared in "
        "`mrc.yaml` ([metrics](repository.md)), or written as\n`promql` with `samples`.\n"
    )
    for module in _sources():
        own = [metric for metric in METRICS if metric in module.METRICS]
        text += f"\n## {own[0].source.name}\n\n{inspect.cleandoc(module.__doc__ or '')}\n\n"
        text += _table(("metric", "unit", "worse", "what it counts", "reads"), (_metric(metric) for metric in own))
    return text


def _sources() -> list[ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(catalogue.__path__))
    modules = [importlib.import_module(f"mrc.catalogue.{name}") for name in names]
    return [module for module in modules if any(metric in METRICS for metric in getattr(module, "METRICS", ()))]


def _metric(metric: Metric) -> tuple[str, ...]:
    worse = metric.worse or "either"
    return f"`{metric.name}`", metric.unit, worse, metric.title, ", ".join(f"`{name}`" for name in reads(metric))


def _commands() -> str:
    text = "# Commands\n\nEvery command exits with\n\n"
    text += _table(("code", "meaning"), ((str(code), meaning) for code, meaning in _EXIT_CODES))
    text += "\nunless its own help says more.\n"
    top = click.Context(main, info_name="mrc", terminal_width=100, max_content_width=100, **main.context_settings)
    for name in main.list_commands(top):
        command = main.get_command(top, name)
        assert command is not None
        text += f"\n## mrc {name}\n\n```\n{command.get_help(click.Context(command, top, name))}\n```\n"
    return text


def _series() -> str:
    names = _described(guardrail)
    text = (
        "# Recorded series, labels and alerts\n\n## Series\n\nFour series a guardrail. The analysis during the rollout,"
        " the alerts after it and the generated tests\nread the verdict.\n\n"
    )
    text += _table(("series", "what it holds"), names.items())
    text += "\n## Tiers\n\nWhat a guardrail has unless it says otherwise.\n\n"
    text += _table(
        ("tier", "for", "`window`", "`minSamples`", "`action`"),
        ((f"`{name}`", tier.purpose, str(tier.window), str(tier.min_samples), tier.action)
         for name, tier in TIERS.items()),
    )  # fmt: skip
    text += "\n## Alerts\n\n" + _table(("alert", "when"), _described(alerts).items())
    text += (
        "\nEach has the annotations `summary`, `description` (the limit, the value now, what to do) and, where the "
        "environment\nsays where runbooks are published, `runbook_url`.\n"
    )
    return text + "\n## Labels\n\n" + _table(("label", "where, and what it holds"), _described(labels).items())


def _described(module: ModuleType) -> dict[str, str]:
    """The public constants of a module that have a docstring below them: their value (or key), and what it says."""
    body = ast.parse(inspect.getsource(module)).body
    found = {}
    for constant, below in pairwise(body):
        if isinstance(constant, ast.Assign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            value = getattr(module, ast.unparse(constant.targets[0]))
            name = next(iter(value)) if isinstance(value, dict) else value
            found[f"`{name}`"] = " ".join(str(below.value.value).split())
    return found


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def write() -> None:
    """Write what has changed, and remove pages that nothing writes any more."""
    wanted = pages()
    for folder in ("docs/reference", ".schemas"):
        (TOP / folder).mkdir(parents=True, exist_ok=True)
        for file in (TOP / folder).iterdir():
            if file.relative_to(TOP).as_posix() not in wanted:
                file.unlink()
    for path, text in wanted.items():
        (TOP / path).write_text(text)


if __name__ == "__main__":
    write()
