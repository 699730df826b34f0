"""A team's own PromQL: what is filled in stays one string, and a lost version is seen before the merge."""

import promql_parser
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mrc import expression
from mrc.schema.units import Duration

WINDOW = Duration.parse("10m")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['"', "\\", '"}[5m])) or vector(1) #', "$window", "$model", "`", "'", "\n"]
)


def values(model: str, namespace: str = "n", environment: str = "e") -> dict[str, str]:
    return {"model": model, "namespace": namespace, "environment": environment}


@given(TEXT, TEXT, TEXT)
def test_a_value_that_is_filled_in_stays_one_label_whatever_it_holds(model: str, namespace: str, where: str) -> None:
    written = 'sum by (version) (rate(a_total{m=$model,n = $namespace,e=$environment,x="#{"}[$window]))'
    parsed = promql_parser.parse(expression.fill(written, values(model, namespace, where), WINDOW))
    selector = parsed.expr.args[0]
    found = {matcher.name: matcher.value for matcher in selector.vector_selector.matchers.matchers}
    assert found == {"m": model, "n": namespace, "e": where, "x": "#{"}
    assert selector.range.total_seconds() == 600


@given(
    st.lists(
        st.sampled_from(['"', "'", "`", "#", "\n", "\\", "$model", "$window", "[", "m=", "x", "]", " "]), max_size=12
    )
)
def test_whatever_is_written_is_filled_whole_or_refused(parts: list[str]) -> None:
    """In what comes out and parses, the model is a whole label value or nowhere."""
    text = "".join(parts)
    try:
        filled = expression.fill(f"up{{{text}}}", values("HERE"), WINDOW)
        parsed = promql_parser.parse(filled)
    except ValueError:
        return
    assume(hasattr(parsed, "matchers"))
    for matcher in parsed.matchers.matchers:
        assert matcher.value == "HERE" or "HERE" not in (matcher.value + matcher.name)


@pytest.mark.parametrize(
    "text",
    [
        "up{model!=$model}", "up{model=~$model}", "up == $model", "up[$model]", "up * $window", "up{x=$window}",
        "up{version=$version}", 'up{model="$model"}', "up{model='x$window'}", "up{model=$Model}",
        "up{model=$model_name}",
    ],
)  # fmt: skip
def test_a_placeholder_elsewhere_is_refused(text: str) -> None:
    try:
        filled = expression.fill(text, values("m"), WINDOW)
    except ValueError:
        return
    with pytest.raises(ValueError, match=r"."):
        promql_parser.parse(filled)


def test_a_group_of_a_regular_expression_is_no_placeholder() -> None:
    text = 'label_replace(up{model=$model}[$window], "version", "$1", "v", "(.*)") # $model'
    assert expression.fill(text, values("m"), WINDOW) == text.replace("=$model", '="m"').replace("[$window]", "[10m]")


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("a", False),
        ("sum(a)", True),
        ("sum by (pod) (a)", True),
        ("sum by (version) (a)", False),
        ("sum by (version) (sum by (pod) (a))", True),
        ("sum without (pod) (a)", False),
        ("sum without (version) (a)", True),
        ("topk(3, sum by (version) (a))", False),
        ("topk(3, sum(a))", True),
        ('count_values("version", a)', False),
        ("sum by (version) (a) / sum by (version) (b)", False),
        ("sum(a) / sum(b)", True),
        ("100 * sum by (version) (a)", False),
        ("100 * sum(a)", True),
        ("a / on (version) b", False),
        ("a / on (pod) b", True),
        ("a / ignoring (version) b", True),
        ("a / ignoring (pod) b", False),
        ("a * on (pod) group_left (version) b", False),
        ("sum by (pod) (a) * on (pod) group_left (version) b", False),
        ("a * on (pod) group_left () b", False),
        ("sum(a) or b", False),
        ("sum(a) or sum(b)", True),
        ("sum(a) and b", True),
        ("a and on () b", False),
        ('label_replace(sum(a), "version", "1", "", "")', False),
        ("histogram_quantile(0.9, sum by (le) (rate(a[5m])))", True),
        ("histogram_quantile(0.9, sum by (le, version) (rate(a[5m])))", False),
        ("max_over_time(sum(a)[5m:1m])", True),
        ("vector(1)", True),
        ("1", True),
        ("-(sum(a))", True),
        ('absent(a{version="1"})', False),
        ("clamp_min(a, 0)", False),
    ],
)
def test_an_expression_that_loses_the_version_is_known(text: str, lost: bool) -> None:
    assert bool(expression.lost(text, "version")) is lost
