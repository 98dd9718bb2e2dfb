"""The walk stops at the first failure, ends in time, and its report holds no secret."""

import asyncio
import json

from bawn.contracts.errors import SettingsError
from bawn.doctor.hops import Fault, Hop, Seen, not_looked
from bawn.doctor.telling import as_json, as_text, masked
from bawn.doctor.walk import Report, walk

KEY = "bawn_0123456789_AbC-dEf_gH"


async def good() -> Seen:
    return Seen("well")


async def absent() -> Seen:
    return not_looked("no tailnet")


async def bad() -> Seen:
    raise Fault("gone", f"It is gone, and {KEY} with it.", "Bring it back. " * 12)


async def never() -> Seen:
    raise AssertionError("looked at after a failure")


async def endless() -> Seen:
    await asyncio.Event().wait()
    raise AssertionError


async def broken() -> Seen:
    raise KeyError(KEY)


async def unset() -> Seen:
    raise SettingsError("gateway_url: is wrong.")


async def walked(*hops: Hop) -> Report:
    return await walk(hops, roles=["laptop"], version="1")


async def test_hops_after_a_failure_are_not_looked_at() -> None:
    report = await walked(Hop("one", good), Hop("two", absent), Hop("three", bad), Hop("four", never))
    assert [step.state for step in report.hops] == ["good", "not_looked_at", "failed", "not_looked_at"]
    assert report.failure is not None
    assert (report.ok, report.failure.hop, report.failure.code) == (False, "three", "gone")
    assert (await walked(Hop("one", good), Hop("two", absent))).ok


async def test_whatever_a_hop_meets_the_walk_ends_with_a_report() -> None:
    for look, code in ((endless, "no_answer"), (broken, "doctor_failed"), (unset, "settings_wrong")):
        async with asyncio.timeout(5):
            report = await walked(Hop("one", look, 0.05))
        assert report.failure is not None
        assert report.failure.code == code
        assert KEY not in as_json(report)


async def test_the_text_fits_80_columns_and_says_what_is_wrong_and_what_to_do() -> None:
    async def long() -> Seen:
        return Seen("word " * 60)

    report = await walked(Hop("one", long), Hop("two", bad))
    text = as_text(report)
    assert max(map(len, text.splitlines())) <= 80
    assert "What is wrong: It is gone" in text
    assert "What to do: Bring it back." in text
    assert as_text(report, unicode=False).isascii()


async def test_neither_form_holds_a_key() -> None:
    report = await walked(Hop("one", bad))
    assert KEY not in as_text(report) + as_json(report)
    assert json.loads(as_json(report))["failure"]["wrong"] == "It is gone, and bawn_0123456789_*** with it."


def test_what_has_the_form_of_a_secret_is_masked() -> None:
    for secret in (KEY, "bawn_local_a-b_c", "whsec_abc/+=", "tskey-auth-k1-x", "hskey-auth-abc", "Bearer abc.def"):
        assert "***" in masked(f"said {secret}, and")
        assert secret not in masked(f"said {secret}, and")
    assert masked("the unit bawn-gateway and `bawn keys add`") == "the unit bawn-gateway and `bawn keys add`"
