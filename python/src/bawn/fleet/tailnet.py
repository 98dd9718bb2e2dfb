"""What can't work about the tailnet of a fleet."""

from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from bawn.fleet import naming
from bawn.fleet.problems import Problem, listed
from bawn.fleet.schema import HEADSCALE_PORT, TAILSCALE_URL, Fleet


def tailnet_problems(fleet: Fleet) -> Iterator[Problem]:
    """The problems of `tailnet`, and of the nodes that run it."""
    tailnet, servers = fleet.tailnet, fleet.of_role("headscale")
    if not naming.DOMAIN.fullmatch(tailnet.base_domain):
        yield Problem(
            "tailnet.base_domain", f"{tailnet.base_domain!r} is no domain; write it as in tailnet.example.org."
        )
    url = _https(tailnet.server_url)
    if url is None:
        yield Problem("tailnet.server_url", f"{tailnet.server_url!r} is not of the form https://host.")
    if tailnet.managed:
        if servers:
            yield Problem(
                "tailnet.managed",
                f"Tailscale runs the tailnet, yet {listed(servers)} has the role headscale; take out one of the two.",
            )
        return
    if len(servers) != 1:
        yield Problem(
            "nodes",
            f"{len(servers)} nodes have the role headscale ({listed(servers)}); a tailnet of your own needs exactly "
            "one, or set tailnet.managed.",
        )
    if url is None:
        return
    if tailnet.server_url.rstrip("/") == TAILSCALE_URL:
        yield Problem(
            "tailnet.server_url", "is Tailscale's server; write the URL of your Headscale, or set tailnet.managed."
        )
    if url.port not in (None, HEADSCALE_PORT):
        yield Problem("tailnet.server_url", f"names port {url.port}, but Headscale listens on {HEADSCALE_PORT}.")
    host = url.hostname or ""
    if host == tailnet.base_domain or host.endswith(f".{tailnet.base_domain}"):
        # Headscale refuses to start with it (`dns.base_domain`): MagicDNS would answer for the server's own name.
        yield Problem(
            "tailnet.base_domain",
            f"holds the name in server_url ({host}), which nodes must find before they are in the tailnet; "
            "choose a domain beside it, such as tailnet.example.org beside headscale.example.org.",
        )


def _https(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        good = url.scheme == "https" and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return None
    bare = not (url.username or url.password or url.query or url.fragment or url.path.strip("/"))
    return url if good and bare else None
