"""How likely counts are: what a window of samples can tell, and how often it errs.

Counts of bad requests are binomial in a window of `n` requests, and Poisson where bad ones are few. Tails are summed
exactly, each term from the one before; only where the variance passes `_MANY` does the normal curve stand in.
Shares and chances are floats between 0 and 1.
"""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import erfc, exp, expm1, floor, lgamma, log, log1p, sqrt

POWER = 0.8  # the usual power of a test: Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), 2.4
_Z_OF_POWER = 0.8416212335729144  # the standard normal quantile of POWER; `statistics` takes longer to import
RARE = 0.05  # the usual chance of a false alarm
_MANY = 1e4
_TINY = 1e-18
_HALVINGS = 40
_POINTS = 400  # of a sum over counts


def beyond(n: int, limit: Decimal | Fraction) -> int:
    """The smallest count of `n` whose share is strictly above `limit`; `n + 1` where none is."""
    return floor(Fraction(limit) * n) + 1


def at_least(k: int, n: int, p: float) -> float:
    """The chance that a binomial count of `n` trials, each with the chance `p`, reaches `k`."""
    if k <= 0:
        return 1.0
    if k > n or p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    if n * p * (1 - p) > _MANY:
        return _normal(k, n * p, n * p * (1 - p))
    odds = p / (1 - p)
    if k > n * p:
        return _sum(_binomial(k, n, p), lambda step: odds * (n - k - step) / (k + step + 1), n - k)
    below = k - 1
    return 1 - _sum(_binomial(below, n, p), lambda step: (below - step) / (odds * (n - below + step + 1)), below)


def _binomial(k: int, n: int, p: float) -> float:
    choose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(choose + k * log(p) + (n - k) * log1p(-p))


def arrivals_at_least(k: int, mean: float) -> float:
    """The chance that a Poisson count of this mean reaches `k`."""
    if k <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if mean > _MANY:
        return _normal(k, mean, mean)
    if k > mean:
        return _sum(_poisson(k, mean), lambda step: mean / (k + step + 1), None)
    below = k - 1
    return 1 - _sum(_poisson(below, mean), lambda step: (below - step) / mean, below)


def _poisson(k: int, mean: float) -> float:
    return exp(k * log(mean) - mean - lgamma(k + 1))


def _normal(k: int, mean: float, variance: float) -> float:
    """The upper tail of the normal curve, with the correction for whole numbers."""
    return 0.5 * erfc((k - 0.5 - mean) / sqrt(2 * variance))


def _sum(first: float, ratio: Callable[[int], float], steps: int | None) -> float:
    """`first` and the terms that follow it, each the ratio of its step times the one before."""
    total, term, step = first, first, 0
    while (steps is None or step < steps) and term > _TINY * total:
        term *= ratio(step)
        total += term
        step += 1
    return min(1.0, total)


@lru_cache(maxsize=4096)
def detectable(n: int, limit: Decimal | Fraction, power: float = POWER) -> float | None:
    """The smallest share of bad requests that one window of `n` finds above `limit` with this power.

    None where no count of `n` can be above the limit.
    """
    k = beyond(n, limit)
    if k > n:
        return None
    return _first(lambda p: at_least(k, n, p) >= power, float(limit))


@lru_cache(maxsize=4096)
def detectable_against(n: int, stable: int, limit: float, slope: float, share: float) -> float | None:
    """The same where the limit is itself measured on `stable` requests: `slope` times their share, and a constant.

    The normal approximation of the difference of two shares, unpooled: Fleiss, Statistical Methods for Rates and
    Proportions (3rd edition, 2003), section 4.2. None where even all requests would not do.
    """
    if n <= 0 or stable <= 0:
        return None
    z, of_stable = _Z_OF_POWER, slope**2 * share * (1 - share) / stable
    found = _first(lambda p: p - limit >= z * sqrt(p * (1 - p) / n + of_stable), limit)
    return found if found < 1 else None


@lru_cache(maxsize=4096)
def false_alarm(n: int, limit: Decimal | Fraction, share: float, windows: float) -> float:
    """The chance that a window which slides over `windows` of its lengths ever finds a share above `limit`.

    `share` is the true one, below the limit, and `n` the requests in a window. Alm's approximation of the scan
    statistic of a Poisson process: S. E. Alm, On the distribution of the scan statistic of a Poisson process, in
    Probability and Mathematical Statistics, Essays in honour of C.-G. Esseen (1983). Overlapping windows are
    counted as what they are, nearly the same; a verdict every few seconds is taken as one that is always there,
    which errs toward more alarms. Against simulations it is right to about a tenth of itself.
    """
    k, mean = beyond(n, limit), n * share
    if k <= mean:
        return 1.0
    once = arrivals_at_least(k, mean)
    return once + (1 - once) * -expm1(-alarms(n, limit, share) * max(0.0, windows - 1))


@lru_cache(maxsize=4096)
def false_alarm_against(n: int, stable: int, slope: float, absolute: float, share: float, windows: float) -> float:
    """The same where the limit is `slope` times the share of `stable` requests and `absolute`, all of one true share.

    For each count that stable may have, as `false_alarm`. That it comes and goes too lets as many more alarms begin as
    it adds to the variance of the difference; against simulations that errs toward more alarms, up to twice as many.
    """
    mean, of_stable = n * share, stable * share
    if n <= 0 or stable <= 0 or mean <= 0:
        return 0.0
    spread = 8 * sqrt(of_stable) + 10
    first, last = max(0, floor(of_stable - spread)), floor(of_stable + spread)
    step = -(-(last - first) // _POINTS) or 1
    once = begin = weight = 0.0
    for count in range(first, last + 1, step):
        chance = _poisson(count, of_stable)
        k = floor(n * (slope * count / stable + absolute)) + 1
        weight += chance
        once += chance * arrivals_at_least(k, mean)
        begin += chance * mean * _poisson(k - 1, mean) * (max(0.0, (k - mean) / k) if k > mean else 1.0)
    once, begin = once / weight, begin / weight * (1 + slope**2 * n / stable)
    return once + (1 - once) * -expm1(-begin * max(0.0, windows - 1))


@lru_cache(maxsize=4096)
def alarms(n: int, limit: Decimal | Fraction, share: float) -> float:
    """How many false alarms begin in each length of the window, on average; the rate within `false_alarm`."""
    k, mean = beyond(n, limit), n * share
    if mean <= 0 or k > n:
        return 0.0
    return max(0.0, (k - mean) / k) * mean * _poisson(k - 1, mean)


@lru_cache(maxsize=4096)
def tolerated(n: int, limit: Decimal | Fraction, windows: float, chance: float = RARE) -> float:
    """The largest share below the limit at which a false alarm over `windows` stays as rare as `chance`."""
    return _last(lambda share: false_alarm(n, limit, share, windows) <= chance, 0.0, min(1.0, beyond(n, limit) / n))


@lru_cache(maxsize=4096)
def enough(least: int, chance: float = 0.99) -> int:
    """How many requests must be expected so that at least `least` come with this chance, if they come at random."""
    return _fewest(least, lambda mean: arrivals_at_least(least, mean) >= chance)


@lru_cache(maxsize=4096)
def enough_throughout(least: int, windows: float, chance: float = RARE) -> int:
    """How many must be expected so that a window which slides over `windows` of its lengths rarely ever has fewer.

    A window falls short when the last of `least` requests leaves it: on average so many times as requests leave, times
    the chance that there are just so many others; as in `alarms`, those that follow at once count as one.
    """

    def holds(mean: int) -> bool:
        begin = (mean - least + 1) * _poisson(least - 1, mean)
        return 1 - arrivals_at_least(least, mean) + max(0.0, windows - 1) * begin <= chance

    return _fewest(least, holds)


def _fewest(least: int, holds: Callable[[int], bool]) -> int:
    """The smallest number from `least` for which a property holds that holds above it."""
    few, many = least, 2 * least + 20
    while not holds(many):
        few, many = many + 1, 2 * many
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if holds(middle) else (middle + 1, many)
    return few


def _first(holds: Callable[[float], bool], low: float) -> float:
    """The smallest number from `low` to 1 for which a property holds that holds above it."""
    high = 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The largest number in a range for which a property holds that holds below it."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
