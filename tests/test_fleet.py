"""The example fleet, judged by the tools that will meet it."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from judges import argo, kubernetes, kustomize, pbtxt, prometheus, promtool
from mrc.fetch.manifest import parse_manifest

RENDERED = Path(__file__).parents[1] / "rendered"
FOLDERS = sorted(path for path in RENDERED.glob("*/*") if path.is_dir())
# Every strategy, every router and the guardrails that the example fleet does not use.
CASES = sorted(path for path in (Path(__file__).parent / "cases").glob("render-*/out/*/*") if path.is_dir())


@cache
def objects(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*.yaml")):
        if file.name in ("kustomization.yaml", "rules.yaml", "rules.test.yaml"):
            continue
        loaded, problems = kubernetes.load(file)
        assert problems == []
        found += loaded
    return found


def data(folder: Path) -> list[tuple[str, str]]:
    """Name and text of every file in the ConfigMaps."""
    maps = [item for item in objects(folder) if item["kind"] == "ConfigMap"]
    return [pair for item in maps for pair in item["data"].items()]


def test_the_fleet_is_rendered() -> None:
    assert len(FOLDERS) == 14


def called(folder: Path) -> str:
    case = folder.parents[2].name if folder in CASES else "fleet"
    return f"{case}-{folder.parent.name}-{folder.name}"


@pytest.mark.parametrize("folder", [*FOLDERS, *CASES], ids=called)
class TestFolder:
    def test_prometheus_rules_are_clean(self, folder: Path) -> None:
        assert promtool.check_rules([folder / "rules.yaml"]) == []

    def test_each_guardrail_fires_is_silent_and_is_undecided(self, folder: Path) -> None:
        assert promtool.test_rules([folder / "rules.test.yaml"]) == []

    def test_kubernetes_accepts_every_object(self, folder: Path) -> None:
        assert kubernetes.validate(objects(folder)) == []

    def test_argo_accepts_rollout_and_analysis(self, folder: Path) -> None:
        assert argo.lint(objects(folder)) == []

    def test_triton_parses_every_config(self, folder: Path) -> None:
        configs = [text for key, text in data(folder) if key.endswith(".config.pbtxt")]
        assert bool(configs) == ("triton" in (folder / "rollout.yaml").read_text())
        for text in configs:
            pbtxt.parse(text)

    def test_mrc_fetch_accepts_every_manifest(self, folder: Path) -> None:
        manifests = [text for key, text in data(folder) if key == "manifest.json"]
        assert manifests
        for text in manifests:
            parse_manifest(text.encode())


def test_a_real_prometheus_loads_every_rule() -> None:
    with prometheus.serve([folder / "rules.yaml" for folder in FOLDERS]) as server:
        assert server.problems() == []


@pytest.mark.parametrize("environment", sorted({folder.parent.name for folder in FOLDERS}))
def test_kustomize_builds_the_environment(environment: str) -> None:
    built = kustomize.build(RENDERED / environment)
    expected = [item for folder in FOLDERS if folder.parent.name == environment for item in objects(folder)]
    assert sorted(map(kubernetes.name, built)) == sorted(map(kubernetes.name, expected))
