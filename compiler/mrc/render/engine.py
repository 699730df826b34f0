"""Templates: one Jinja environment a format, whose `finalize` quotes every value that it writes.

Values are data. A template holds text and loops; what to write is decided in code.
"""

import contextlib
import operator
import os
import re
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from mrc import cache as cached
from mrc.artifact import MARK
from mrc.promql import indent as indented
from mrc.render.jinja import Environment, Loader, StrictUndefined
from mrc.schema.units import plain


class Raw(str):
    """Text that the format's own writer has already quoted."""


def template_folder() -> Path:
    """`templates/`: inside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parents[1] / "templates"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "templates"


# --- YAML ---

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
# What YAML 1.1 or 1.2 reads as something other than text.
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_UNPRINTABLE = r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]"
# What a block scalar could not hold: blanks at its start, lines of blanks alone, line ends at its end.
_NO_BLOCK = rf"(?m)\A[ \t\n]|^[ \t]+$|\n\Z|\r|{_UNPRINTABLE}"
_BLANK = re.compile(r"\n +(?:\n|\Z)")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def yaml_scalar(value: object) -> str:
    """One YAML scalar that YAML 1.1 and 1.2 read as this value."""
    if type(value) is str:
        return _yaml_text(value)
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        return _yaml_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(f"{type(value).__name__} is no YAML scalar")


@lru_cache(maxsize=4096)
def _yaml_text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return yaml_quoted(value)


def yaml_quoted(value: str) -> str:
    """A double-quoted YAML scalar."""
    if value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    text = re.sub(r'[\\"\n\t\r]', lambda match: _ESCAPES[match[0]], value)
    return '"' + re.sub(_UNPRINTABLE, _hexadecimal, text) + '"'


def _hexadecimal(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=1024)  # half of a model's blocks stand in two of its files
def yaml_block(value: str, indent: int) -> Raw:
    """A literal block scalar below a key, `indent` spaces deep; quoted where a block could not hold the text."""
    body = value.removesuffix("\n")
    if not body or not _fits_block(body):
        return Raw(yaml_quoted(value))
    chomping = "|" if value.endswith("\n") else "|-"
    return Raw(f"{chomping}\n{indented(body, indent)}")


def _fits_block(body: str) -> bool:
    if "\n" not in body:
        plain_enough = body.isprintable()
    else:
        plain_enough = body.replace("\n", "").isprintable() and not body.endswith("\n") and not _BLANK.search(body)
    # What is printable needs no search for what is not, which costs ten times as much.
    return bool(body[0].strip()) if plain_enough else not re.search(_NO_BLOCK, body)


def yaml_mapping(pairs: Mapping[str, object], indent: int) -> Raw:
    """The lines of a mapping of scalars that is not empty, `indent` spaces deep."""
    pad = " " * indent
    return Raw(pad + f"\n{pad}".join(map(_yaml_pair, pairs, pairs.values())))


@lru_cache(maxsize=4096, typed=True)
def _yaml_pair(key: str, value: object) -> str:
    return f"{yaml_scalar(key)}: {yaml_scalar(value)}"


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")


def yaml_flow(value: object, *, numbers: bool = False) -> Raw:
    """A value in flow style. Below a mapping, where no program parses the text again, numbers are numbers."""
    if isinstance(value, dict):
        pairs = (f"{yaml_quoted(str(key))}: {yaml_flow(each, numbers=True)}" for key, each in value.items())
        return Raw("{" + ", ".join(pairs) + "}")
    if isinstance(value, list):
        return Raw("[" + ", ".join(yaml_flow(each, numbers=numbers) for each in value) + "]")
    if numbers and isinstance(value, str) and _NUMBER.fullmatch(value):
        return Raw(value)
    return Raw(yaml_scalar(value))


# --- Markdown ---

_MARKDOWN = str.maketrans({character: f"\\{character}" for character in r"\`*_{}[]<>#|~&$"})
# What begins an entry of a list or a line across the page, or makes the line above a heading.
_LEADS = re.compile(r"^([0-9]{0,9})([-+=](?=[-+=\s]|$)|[.)](?=\s|$))")


def markdown_text(value: object) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _markdown(value) if isinstance(value, str) and not isinstance(value, Raw) else str(value)


@lru_cache(maxsize=1024)
def _markdown(value: str) -> str:
    return _LEADS.sub(r"\1\\\2", " ".join(value.split()).translate(_MARKDOWN))


def markdown_code(value: object) -> Raw:
    """A code span, fenced by more backticks than the text has in a row; `|` escaped for tables."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return Raw(f"{fence}{space}{text}{space}{fence}")


def markdown_word(value: object) -> Raw:
    """A name or number inside a fenced block, where nothing can be escaped."""
    text = str(value)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", text):
        raise ValueError(f"{text!r} cannot stand in a fenced block")
    return Raw(text)


def markdown_shell(value: object) -> Raw:
    """A word for a shell inside a fenced block, in single quotes, of which it holds none."""
    text = str(value)
    if re.search(r"['`\x00-\x1f\x7f]", text):
        raise ValueError(f"{text!r} cannot stand in single quotes")
    return Raw(f"'{text}'")


_FORMATS: dict[str, tuple[Callable[[object], str], dict[str, Callable[..., Any]]]] = {
    ".yaml": (yaml_scalar, {"block": yaml_block, "flow": yaml_flow, "mapping": yaml_mapping, "items": dict.items}),
    ".md": (markdown_text, {"code": markdown_code, "word": markdown_word, "shell": markdown_shell}),
}


def _kept() -> Path | None:
    """Beside the templates, as Python keeps its own; in the user's cache folder where that cannot be.

    Compiling them costs a run more than rendering one model.
    """
    if not sys.dont_write_bytecode:
        beside = template_folder() / "__pycache__"
        with contextlib.suppress(OSError):
            beside.mkdir(exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside
    return cached.folder()


class _Data(Environment):
    """Templates are given mappings, so that `a.b` is `a["b"]` and nothing else: no attribute, and no method."""

    getattr = operator.getitem  # type: ignore[assignment]


@cache
def _environment(suffix: str) -> Environment:
    finalize, filters = _FORMATS[suffix]
    environment = _Data(
        loader=Loader(template_folder(), _kept()),
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # nobody edits them under a running mrc
        autoescape=False,  # finalize quotes for the format at hand, none of which is HTML
    )
    environment.filters = filters
    environment.globals = {"mark": Raw(MARK)}
    return environment


@cache
def _template(name: str) -> Any:
    template = _environment(Path(name).suffix).get_template(f"{name}.j2")
    template.globals = dict(template.globals)  # looked into at every use, which a chain of mappings makes slow
    return template


def fill(template: str, /, **values: Any) -> str:
    """The text of `templates/<template>.j2` with the values quoted for the format of its name."""
    text: str = _template(template).render(values)
    return text
