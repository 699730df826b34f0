"""What a promotion must wait for, and what a way back never waits for: judged against what was merged before."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conftest import mrc
from mrc.schema.environment import Freeze
from mrc.schema.units import WeekTime

POLICY = "policies/sentiment/policy.yaml"  # 13 after 12 in staging, 12 after 11 in production
WEEKEND = "  freezes: [{weekly: {from: Fri 16:00, until: Mon 06:00}, reason: nobody is on call}]\n"
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
SATURDAY, TUESDAY = "2026-11-21T12:00:00Z", "2026-11-24T12:00:00Z"


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))


@pytest.fixture
def merged(fleet: Path) -> Path:
    """The fleet as it was merged, with a freeze of production at weekends."""
    with (fleet / "environments/production.yaml").open("a") as file:
        file.write(WEEKEND)
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Merged"]):
        subprocess.run([*GIT, *command], cwd=fleet, check=True)
    return fleet


def checked(root: Path, now: str) -> tuple[int, str]:
    done = mrc("check", "--base", "main", "--now", now, cwd=root)
    return done.returncode, done.stderr


def test_a_promotion_waits_for_the_end_of_a_freeze(merged: Path) -> None:
    edit(merged, POLICY, "version: 12, fallback: 11", "version: 13, fallback: 12")
    code, said = checked(merged, SATURDAY)
    assert code == 1
    assert "MRC371: production is frozen until Mon 06:00 UTC: nobody is on call" in said
    assert checked(merged, TUESDAY)[0] == 0


@pytest.mark.parametrize("back", ["version: 11", "version: 11, fallback: 12"])
def test_a_way_back_is_never_frozen(merged: Path, back: str) -> None:
    edit(merged, POLICY, "version: 12, fallback: 11", back)
    assert "MRC371" not in checked(merged, SATURDAY)[1]


def test_a_change_that_serves_nothing_new_is_not_frozen(merged: Path) -> None:
    edit(merged, POLICY, "replicas: 4", "replicas: 5")
    assert checked(merged, SATURDAY)[0] == 0


def test_what_staging_has_not_served_yet_is_not_promoted_with_it(merged: Path) -> None:
    version = (merged / "policies/sentiment/versions/13.yaml").read_text()
    (merged / "policies/sentiment/versions/14.yaml").write_text(version.replace("version: 13", "version: 14"))
    verdict = (merged / "policies/sentiment/verdicts/13.yaml").read_text()
    (merged / "policies/sentiment/verdicts/14.yaml").write_text(verdict.replace("version: 13", "version: 14"))
    edit(merged, POLICY, "version: 13, fallback: 12", "version: 14, fallback: 13")
    edit(merged, POLICY, "version: 12, fallback: 11", "version: 14, fallback: 12")
    code, said = checked(merged, TUESDAY)
    assert code == 1
    assert "MRC372: version 14 has not served in staging, which serves 13" in said
    edit(merged, "policies/sentiment/verdicts/14.yaml", "validated: {", "validated: {environments: [staging], ")
    assert checked(merged, TUESDAY)[0] == 0


def test_another_strategy_does_not_come_with_another_version(merged: Path) -> None:
    """Argo would skip the preview of the first blue-green revision."""
    production = (merged / POLICY).read_text().split("    production:")[1]
    stages = production[production.index("      canary:") : production.index("      bake:")]
    edit(merged, POLICY, stages, "      blueGreen: {preview: {for: 30m}, approval: text-leads}\n")
    edit(merged, "environments/production.yaml", "    firstTraffic: 5%\n", "")
    assert "MRC375" not in checked(merged, TUESDAY)[1]
    edit(merged, POLICY, "version: 12, fallback: 11", "version: 13, fallback: 12")
    code, said = checked(merged, TUESDAY)
    assert code == 1
    assert "MRC375: blueGreen is new in production, and version 13 too" in said


def test_a_canary_after_blue_green_tells_what_argo_leaves_behind(merged: Path) -> None:
    edit(merged, POLICY, "canary: [{traffic: 50%, for: 20m}]", "blueGreen: {preview: {for: 10m}}")
    subprocess.run([*GIT, "commit", "-qam", "Blue-green in staging"], cwd=merged, check=True)
    edit(merged, POLICY, "blueGreen: {preview: {for: 10m}}", "canary: [{traffic: 50%, for: 20m}]")
    code, said = checked(merged, TUESDAY)
    assert code == 0
    assert "warning MRC376: staging was blue-green: the Service sentiment keeps Argo's selector" in said


def test_a_time_that_is_none_is_a_wrong_use(merged: Path) -> None:
    assert checked(merged, "tomorrow")[0] == 2


@given(st.integers(0, 7 * 24 * 60 - 1))
def test_every_moment_of_the_week_is_read_as_it_is_written(minute: int) -> None:
    assert WeekTime.parse(str(WeekTime(minute))) == minute


@given(st.integers(0, 10079), st.integers(0, 10079), st.datetimes(timezones=st.just(UTC)))
def test_two_windows_that_make_up_a_week_never_both_freeze(start: int, end: int, now: datetime) -> None:
    assume(start != end)
    one, other = ({"from": WeekTime(a), "until": WeekTime(b)} for a, b in ((start, end), (end, start)))
    first, second = (Freeze.model_validate({"weekly": weekly, "reason": "x"}) for weekly in (one, other))
    assert first.holds(now) != second.holds(now)


@pytest.mark.parametrize(
    ("window", "frozen", "free"),
    [
        ({"from": "Fri 16:00", "until": "Mon 06:00"}, ["2026-11-20T16:00", "2026-11-23T05:59"],
         ["2026-11-20T15:59", "2026-11-23T06:00"]),
        ({"from": "Tue 00:00", "until": "Tue 12:00"}, ["2026-11-24T00:00", "2026-11-24T11:59"],
         ["2026-11-23T23:59", "2026-11-24T12:00"]),
    ],
)  # fmt: skip
def test_a_window_of_the_week_begins_and_ends_to_the_minute(
    window: dict[str, str], frozen: list[str], free: list[str]
) -> None:
    freeze = Freeze.model_validate({"weekly": window, "reason": "x"})
    assert [freeze.holds(datetime.fromisoformat(at).replace(tzinfo=UTC)) for at in frozen] == [True, True]
    assert [freeze.holds(datetime.fromisoformat(at).replace(tzinfo=UTC)) for at in free] == [False, False]
