"""Text that a second program reads inside of a file: templates of alerts, shells, Kubernetes' variables, vLLM, cookies,
git's trailers, annotations, HTTP headers. What went in comes out of that program, or of its rules, unchanged."""

import json
import re
import shlex
import subprocess
from dataclasses import replace
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import h11
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from conftest import TOP
from examples import examples
from judges import promtool, tools
from mrc import runtime
from mrc.compile import analyse
from mrc.fetch import https
from mrc.fetch.sources import PermanentError
from mrc.link import Release
from mrc.reconcile.message import message
from mrc.render import common, ingress, pod
from mrc.render.engine import markdown_shell, yaml_block, yaml_flow, yaml_quoted
from mrc.render.rules import literal
from mrc.schema import Incident, router
from mrc.schema.base import _PRINTABLE, _URL
from mrc.schema.policy import Sessions
from mrc.schema.runtime import Container
from mrc.tree import MemoryTree
from test_fuzz_writers import TEXT, read_back

COMMON = TOP / "tests/cases/common"
NAMES = st.from_regex(r"\A[a-z](?:[-a-z0-9]{0,10}[a-z0-9])?\Z")
_TEMPLATES = ["{{", "}}", "{{ ", " }}", "{{-", "-}}", "{", "}", "{{/* ", " */}}", "{{ end }}", "{{ $value }}", "`", '"',
              "{{ query `up` }}", "{{ define `x` }}", "{{{", "{{{{", "{{ template `a` }}", "\\"]  # fmt: skip
LINE = st.lists(st.one_of(st.sampled_from(_TEMPLATES), TEXT), max_size=6).map(
    lambda parts: "".join(char for char in "".join(parts) if re.fullmatch(_PRINTABLE, char)).strip() or "x"
)


@cache
def example() -> Release:
    files = {path.relative_to(COMMON).as_posix(): path.read_bytes() for path in COMMON.rglob("*") if path.is_file()}
    compiled = analyse(MemoryTree(files))
    return next(each for each in compiled.fleet.releases if each.environment_name == "production")


# --- Prometheus expands what alerts say as templates ---


@settings(max_examples=examples(10))
@given(texts=st.lists(LINE, min_size=20, max_size=20))
def test_text_in_an_alert_is_no_template(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """Prometheus itself expands it; one that does not parse would refuse the whole file, and all that it watches."""
    folder = tmp_path_factory.mktemp("alerts")
    rules = [
        {"alert": f"A{number}", "expr": "vector(1)", "labels": {"said": literal(text)},
         "annotations": {"said": literal(f"{text}: above 5%.") + " {{ $value }}"}}
        for number, text in enumerate(texts)
    ]  # fmt: skip
    expected = [
        {"eval_time": "1m", "alertname": f"A{number}",
         "exp_alerts": [{"exp_labels": {"said": text}, "exp_annotations": {"said": f"{text}: above 5%. 1"}}]}
        for number, text in enumerate(texts)
    ]  # fmt: skip
    (folder / "rules.yaml").write_text(yaml_flow({"groups": [{"name": "a", "rules": rules}]}))
    tests = {"rule_files": ["rules.yaml"], "tests": [{"interval": "1m", "alert_rule_test": expected}]}
    (folder / "test.yaml").write_text(yaml_flow(tests))
    assert promtool.test_rules([folder / "test.yaml"]) == []


@pytest.mark.parametrize("title", ["{{ end }}", "{{ query `up` }} {", "share of {{ $labels.model }}"])
def test_a_title_of_the_repositorys_own_is_no_template(tmp_path: Path, title: str) -> None:
    files = {path.relative_to(COMMON).as_posix(): path.read_bytes() for path in COMMON.rglob("*") if path.is_file()}
    metric = {"title": title, "unit": "ratio", "worse": "higher", "value": "rate(a{model=$model}[$window])",
              "samples": "increase(a{model=$model}[$window])"}  # fmt: skip
    spec = json.dumps({"mrc": "0.1.*", "metrics": {"odd": metric}})
    files["mrc.yaml"] = f"apiVersion: mrc.dev/v1alpha1\nkind: Repository\nspec: {spec}\n".encode()
    policy = files["policies/hello-model/policy.yaml"].decode()
    policy = policy.replace("    latency:", "    odd: {metric: odd, max: 5%}\n    latency:")
    compiled = analyse(MemoryTree({**files, "policies/hello-model/policy.yaml": policy.encode()}))
    assert not compiled.failed, compiled.diagnostics
    from mrc.render import rules

    for artifact in rules.render(compiled.fleet.releases[0]):
        if artifact.path.endswith("/rules.yaml"):
            (tmp_path / "rules.yaml").write_text(artifact.text)
    assert promtool.check_rules([tmp_path / "rules.yaml"]) == []
    alerts = [rule for rule in yaml.safe_load((tmp_path / "rules.yaml").read_text())["groups"][0]["rules"]
              if rule.get("labels", {}).get("guardrail") == "odd" and "alert" in rule]  # fmt: skip
    assert alerts
    for alert in alerts:
        said = f"{title[0].upper()}{title[1:]}".replace("{{", '{{"{{"}}')
        assert alert["annotations"]["description"].startswith(said)


# --- a shell reads what stands in the runbook ---


@settings(max_examples=examples(20))
@given(st.lists(st.from_regex(rf"\Ahttps?://{_URL}\Z"), min_size=20, max_size=20))
def test_an_address_comes_back_out_of_a_shell(urls: list[str]) -> None:
    """Every address that the schema takes can stand in the command, and the shell makes nothing of it."""
    words = [str(markdown_shell(url)) for url in urls]
    assert [shlex.split(word) for word in words] == [[url] for url in urls]
    done = subprocess.run(["sh", "-c", f"printf '%s\\n' {' '.join(words)}"], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(f"{url}\n" for url in urls)
    assert not any("`" in word for word in words), "it would end a code span"


# --- Kubernetes expands $(NAME) in commands, arguments and variables ---


def expanded(text: str) -> str:
    """As the kubelet does it, with every variable set.

    https://github.com/kubernetes/kubernetes/blob/v1.34.1/third_party/forked/golang/expansion/expand.go
    """
    out, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out, at = out + text[at], at + 1
        elif text[at + 1] == "$":
            out, at = out + "$", at + 2
        elif text[at + 1] == "(" and (end := text.find(")", at)) > 0:
            out, at = f"{out}EXPANDED", end + 1
        elif text[at + 1] == "(":
            out, at = f"{out}$(", at + 2
        else:
            out, at = out + text[at : at + 2], at + 2
    return out


@given(st.lists(st.one_of(st.sampled_from(["$", "$$", "$(", "$(A)", ")", "$)", "$$(", "$a"]), TEXT), max_size=6))
def test_kubernetes_leaves_variables_and_arguments_as_they_are(parts: list[str]) -> None:
    text = "".join(parts)
    assert expanded(pod.literal(text)) == text


# --- vLLM reads its options from YAML ---

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
OPTIONS = st.recursive(
    st.one_of(TEXT.filter(lambda text: not _NUMBER.fullmatch(text)), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)


@given(OPTIONS)
def test_an_option_comes_back_out_of_vllms_configuration(value: Any) -> None:
    for found in read_back(f"option: {yaml_flow(value)}\nafter: b\n"):
        assert found == {"option": value, "after": "b"}


@given(st.integers(-(10**9), 10**9), st.integers(0, 999))
def test_a_number_below_an_option_is_a_number(whole: int, rest: int) -> None:
    for found in read_back(f"option: {yaml_flow({'a': [str(whole), f'{abs(whole)}.{rest}', 'x']})}\n"):
        assert found == {"option": {"a": [whole, float(f"{abs(whole)}.{rest}"), "x"]}}


# --- what a ConfigMap holds is read again: JSON in YAML, YAML in YAML ---


@given(st.dictionaries(TEXT, TEXT, max_size=3))
def test_json_comes_back_out_of_a_config_map(data: dict[str, str]) -> None:
    written = json.dumps(data, indent=1, ensure_ascii=True) + "\n"
    for found in read_back(f"data:\n  manifest.json: {yaml_block(written, 4)}\n  b: {yaml_quoted('c')}\n"):
        assert json.loads(found["data"]["manifest.json"]) == data


# --- headers: the cookie that pins, and the expression that reads it ---


@given(NAMES, st.integers(1, 10**6), st.integers(1, 840))
def test_the_cookie_is_one_that_browsers_read(name: str, number: int, seconds: int) -> None:
    release = pinned_release(name, number, seconds)
    written = common.set_cookie(release)
    assert written is not None
    assert re.fullmatch(r"[\x20-\x7e]+", written), "a header's value"
    cookie = SimpleCookie(written)
    assert list(cookie) == [f"mrc-{name}"]
    assert (cookie[f"mrc-{name}"].value, cookie[f"mrc-{name}"]["max-age"]) == (str(number), str(seconds))


@given(
    NAMES,
    st.integers(1, 999),
    st.lists(
        st.tuples(st.from_regex(r"\A[a-zA-Z0-9_-]{1,12}\Z"), st.from_regex(r"\A[!-+\--:<-~]{0,12}\Z")), max_size=3
    ),
    st.integers(0, 3),
    st.sampled_from(["", "0", "x", "1"]),
)
def test_a_session_goes_to_its_own_version_whatever_other_cookies_there_are(
    name: str, number: int, others: list[tuple[str, str]], place: int, more: str
) -> None:
    route = common.pins(pinned_release(name, number, 60))[-1]
    own = f"mrc-{name}"
    others = [(key, value) for key, value in others if key != own]
    header = [f"{key}={value}" for key, value in others]
    assert not re.fullmatch(route["cookie"], "; ".join(header))
    header.insert(min(place, len(header)), f"{own}={number}{more}")
    assert bool(re.fullmatch(route["cookie"], "; ".join(header))) == (more == "")


def pinned_release(name: str, number: int, seconds: int) -> Release:
    release = example()
    policy = release.policy.model_copy(update={"sessions": Sessions.model_validate({"lifetime": f"{seconds}s"})})
    version = replace(release.version, number=number)
    return replace(release, model=name, version=version, fallback=None, retained=(version,), policy=policy, verdicts={})


@given(NAMES, st.integers(1, 10**6))
def test_keys_of_two_versions_never_begin_alike(name: str, number: int) -> None:
    assert runtime.cache_prefix(name, number) == f"{name}-v{number}"


# --- ingress-nginx and the AWS Load Balancer Controller read hosts and annotations ---

_ARN = r"arn:aws:acm:[a-z0-9-]{1,12}:[0-9]{12}:certificate/[A-Za-z0-9-]{1,36}"
_LABELS = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,70}[a-z0-9])?\Z")
DOMAINS = st.lists(st.one_of(NAMES, _LABELS), min_size=1, max_size=5).map(".".join)
_DNS = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
ALB_TEXTS = st.fixed_dictionaries(
    {"domain": DOMAINS},
    optional={
        "ingressClass": DOMAINS,
        "scheme": st.sampled_from(["internal", "internet-facing"]),
        "group": st.one_of(st.from_regex(r"\A[a-z0-9-]{1,70}\Z"), TEXT),
        "certificate": st.one_of(st.from_regex(rf"\A{_ARN}\Z"), TEXT),
    },
)


@given(ALB_TEXTS, NAMES, st.one_of(st.from_regex(r"\A/[A-Za-z0-9._~/-]*\Z"), TEXT))
def test_an_alb_reads_in_its_annotations_what_the_environment_says(
    written: dict[str, str], name: str, ready: str
) -> None:
    """By the controller's own rules: plain texts, lists parted by commas, and JSON.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
    """
    try:
        alb = router.Router.model_validate({"alb": written})
        probe = Container.model_validate({"port": 80, "ready": ready}).ready
    except ValidationError:
        return  # refused, and not smuggled in
    (found,) = routed(alb, name, probe)
    notes = {key.partition("/")[2]: value for key, value in found["metadata"]["annotations"].items()}
    assert notes.pop("scheme") == written.get("scheme", "internal")
    assert notes.pop("target-type") == "ip"
    assert json.loads(notes.pop("listen-ports")) == [{"HTTPS": 443} if "certificate" in written else {"HTTP": 80}]
    assert notes.pop("healthcheck-path") == probe
    assert probe.startswith("/")
    assert len(probe) <= 1024
    arns = [part.strip() for part in notes.pop("certificate-arn", "").split(",") if part.strip()]
    assert arns == [written["certificate"]] * ("certificate" in written), "one certificate, not a list of them"
    assert notes.pop("group.name", None) == written.get("group")
    assert not notes, "nothing beside what is meant"


@given(st.one_of(DOMAINS, st.text("a.-", max_size=260), TEXT), NAMES, st.booleans())
def test_every_host_is_one_that_dns_and_kubernetes_take(domain: str, name: str, secure: bool) -> None:
    written = {"domain": domain, **({"tlsSecret": "tls"} if secure else {})}
    try:
        nginx = router.Router.model_validate({"nginx": written})
    except ValidationError:
        return
    found = routed(nginx, name, "/ready")
    assert len(found) == (2 if secure else 1)
    for each in found:
        (rule,) = each["spec"]["rules"]
        assert rule["host"] in (f"{name}.{domain}", f"{name}-grpc.{domain}")
        assert _DNS.fullmatch(rule["host"])
        assert len(rule["host"]) <= 253
        assert set(each["metadata"].get("annotations", {})) <= {"nginx.ingress.kubernetes.io/backend-protocol"}


def routed(way: router.Router, name: str, ready: str) -> list[Any]:
    """The Ingresses of a model behind this router."""
    release = example()
    spec = release.environment.spec.model_copy(update={"router": way})
    version = replace(release.version, server=replace(release.version.server, ready=ready))
    environment = release.environment.model_copy(update={"spec": spec})
    (artifact,) = ingress.render(replace(release, model=name, environment=environment, version=version))
    return list(yaml.safe_load_all(artifact.text))


# --- an HTTP server reads the token ---


@settings(max_examples=examples(40))  # each reads the authorities that the machine trusts
@given(st.one_of(st.from_regex(rb"\A[!-~]{1,40}\s{0,2}\Z"), st.binary(max_size=40), TEXT.map(str.encode)))
def test_a_token_comes_back_out_of_its_header_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, token: bytes
) -> None:
    """What a server that reads HTTP strictly sees: one header with the whole token, and nothing after it."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_bytes(token)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(https.TOKEN_FILE, str(file))
        if not re.fullmatch(rb"[!-~]+", token.strip()):
            with pytest.raises(PermanentError, match="holds no token"):
                https.HttpsSource()
            return
        headers = https.HttpsSource()._authorization
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    asked = h11.Request(method="GET", target="/", headers=[("Host", "models.example.com"), *headers.items()])
    server.receive_data(client.send(asked) or b"")
    seen = server.next_event()
    assert isinstance(seen, h11.Request)
    assert dict(seen.headers)[b"authorization"] == b"Bearer " + token.strip()
    assert len(seen.headers) == 2


# --- git reads the trailers of a message ---


@settings(max_examples=examples(40))
@given(st.lists(LINE, min_size=4, max_size=4), st.sampled_from(["", "Mrc-To: 1", "Signed-off-by: x"]))
def test_nothing_that_an_alert_says_becomes_a_trailer(said: list[str], forged: str) -> None:
    cause, found, gate, saw = (f"{forged}{text}" if forged else text for text in said)
    incident = Incident.model_validate(
        {
            "apiVersion": "mrc.dev/v1alpha1", "kind": "Incident",
            "metadata": {"environment": "production", "model": "hello", "id": "20261004-091200-1f0c33aa"},
            "spec": {
                "cause": {"kind": "alert", "id": "a", "version": "2", "message": cause,
                          "evidence": [{"guardrail": "errors", "found": found}]},
                "action": "rollback", "before": {"version": "2", "fallback": "1"}, "after": {"version": "1"},
                "reasons": [{"gate": gate, "passed": True, "saw": saw}], "verdict": "rejected", "held": False,
                "times": {"onset": "2026-10-04T09:11:00Z", "detected": "2026-10-04T09:12:00Z",
                          "decided": "2026-10-04T09:12:00Z"},
            },
        }
    )  # fmt: skip
    written = message("production", [incident])
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=written.encode(), capture_output=True, check=True,
        env=tools.environment({"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}),
    )  # fmt: skip
    assert done.stdout.decode().splitlines() == [
        "Mrc-Incident: 20261004-091200-1f0c33aa", "Mrc-Model: hello", "Mrc-Environment: production", "Mrc-Cause: a",
        "Mrc-From: 2", "Mrc-To: 1",
    ]  # fmt: skip
    for text in (cause, found, saw):
        assert text in written
