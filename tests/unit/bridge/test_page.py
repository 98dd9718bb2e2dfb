"""The status page."""

import base64
import hashlib
import re

from bawn.bridge.history import History
from bawn.bridge.page import HEADERS, PageData, render
from bawn.bridge.settings import BridgeSettings
from bawn.contracts.errors import Unavailable
from bawn.contracts.openai import ModelCard
from bawn.contracts.record import RequestRecord

SETTINGS = BridgeSettings(gateway_url="http://gateway:8700", key_file="/home/ada/secret.key")


def test_everything_from_outside_is_escaped() -> None:
    nasty = "<script>alert(1)</script>\"'&"
    page = render(
        PageData(
            settings=BridgeSettings(gateway_url=f"http://{nasty}", key_file="k"),
            models=[ModelCard(id=nasty, context_length=4096, fim=True)],
            problem=Unavailable(nasty),
            history=History(),
        )
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3


def test_the_policy_allows_the_style_of_the_page_and_nothing_else() -> None:
    page = render(PageData(settings=SETTINGS, models=[], problem=None, history=History()))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in HEADERS["content-security-policy"]
    assert "style=" not in page
    assert "src=" not in page
    assert "http-equiv" not in page


def test_errors_show_as_classes_with_counts_and_ages() -> None:
    now = 1000.0
    history = History(clock=lambda: now)
    for error in ("unavailable", "unavailable", "forbidden", None):
        history.note(RequestRecord(surface="chat", error=error))
    page = render(PageData(settings=SETTINGS, models=None, problem=None, history=history), now=now + 150)
    assert re.search(r"unavailable</code></td><td class=n>2</td>.*?last 2 min ago", page)
    assert "4 requests in 2 min" in page
    assert "secret.key" not in page
