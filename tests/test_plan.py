"""`mrc plan`: what a reviewer reads before the merge must be true, fit where it is shown, and run nothing."""

import json
import random
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from conftest import TOP, mrc
from examples import examples
from mrc.compile import analyse
from mrc.plan import chart, html, markdown, terminal
from mrc.plan.build import build
from mrc.plan.model import Finding, Plan, ReleasePlan, Setting
from mrc.plan.touched import touched
from mrc.tree import Overlay, WorkTree
from test_cases import commit
from test_commands import edit
from test_fuzz_writers import TEXT

RANKER = "policies/ranker/policy.yaml"
HOSTILE = "</details><script>alert(1)</script> ``` | @everyone \x1b[2J \" onload='x' {{ 7 * 7 }} \u202e"


@pytest.fixture
def merged(fleet: Path) -> Path:
    """The example fleet with what is rendered, committed."""
    shutil.copytree(TOP / "rendered", fleet / "rendered")
    commit(fleet)
    return fleet


@pytest.fixture(scope="module")
def promotion() -> Plan:
    """A promotion of sentiment in production, planned without git."""
    before = WorkTree(TOP)
    path = "policies/sentiment/policy.yaml"
    text = before.read(path).decode().replace("{version: 12, fallback: 11}", "{version: 13, fallback: 12}")
    after = Overlay(before, {path: text.encode()})
    reach = touched([path])
    return build("0" * 40, before, analyse(after, reach.to_load, base=before), reach)


def hostile(plan: Plan) -> Plan:
    """The same plan with the worst strings in every place that a pull request can fill."""
    release = plan.releases[0]
    assert release.version is not None
    file = replace(release.files[0], diff=(f"+{HOSTILE}", f"-{HOSTILE}"), path=f"rendered/{HOSTILE}")
    part = replace(release.version.files[0], name=HOSTILE, after=HOSTILE)
    release = replace(
        release,
        settings=(Setting(HOSTILE, HOSTILE, HOSTILE, "looser"),),
        version=replace(release.version, files=(part,)),
        files=(file,),
    )
    finding = Finding(
        "MRC101", plan.findings[0].severity if plan.findings else "warning", HOSTILE, HOSTILE, 1, 1, HOSTILE
    )  # type: ignore[arg-type]
    return replace(plan, releases=(release,), findings=(finding,))


def test_the_json_keeps_to_its_schema(merged: Path) -> None:
    schema = json.loads(mrc("schema", "Plan", cwd=merged).stdout)
    edit(merged, RANKER, "replicas: 8", "replicas: 9")
    edit(merged, "environments/staging.yaml", "pool: gpu-t4", "pool: gpu-l4")
    shutil.rmtree(merged / "policies/translator")
    done = mrc("plan", "--base", "main", "--format", "json", cwd=merged)
    assert done.returncode == 2
    plan = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema).validate(plan)
    kinds = {(each["model"], each["environment"]): each["kind"] for each in plan["releases"]}
    assert kinds[("ranker", "production")] == "edit"
    assert kinds[("sentiment", "staging")] == "restart"
    assert kinds[("translator", "production")] == "removed"
    assert ("sentiment", "production") not in kinds
    assert {file["path"] for file in plan["shared"]} == {
        f"rendered/{environment}/kustomization.yaml" for environment in ("production", "staging")
    }


def test_another_models_errors_do_not_hide_the_plan(merged: Path) -> None:
    edit(merged, RANKER, "replicas: 8", "replicas: 9")
    assert mrc("plan", "--base", "main", cwd=merged).returncode == 2
    (merged / "policies/translator/policy.yaml").write_text("{")
    done = mrc("plan", "--base", "main", cwd=merged)
    assert done.returncode == 1
    assert "ranker in production: 31 stays, and no pod is replaced" in done.stdout
    assert "translator: not planned: policies/translator/policy.yaml has errors" in done.stdout
    assert "translator in" not in done.stdout


def test_what_is_committed_is_what_runs(merged: Path) -> None:
    """A fallback whose pods were rendered otherwise when they were promoted is not restorable."""
    rollout = merged / "rendered/production/sentiment/rollout.yaml"
    edit(
        merged,
        "rendered/production/sentiment/rollout.yaml",
        "terminationGracePeriodSeconds: ",
        "# \n      terminationGracePeriodSeconds: 1",
    )
    shutil.rmtree(merged / ".git")
    commit(merged)
    mrc("promote", "sentiment", "13", "-e", "production", cwd=merged)
    done = mrc("plan", "--base", "main", cwd=merged)
    assert "going back to 12: not restorable" in done.stdout
    assert "12 becomes cold: its pods stay, and a rollback does not find them" in done.stdout
    assert rollout.exists()


def test_a_repository_of_policies_may_be_a_folder_of_another_one(tmp_path: Path) -> None:
    root = tmp_path / "deploy" / "models"
    root.mkdir(parents=True)
    for name in ("policies", "environments"):
        shutil.copytree(TOP / name, root / name)
    shutil.copy(TOP / "mrc.yaml", root)
    commit(tmp_path)
    assert mrc("plan", "--base", "main", cwd=root).returncode == 0
    edit(root, RANKER, "replicas: 8", "replicas: 9")
    done = mrc("plan", "--base", "main", cwd=root)
    assert done.returncode == 2
    assert "replicas: 8 → 9" in done.stdout


def test_wrong_use_is_no_change(merged: Path) -> None:
    """2 means that something changes: a typo in CI must not look like it."""
    assert mrc("plan", "--bse", "main", cwd=merged).returncode == 1
    shutil.rmtree(merged / ".git")
    assert mrc("plan", cwd=merged).returncode == 1


@pytest.mark.parametrize("number", [1, 40, 1500])
def test_a_comment_fits_and_says_what_it_leaves_out(promotion: Plan, number: int) -> None:
    release = promotion.releases[0]
    many = replace(promotion, releases=tuple(replace(release, model=f"model-{index}") for index in range(number)))
    text = markdown.render(many)
    assert len(text.encode()) < 65_536
    assert text.startswith("## mrc plan\n")
    assert "| `model-0` | production | 12 → 13, falls back to 12 |" in text
    assert text.count("<details") == text.count("</details>")
    sections = text.count("\n### ")
    left = re.search(r"(\d+) sections", text)
    assert sections + (int(left[1]) if left else 0) == number
    assert ("left out" in text) == (number > 1)


def test_a_comment_shows_hostile_text_and_calls_nobody(promotion: Plan) -> None:
    text = markdown.render(hostile(promotion))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    every = [each for token in tokens for each in (token, *(token.children or ()))]
    tags = {tag for each in every if each.type.startswith("html_") for tag in re.findall(r"</?([a-z]+)", each.content)}
    assert tags <= {"details", "summary", "code"}
    shown = "".join(each.content for each in every if each.type == "text")
    assert "<script>alert(1)</script>" in shown
    assert "@everyone" not in shown
    diffs = [token.content for token in tokens if token.type == "fence"]
    assert diffs == [f"+{HOSTILE}\n-{HOSTILE}\n"]


def test_the_terminal_is_not_spoken_to(promotion: Plan) -> None:
    assert "\x1b" not in terminal.render(hostile(promotion), colour=False)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("href", "src", "action", "data", "xlink:href"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(max_examples=examples(40))
@given(TEXT.filter(lambda text: "\r" not in text and "\x00" not in text))
def test_whatever_text_goes_into_the_page_is_text_in_it(promotion: Plan, text: str) -> None:
    release = replace(promotion.releases[0], settings=(Setting(text, text, None, "looser"),), files=())
    page = _Page()
    page.feed(html.render(replace(promotion, releases=(release,))))
    page.close()
    assert page.text.count(text) >= 2
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags)


def test_the_page_needs_nothing_else_and_runs_nothing(promotion: Plan) -> None:
    two = replace(promotion, releases=promotion.releases * 2)
    for plan in (promotion, two, hostile(promotion)):
        page = _Page()
        page.feed(html.render(plan))
        assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags)
        assert all(link.startswith("#") for link in page.links)
        assert "svg" in page.tags
        assert "url(" not in html.render(plan)
    assert HOSTILE in page.text


@pytest.fixture(scope="module")
def pinning() -> ReleasePlan:
    """Another version of the recommender in production, whose sessions are pinned: 2 %, 10 %, 50 %."""
    before = WorkTree(TOP)
    path = "policies/recommender/policy.yaml"
    text = before.read(path).decode()
    at = text.index("    production:")
    other = text[:at] + text[at:].replace("{version: 18, fallback: 17}", "{version: 17, fallback: 18}", 1)
    after, reach = Overlay(before, {path: other.encode()}), touched([path])
    return build("0" * 40, before, analyse(after, reach.to_load, base=before), reach).releases[0]


def test_the_chart_says_that_pinned_sessions_drain(pinning: ReleasePlan) -> None:
    drawn = chart.chart(pinning)
    assert drawn is not None
    assert [(bar.share, bar.back) for bar in drawn.bars if bar.kind in ("traffic", "bake", "warm")] == [
        ("2%", "drains 8m"), ("10%", "drains 8m"), ("50%", "drains 8m"), ("bake", "drains 8m"), ("warm", "a commit"),
    ]  # fmt: skip


def test_what_is_said_of_pinned_sessions_is_what_a_router_would_do(pinning: ReleasePlan) -> None:
    """Played: each request without a cookie goes to the new version by chance, and takes a cookie from there."""
    chance = random.Random(7)
    lifetime = float(pinning.sessions or 0)
    for stage in (each for each in pinning.stages if each.kind == "traffic"):
        share, met, answered, asked = stage.percent / 100, 0, 0, 0
        sessions = 4000
        for _ in range(sessions):
            pinned_until, requests_to_meet, now = 0.0, 0, 0.0
            for number in range(1, 61):  # one request every 20 s or so, for twenty minutes
                now += chance.expovariate(1 / 20)
                new = now < pinned_until or chance.random() < share
                if new and now >= pinned_until:
                    pinned_until = now + lifetime
                    requests_to_meet = requests_to_meet or number
                asked, answered = asked + 1, answered + new
            met += 0 < requests_to_meet <= (stage.half_met or 0)
        assert met / sessions > 0.47, "half of them have met it by then"
        assert answered / asked >= share, "the share is the least"
    least = pinning.stages[0]
    assert least.half_met == 35
    assert least.at_risk == 900 * max(each.seconds for each in pinning.restore if each.phase == "rollout")
