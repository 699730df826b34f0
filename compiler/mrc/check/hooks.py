"""Would the reconciler call the hooks?"""

from mrc.diagnostics import Diagnostic, error
from mrc.link import Release

PLAIN = error(
    "MRC387", "a hook without TLS",
    reason="It calls https:// addresses, and http:// ones only of hosts that the environment's owners name; "
    "what it tells, and its token, would otherwise go to whoever answers in that name.",
    hint="use an https:// address, or let the owners add the host to reconcile.plainHosts of the environment",
)  # fmt: skip
RULES = (PLAIN,)


def check(release: Release) -> list[Diagnostic]:
    """Said at each address."""
    hooks, found = release.policy.hooks, []
    for name, hook in (("flushCache", hooks.flush_cache), ("reprocess", hooks.reprocess)):
        if hook is None or hook.url.startswith("https://"):
            continue
        host = _host(hook.url)
        if host not in release.environment.spec.reconcile.plain_hosts:
            message = f"{host or 'the host'} may not be called by http:// in {release.environment_name}"
            found.append(release.policy_document.report(PLAIN, (*release.path, "hooks", name, "url"), message))
    return found


def _host(url: str) -> str:
    from urllib.parse import urlsplit  # which pathlib and Jinja have to do without in a run that has no such hook

    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
