"""Which addresses are a tailnet's: those that Tailscale and Headscale give to nodes, and no public network uses."""

import ipaddress
from typing import Final

_NETWORKS: Final = (ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("fd7a:115c:a1e0::/48"))


def in_tailnet(address: str) -> bool:
    """Whether an IP address, in brackets or without, is one of a tailnet."""
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    return any(parsed in network for network in _NETWORKS)
