"""A plan as one HTML page that needs nothing else: no script, no font, no image, no address."""

from functools import cache
from typing import Any

from mrc.plan import chart, concerns, words
from mrc.plan.model import Plan
from mrc.render.engine import template_folder
from mrc.render.jinja import Environment, Loader, StrictUndefined

_CLASSES = {"+": "added", "-": "removed", "@": "place"}


def render(plan: Plan) -> str:
    """The page."""
    return str(_template().render(plan=plan))


@cache
def _template() -> Any:
    environment = Environment(
        loader=Loader(template_folder() / "plan", None),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals = {"words": words, "concerns": concerns, "chart": chart, "line_class": _line_class}
    return environment.get_template("plan.html.j2")


def _line_class(line: str) -> str:
    return _CLASSES.get(line[:1], "")
