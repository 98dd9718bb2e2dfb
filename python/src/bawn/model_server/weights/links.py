"""Which addresses weights are fetched from."""

import ipaddress
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx

from bawn.contracts.errors import SettingsError


def link(text: str) -> httpx.URL:
    """`text` as an address that weights may be fetched from: https, or http on this machine's loopback.

    Raises:
        SettingsError: it is none, or holds a password.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise SettingsError(f"{text}: is no URL: {error}.") from error
    if url.userinfo:
        raise SettingsError(f"{url.host}: the URL holds a password; what a fleet names can be read by everybody.")
    check_hop(url, url)
    return url


def check_hop(first: httpx.URL, url: httpx.URL) -> None:
    """Refuse to follow `first` to `url`. Only loopback may lead to loopback without TLS.

    Raises:
        SettingsError: names the host alone, since the rest of a redirect is often a secret of its own.
    """
    if url.scheme == "https" and url.host:
        return
    if url.scheme == "http" and _is_loopback(url) and _is_loopback(first):
        return
    leads = "" if url is first else f"{first} leads to "
    raise SettingsError(f"{leads}{url.scheme or 'no scheme'}://{url.host}: weights are fetched over https:// only.")


def file_name(url: httpx.URL) -> str:
    """The last part of the path, decoded; empty where the path ends in a slash."""
    return PurePosixPath(unquote(url.path)).name if not url.path.endswith("/") else ""


def _is_loopback(url: httpx.URL) -> bool:
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"
