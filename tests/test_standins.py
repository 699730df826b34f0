"""What stands in for a module while a package is imported never shows: the package does all that it does without it."""

import subprocess
import sys

import pytest

from mrc.standins import StandIn, standing_in

WHOLE = {
    "jinja": """
from mrc.render.jinja import Environment
import inspect, jinja2, random
environment = Environment()
assert environment.from_string("{{ [7] | random }}{{ 'a' | attr('upper')() }}{{ lipsum(n=1) }}").render()[:2] == "7A"
text = "{% autoescape true %}{{ x }}{{ 'a b' | urlencode }}{% endautoescape %}{{ x }}"
for escapes in (False, lambda name: False):
    assert Environment(autoescape=escapes).from_string(text).render(x="<") == "&lt;a%20b<"
assert Environment(autoescape=True).from_string(text).render(x="<") == "&lt;a%20b&lt;"
assert isinstance(environment.parse("a"), jinja2.nodes.Template)
assert jinja2.FileSystemBytecodeCache(".").directory == "."
assert inspect.signature and random.seed and type(environment.lexer) is jinja2.lexer.Lexer
try:
    environment.from_string("{% for %}")
except jinja2.TemplateSyntaxError as problem:
    assert problem.lineno == 1
else:
    raise AssertionError
""",
    "protobuf": """
from mrc.protobuf import json_format, text_format
from google.protobuf import duration_pb2, struct_pb2
kept = struct_pb2.Struct()
json_format.ParseDict({"a": [1.5, "b", {"c": None}]}, kept)
assert text_format.Parse(text_format.MessageToString(kept), struct_pb2.Struct()) == kept
assert json_format.MessageToDict(kept) == {"a": [1.5, "b", {"c": None}]}
moment = duration_pb2.Duration.FromString(b"\\x08\\x05" + b"\\x2a\\x02\\x08\\x01")
assert text_format.MessageToString(moment, print_unknown_fields=True).split() == "seconds: 5 5 { 1: 1 }".split()
assert moment.ToJsonString() == "5s"
from google.protobuf.timestamp_pb2 import Timestamp
assert json_format.MessageToJson(json_format.Parse('"2026-01-02T03:04:05Z"', Timestamp())) == '"2026-01-02T03:04:05Z"'
""",
    "click": """
import mrc.cli, click, gettext, inspect, uuid
from click.testing import CliRunner
@click.command()
@click.option("--name", default=len, help=" Whose. ")
def greet(name):
    '''Greet.

    More than once.
    '''
said = CliRunner().invoke(greet, ["--help"]).output
assert "  Greet.\\n\\n  More than once.\\n" in said and "--name TEXT  Whose.\\n" in said, said
assert gettext.find and inspect.signature and uuid.UUID(int=1)
""",
    "pydantic": """
import mrc.noplugins, importlib.metadata
from pydantic import TypeAdapter
assert TypeAdapter(int).validate_python("3") == 3 and importlib.metadata.version("pydantic")
""",
    "shutil": """
import mrc.write, pathlib, shutil, sys
archive = shutil.make_archive("it", "xztar", "docs"), shutil.make_archive("it", "zip", "docs")
shutil.unpack_archive(archive[0], "again")
assert pathlib.Path("again/a").read_text() == "a"
""",
}


@pytest.mark.parametrize("package", WHOLE)
def test_a_package_does_what_it_does_elsewhere(package: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a").write_text("a")
    subprocess.run([sys.executable, "-c", WHOLE[package]], cwd=tmp_path, check=True, timeout=120)


def test_it_stands_in_meanwhile_and_no_longer() -> None:
    sys.modules.pop("colorsys", None)
    with standing_in(StandIn("colorsys", ONE_THIRD=3), StandIn("pytest")):
        import colorsys
        from colorsys import rgb_to_hsv

        assert colorsys.ONE_THIRD == 3
        assert sys.modules["pytest"] is pytest
    assert "colorsys" not in sys.modules
    assert rgb_to_hsv(1, 0, 0) == (0.0, 1.0, 1.0)
    assert sys.modules["colorsys"] is not colorsys


def test_what_a_class_keeps_of_a_stand_in_is_no_method() -> None:
    """Newer versions of Python bind more of what is callable."""

    class Keeps:
        made = StandIn("collections").OrderedDict

    assert Keeps().made(a=1) == {"a": 1}
