"""What a reader of the documentation relies on: it says what the code does, its links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import make_reference
from conftest import TOP
from mrc.parse import parse
from mrc.read import Document, read
from mrc.schema import KINDS

PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])


def test_the_reference_is_what_the_code_says() -> None:
    """`make reference` writes it anew."""
    wanted = make_reference.pages()
    there = {
        path.relative_to(TOP).as_posix(): path.read_text()
        for folder in ("docs/reference", ".schemas")
        for path in (TOP / folder).iterdir()
    }
    assert sorted(there) == sorted(wanted)
    assert [path for path, text in wanted.items() if there[path] != text] == []


def shown(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_fences(page.read_text())):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / path) if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(target)
    assert lost == []


def test_the_map_leads_to_every_page() -> None:
    listed = set(re.findall(r"\]\(([^)\s#]+)\)", (TOP / "docs/README.md").read_text()))
    pages = {page.relative_to(TOP / "docs").as_posix() for page in (TOP / "docs").rglob("*.md")}
    assert pages - listed == {"README.md"}


def without_fences(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.*)$", without_fences(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def snippets() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, text in enumerate(re.findall(r"^```yaml[^\n]*\n(.*?)^```$", page.read_text(), re.M | re.S)):
            yield f"{shown(page)}-{number}", text


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in snippets()])
def test_a_yaml_snippet_can_be_copied(text: str) -> None:
    """It is YAML, and where it is a whole document of mrc, mrc reads it."""
    for part in re.split(r"^---$", text, flags=re.MULTILINE):
        document = read("snippet.yaml", part.encode())
        assert isinstance(document, Document), document
        kind = document.data.get("kind")
        if kind in KINDS and "apiVersion" in document.data:
            assert not isinstance(parse(document, kind), list), parse(document, kind)
