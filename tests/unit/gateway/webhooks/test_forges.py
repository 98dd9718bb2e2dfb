"""How each forge signs, and what is refused."""

import base64
import hashlib
import hmac

import pytest

from bawn.contracts.errors import InvalidRequest, Unauthorized
from bawn.gateway.webhooks.forges import Delivery, Forge, check_delivery, signing_key
from support.deliveries import BODY, NOW, SECRET, delivery_headers

FORGES: list[Forge] = ["github", "gitlab", "gitea", "forgejo"]


def check(forge: Forge, headers: dict[str, str], body: bytes = BODY, secret: str = SECRET) -> Delivery:
    return check_delivery(forge, headers, body, secret, now=lambda: NOW)


def test_githubs_own_example_is_signed_as_its_documentation_says() -> None:
    # docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation".
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signature, "x-github-event": "push", "x-github-delivery": "d1"}
    assert check("github", headers, b"Hello, World!", "It's a Secret to Everybody") == Delivery("d1", push=True)


def test_the_standard_webhooks_example_is_signed_as_its_specification_says() -> None:
    # standardwebhooks.com, the reference libraries' test vector.
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "x-gitlab-event": "Push Hook",
    }
    told = check_delivery("gitlab", headers, body, secret, now=lambda: 1614265330.0)
    assert told == Delivery("msg_p5jXN8AQM9LWM0D4loKWxJek", push=True)


@pytest.mark.parametrize("forge", FORGES)
def test_a_signed_push_is_taken_and_another_event_is_none(forge: Forge) -> None:
    assert check(forge, delivery_headers(forge)).push
    other = "Issue Hook" if forge == "gitlab" else "ping"
    assert not check(forge, delivery_headers(forge, event=other)).push


@pytest.mark.parametrize("forge", FORGES)
def test_without_a_signature_or_with_anothers_it_is_refused(forge: Forge) -> None:
    headers = delivery_headers(forge)
    unsigned = {name: value for name, value in headers.items() if "signature" not in name and "token" not in name}
    for wrong in (unsigned, delivery_headers(forge, secret="another secret entirely")):
        with pytest.raises(Unauthorized):
            check(forge, wrong)


@pytest.mark.parametrize("forge", ["github", "gitea", "forgejo"])
def test_a_body_that_was_changed_on_its_way_is_refused(forge: Forge) -> None:
    with pytest.raises(Unauthorized):
        check(forge, delivery_headers(forge), BODY + b" ")


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("sender", FORGES)
def test_a_delivery_of_one_forge_is_none_of_another(forge: Forge, sender: Forge) -> None:
    if forge != sender:
        with pytest.raises(Unauthorized):
            check(forge, delivery_headers(sender))


@pytest.mark.parametrize("forge", FORGES)
def test_a_signed_delivery_must_have_an_id_of_bounded_length_and_an_event(forge: Forge) -> None:
    headers = delivery_headers(forge)
    for name in [name for name in headers if name.endswith(("-delivery", "-uuid", "-event"))]:
        with pytest.raises(InvalidRequest):
            check(forge, {key: value for key, value in headers.items() if key != name})
    with pytest.raises(InvalidRequest):
        check(forge, delivery_headers(forge, told="x" * 129))


def gitlab(told: str = "w1", sent: float = NOW, secret: str = SECRET, **more: str) -> dict[str, str]:
    signed = hmac.new(signing_key(secret), f"{told}.{sent:.0f}.".encode() + BODY, hashlib.sha256).digest()
    return {
        "x-gitlab-event": "Push Hook",
        "webhook-id": told,
        "webhook-timestamp": f"{sent:.0f}",
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        **more,
    }


def test_gitlabs_signed_time_must_be_near() -> None:
    assert check("gitlab", gitlab(sent=NOW - 299)).id == "w1"
    for sent in (NOW - 301, NOW + 301):
        with pytest.raises(Unauthorized):
            check("gitlab", gitlab(sent=sent))
    for sent in ("", "-1", "٣", "1e9", "9" * 40):
        with pytest.raises(Unauthorized):
            check("gitlab", {**gitlab(), "webhook-timestamp": sent})


def test_gitlabs_id_is_signed_and_one_of_several_signatures_is_enough() -> None:
    with pytest.raises(Unauthorized):
        check("gitlab", {**gitlab(), "webhook-id": "w2"})
    headers = gitlab()
    assert check("gitlab", {**headers, "webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}).id == "w1"


def test_a_good_token_of_gitlab_does_not_mend_a_bad_signature() -> None:
    with pytest.raises(Unauthorized):
        check("gitlab", gitlab(secret="another secret entirely", **{"x-gitlab-token": SECRET}))
