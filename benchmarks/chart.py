"""The Helm chart that yields the same objects as `mrc render`, derived from what it rendered.

One template a kind of file, ranging over the releases; what differs between two models comes from the values. The
chart has no quoting, no conditions and no schema: it is the cheapest chart that does the job.
"""

import json
import re
import shutil
from pathlib import Path

import fleet

# What mrc writes besides Kubernetes objects.
OTHERS = {"kustomization.yaml", "rules.yaml", "rules.test.yaml", "RUNBOOK.md"}
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_HASH = re.compile(r"(?<=-v)([0-9]+)-([0-9a-f]{10})\b")


def make(repository: Path, chart: Path, models: int) -> int:
    """Write the chart of the repository's rendered tree; returns the number of objects that it yields."""
    shutil.rmtree(chart, ignore_errors=True)
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: fleet\nversion: 0.1.0\n")
    values: dict[str, list[dict[str, object]]] = {}
    objects = 0
    for folder in sorted((repository / "rendered").iterdir()):
        environment, releases = folder.name, []
        for number in range(models):
            texts = _objects(folder / fleet.name_of(number))
            tokens = _tokens("\n".join(texts.values()))
            releases.append({"name": fleet.name_of(number), **tokens})
            if number == 0:
                for file, text in texts.items():
                    objects += models * len(re.findall(r"^kind:", text, re.MULTILINE))
                    template = _template(environment, fleet.name_of(0), text, tokens)
                    (chart / "templates" / f"{environment}-{file}").write_text(template)
        values[environment] = releases
    (chart / "values.yaml").write_text(json.dumps(values))  # JSON is YAML, and the cheaper one to read
    return objects


def _objects(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.iterdir()) if file.name not in OTHERS}


def _tokens(text: str) -> dict[str, object]:
    digests = list(dict.fromkeys(_DIGEST.findall(text)))
    hashes = dict(match.groups() for match in _HASH.finditer(text))
    return {"digests": digests, "hashes": {f"v{version}": found for version, found in hashes.items()}}


def _template(environment: str, name: str, text: str, tokens: dict[str, object]) -> str:
    text = text.replace("{{", "\0")
    digests = tokens["digests"]
    assert isinstance(digests, list)
    text = _DIGEST.sub(lambda match: f"{{{{ index $m.digests {digests.index(match[0])} }}}}", text)
    text = _HASH.sub(lambda match: f"{match[1]}-{{{{ $m.hashes.v{match[1]} }}}}", text)
    text = text.replace(name, "{{ $m.name }}").replace("\0", '{{ "{{" }}')
    return f"{{{{- range $m := .Values.{environment} }}}}\n---\n{text}{{{{- end }}}}\n"
