"""The arithmetic of samples against tables, exact sums and simulations that are computed another way.

Were it wrong, a policy that cannot tell would pass for one that can, or a good one would be refused.
"""

import random
from decimal import Decimal
from fractions import Fraction
from math import comb, exp, factorial, log, log1p
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from mrc import chance

ONE_PERCENT = Decimal("0.01")


@pytest.mark.parametrize(
    ("k", "n", "p", "expected"),
    [  # tables of the binomial distribution: 1 - P(X <= k - 1)
        (3, 10, 0.1, 1 - 0.9298),
        (8, 20, 0.25, 1 - 0.8982),
        (11, 20, 0.5, 1 - 0.5881),
        (1, 25, 0.05, 1 - 0.2774),
    ],
)
def test_the_binomial_tail_agrees_with_tables(k: int, n: int, p: float, expected: float) -> None:
    assert chance.at_least(k, n, p) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("k", "mean", "expected"), [(4, 1.0, 1 - 0.9810), (6, 2.5, 1 - 0.9580), (11, 10.0, 1 - 0.5830), (1, 0.1, 0.0952)]
)
def test_the_poisson_tail_agrees_with_tables(k: int, mean: float, expected: float) -> None:
    assert chance.arrivals_at_least(k, mean) == pytest.approx(expected, abs=5e-5)


@given(st.integers(1, 120), st.integers(0, 130), st.integers(0, 100))
def test_the_binomial_tail_is_the_exact_sum(n: int, k: int, percent: int) -> None:
    p = Fraction(percent, 100)
    exact = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    assert chance.at_least(k, n, float(p)) == pytest.approx(float(exact), rel=1e-9, abs=1e-12)


@given(st.integers(0, 60), st.integers(1, 300))
def test_the_poisson_tail_is_the_exact_sum(k: int, tenths: int) -> None:
    mean = tenths / 10
    below = sum(exp(-mean) * mean**i / factorial(i) for i in range(k))
    assert chance.arrivals_at_least(k, mean) == pytest.approx(1 - below, abs=1e-12)


@given(st.floats(0.001, 0.999))
def test_the_normal_curve_takes_over_without_a_step(position: float) -> None:
    """Just below and just above the border between the two ways, the same tail comes out."""
    n = 1_000_000
    p, k = 0.01, int(10_000 + (position - 0.5) * 600)
    exact_side = chance._MANY
    try:
        chance._MANY = 1e9
        summed = chance.at_least(k, n, p)
        chance._MANY = 1.0
        curve = chance.at_least(k, n, p)
    finally:
        chance._MANY = exact_side
    assert curve == pytest.approx(summed, abs=2e-3)


def test_a_share_on_the_limit_is_not_beyond_it() -> None:
    assert chance.beyond(100, ONE_PERCENT) == 2
    assert chance.beyond(99, ONE_PERCENT) == 1
    assert chance.beyond(0, ONE_PERCENT) == 1
    assert chance.beyond(60, Decimal(1)) == 61


@given(st.integers(1, 5000), st.integers(1, 60))
def test_the_smallest_effect_is_found_with_the_power_and_a_smaller_one_is_not(n: int, percent: int) -> None:
    limit = Decimal(percent) / 100
    found = chance.detectable(n, limit)
    assert found is not None
    k = chance.beyond(n, limit)
    assert chance.at_least(k, n, found) >= chance.POWER - 1e-9
    if found > float(limit):
        assert chance.at_least(k, n, found * 0.999) < chance.POWER


def test_sixty_samples_and_one_percent() -> None:
    """One failure in 60 is above 1%: found with 80% power when (1 - p)^60 = 20%."""
    assert chance.detectable(60, ONE_PERCENT) == pytest.approx(1 - 0.2 ** (1 / 60), abs=1e-9)


def test_a_limit_that_no_share_passes_cannot_be_found() -> None:
    assert chance.detectable(50, Decimal(1)) is None
    assert chance.detectable_against(0, 10, 0.01, 1.0, 0.01) is None


@pytest.mark.parametrize(("stable", "slope", "share"), [(4000, 1.0, 0.05), (600, 2.0, 0.02), (600, 1.0, 0.02)])
def test_two_proportions_agree_with_a_simulation(stable: int, slope: float, share: float) -> None:
    """The new version at the smallest effect is above a measured limit in 80 of 100 windows."""
    n, constant = 600, 0.01
    smallest = chance.detectable_against(n, stable, slope * share + constant, slope, share)
    assert smallest is not None
    rng = random.Random(7)
    runs = 3000
    above = sum(
        _count(rng, n, smallest) / n > slope * _count(rng, stable, share) / stable + constant for _ in range(runs)
    )
    assert above / runs == pytest.approx(0.8, abs=0.03)


def _count(rng: random.Random, n: int, p: float) -> int:
    """A binomial count, by geometric waiting times."""
    at, count = 0, 0
    while True:
        at += 1 + int(log(1 - rng.random()) / log1p(-p))
        if at > n:
            return count
        count += 1


@pytest.mark.parametrize(
    ("n", "limit", "share", "windows"),
    [
        (1200, ONE_PERCENT, 0.005, 15),  # 5% of 200/s in windows of 2m, for 30m, at half of the limit
        (480, ONE_PERCENT, 0.0025, 15),  # 5% of 80/s
        (60, ONE_PERCENT, 0.0005, 6),
        (300, Decimal("0.05"), 0.03, 10),
    ],
)
def test_false_alarms_agree_with_a_simulated_sliding_window(
    n: int, limit: Decimal, share: float, windows: float
) -> None:
    rng = random.Random(n)
    k, runs = chance.beyond(n, limit), 4000
    alarmed = sum(_alarmed(rng, n * share, k, windows) for _ in range(runs)) / runs
    assert chance.false_alarm(n, limit, share, windows) == pytest.approx(alarmed, rel=0.12, abs=0.02)


def _alarmed(rng: random.Random, mean: float, k: int, windows: float) -> bool:
    """Whether `k` events of a Poisson process with `mean` events a window ever lie within one window."""
    at: list[float] = []
    now = rng.expovariate(mean)
    while now < windows:
        at.append(now)
        if len(at) >= k and now - at[-k] < 1:
            return True
        now += rng.expovariate(mean)
    return False


def test_a_verdict_every_few_seconds_alarms_no_more_than_one_that_is_always_there() -> None:
    """Eight verdicts a window, as rendered: the approximation is the upper side, and not by much."""
    rng, mean, k, windows, runs = random.Random(3), 6.0, 13, 15, 3000
    alarmed = 0
    for _ in range(runs):
        at: list[float] = []
        now = rng.expovariate(mean)
        while now < windows:
            at.append(now)
            now += rng.expovariate(mean)
        looks = [1 + step / 8 for step in range(8 * (windows - 1) + 1)]
        alarmed += any(sum(look - 1 < one <= look for one in at) >= k for look in looks)
    claimed = chance.false_alarm(1200, ONE_PERCENT, 0.005, windows)
    assert alarmed / runs <= claimed + 0.02
    assert alarmed / runs >= 0.5 * claimed


@settings(max_examples=examples(50))
@given(st.integers(20, 3000), st.integers(1, 40), st.floats(1, 40))
def test_what_is_tolerated_is_rarely_accused(n: int, percent: int, windows: float) -> None:
    limit = Decimal(percent) / 100
    share = chance.tolerated(n, limit, windows)
    assert chance.false_alarm(n, limit, share, windows) <= chance.RARE + 1e-9
    assert share <= chance.beyond(n, limit) / n


@given(st.integers(1, 2000))
def test_enough_is_the_smallest_traffic_that_suffices(least: int) -> None:
    expected = chance.enough(least)
    assert chance.arrivals_at_least(least, expected) >= 0.99
    assert chance.arrivals_at_least(least, expected - 1) < 0.99


@pytest.mark.parametrize(("least", "windows"), [(20, 15), (100, 6), (5, 40)])
def test_what_is_enough_throughout_seldom_falls_short_in_a_simulation(least: int, windows: int) -> None:
    """A version would be rolled back for want of samples as often as there are too few in one sliding window."""
    rng, runs = random.Random(least), 800
    mean = chance.enough_throughout(least, windows)
    short = sum(_falls_short(rng, mean, least, windows) for _ in range(runs)) / runs
    assert 0.3 * chance.RARE <= short <= 1.6 * chance.RARE
    assert mean > chance.enough(least)


def _falls_short(rng: random.Random, mean: float, least: int, windows: float) -> bool:
    at, now = [], rng.expovariate(mean)
    while now < windows:
        at.append(now)
        now += rng.expovariate(mean)
    edges = [0.0, *at, windows]
    # Fewer than `least` lie in some window when `least` of them in a row take longer than one.
    return any(after - before > 1 for before, after in zip(edges, edges[least:], strict=False))


@pytest.mark.parametrize(
    ("n", "stable", "slope", "absolute", "windows"),
    [(1200, 22800, 1.1, 0.002, 15), (1200, 22800, 1.5, 0.005, 15), (6000, 24000, 1.2, 0.002, 15),
     (1200, 1200, 1.5, 0.004, 6)],
)  # fmt: skip
def test_false_alarms_of_a_comparison_agree_with_two_simulated_sliding_windows(
    n: int, stable: int, slope: float, absolute: float, windows: float
) -> None:
    """Both versions have the same share of bad requests; what is claimed errs toward more alarms."""
    share, rng, runs = 0.0025, random.Random(stable), 300
    alarmed = sum(_accused(rng, (n, stable), slope, absolute, share, windows) for _ in range(runs)) / runs
    claimed = chance.false_alarm_against(n, stable, slope, absolute, share, windows)
    assert 0.8 * alarmed - 0.03 <= claimed <= 2 * alarmed + 0.04


def _accused(
    rng: random.Random, sizes: tuple[int, int], slope: float, absolute: float, share: float, windows: float
) -> bool:
    """Whether the new version's share is ever above the limit that the stable one's makes, both within one window."""
    changes = []
    for side, size in enumerate(sizes):
        now = rng.expovariate(size * share)
        while now < windows:
            changes += [(now, side, 1), (now + 1, side, -1)]
            now += rng.expovariate(size * share)
    counts, started = [0, 0], False
    for now, side, change in sorted(changes):
        beyond = counts[0] / sizes[0] > slope * counts[1] / sizes[1] + absolute
        if now > 1 and started and beyond:
            return True
        if now > windows:
            return False
        started = True
        counts[side] += change
    return False


def test_the_quantile_that_is_written_down_is_that_of_the_power() -> None:
    assert pytest.approx(NormalDist().inv_cdf(chance.POWER), rel=1e-15) == chance._Z_OF_POWER
