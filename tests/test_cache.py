"""The cache of outcomes never gives a wrong answer: not to who changes files meanwhile, nor to who damages it."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import mrc
from mrc import build as building
from mrc import cache
from mrc import compile as compiling
from mrc.build import build
from mrc.diagnostics import Diagnostic, Severity
from mrc.outcomes import Folder, Outcome, Outcomes, _restored
from mrc.render import engine
from mrc.render.jinja import Environment, Loader
from mrc.tree import WorkTree
from test_commands import edit, snapshot

POLICY = "policies/ranker/policy.yaml"
ENVIRONMENT = "environments/production.yaml"
ROLLOUT = "rendered/production/ranker/rollout.yaml"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache.folder.cache_clear()
    yield tmp_path / "cache/mrc"
    cache.folder.cache_clear()


def first(function: Callable[..., Any], before: Callable[[], None], after: Callable[[], None]) -> Callable[..., Any]:
    """The function, with something that somebody else does before and after its first call."""
    calls: list[int] = []

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            before()
        found = function(*arguments, **options)
        if len(calls) == 1:
            after()
        return found

    return call


@pytest.mark.parametrize(
    ("file", "old", "new"), [(POLICY, "replicas: 8", "replicas: 9"), (ENVIRONMENT, "scrape: 15s", "scrape: 20s")]
)
def test_a_file_that_changes_while_it_is_compiled_is_not_kept_under_its_old_bytes(
    fleet: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str
) -> None:
    right = snapshot(fleet / "rendered") if build(fleet).diagnostics == [] else {}
    again = first(compiling.analyse_models, lambda: edit(fleet, file, old, new), lambda: None)
    monkeypatch.setattr(compiling, "analyse_models", again)
    with (fleet / POLICY).open("a") as end:
        end.write("# so that it is compiled\n")
    build(fleet)
    monkeypatch.undo()
    edit(fleet, file, new, old)
    build(fleet)
    assert snapshot(fleet / "rendered") == right


def test_a_rendered_file_that_changes_after_it_was_compared_is_seen_by_the_next_run(
    fleet: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(fleet)
    for file in own_cache.glob("*/*.outcomes"):
        file.unlink()
    time.sleep(0.3)
    meddled = first(building.compare, lambda: None, lambda: edit(fleet, ROLLOUT, "replicas: 8", "replicas: 7"))
    monkeypatch.setattr(building, "compare", meddled)
    build(fleet, ["ranker"])
    time.sleep(0.3)
    assert [item.code for item in build(fleet, check=True).diagnostics] == ["MRC402"]


def test_a_damaged_cache_is_none(fleet: Path, own_cache: Path) -> None:
    build(fleet)
    [file] = own_cache.glob("*/*.outcomes")
    whole = file.read_bytes()
    edit(fleet, ROLLOUT, "replicas: 8", "replicas: 7")
    for at in range(0, len(whole), len(whole) // 40):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert [item.code for item in build(fleet, check=True).diagnostics] == ["MRC402"]
    file.write_bytes(whole[: len(whole) // 2])
    assert [item.code for item in build(fleet, check=True).diagnostics] == ["MRC402"]


@pytest.mark.parametrize("above", [False, True])
def test_a_cache_that_others_can_write_is_not_believed(fleet: Path, own_cache: Path, above: bool) -> None:
    folder = cache.folder()
    assert folder is not None
    (folder.parent if above else folder).chmod(0o777)
    cache.folder.cache_clear()
    assert cache.folder() is None
    assert mrc("render", cwd=fleet).returncode == 0


def test_a_cache_that_is_gone_or_full_costs_time_and_nothing_else(fleet: Path, own_cache: Path) -> None:
    kept = cache.folder()
    assert kept is not None
    engine._environment.cache_clear()
    engine._template.cache_clear()
    engine._environment(".yaml")
    kept.rmdir()
    assert build(fleet).diagnostics == []
    assert (fleet / ROLLOUT).is_file()
    assert not kept.exists()


def test_what_was_found_is_found_again(fleet: Path, own_cache: Path) -> None:
    tree = WorkTree(fleet)
    said = Diagnostic("policies/a/policy.yaml", 3, 5, "MRC205", "it is \ud800 \u00e9", Severity.WARNING, "mend it")
    kept = Outcome("a", "key", (said,), (Folder("rendered/production/a", 2, ("x",), "times", "content"),))
    Outcomes.load(fleet, tree).save([kept], {"production": "listing"}, time.time_ns(), whole=True)
    found = Outcomes.load(fleet, tree)
    assert _restored("a", *found.models["a"]) == kept._replace(folders=(kept.folders[0]._replace(stale=()),))
    assert found.listings == {"production": "listing"}


def test_a_template_is_compiled_when_its_text_changed_or_what_was_kept_is_damaged(tmp_path: Path) -> None:
    class Counting(Environment):
        compiled = 0

        def compile(self, *arguments: Any, **options: Any) -> Any:
            Counting.compiled += 1
            return super().compile(*arguments, **options)

    def compiled(kept: Path | None) -> int:
        before = Counting.compiled
        said.write_text(Counting(loader=Loader(tmp_path, kept)).get_template("a/b.j2").render(x=1))
        return Counting.compiled - before

    template, said, kept = tmp_path / "a" / "b.j2", tmp_path / "said", tmp_path / "kept"
    template.parent.mkdir()
    kept.mkdir()
    template.write_text("{{ x }} one")
    assert [compiled(kept), compiled(kept), compiled(None), compiled(tmp_path / "missing")] == [1, 0, 1, 1]
    template.write_text("{{ x }} two")
    assert [compiled(kept), compiled(kept)] == [1, 0]
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-1], b"", whole.replace(b"two", b"six")):
        file.write_bytes(damaged)
        assert [compiled(kept), said.read_text(), compiled(kept)] == [1, "1 two", 0]


def test_the_cache_does_not_grow_for_ever(own_cache: Path) -> None:
    kept = cache.folder()
    assert kept is not None
    for number in range(cache._KEPT_FILES + 50):
        file = kept / f"{number}.outcomes"
        cache.save(file, b"whole")
        assert cache.load(file) == b"whole"
        age = 2 * 86400 if number % 2 else 60
        os.utime(file, (time.time() - age, time.time() - age))
    left = {int(file.stem) for file in kept.iterdir()}
    assert len(left) <= cache._KEPT_FILES + 1
    assert {number for number in range(cache._KEPT_FILES + 50) if number % 2 == 0} <= left, "what is in use stays"
