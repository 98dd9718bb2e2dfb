"""Settings of the webhooks that can't work."""

from pathlib import Path

from bawn.gateway.webhooks.check import webhook_problems
from bawn.gateway.webhooks.settings import WebhookSettings


def test_what_can_work_has_no_problem(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sixteen chars ok")
    assert list(webhook_problems(None)) == []
    good = WebhookSettings(secret_file=str(secret), trigger_file=str(tmp_path / "pushed"))
    assert list(webhook_problems(good)) == []


def test_everything_that_is_wrong_is_said_with_its_key_and_without_the_secret(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("guessable")
    wrong = WebhookSettings(
        secret_file=str(secret), forges=(), max_body_bytes=0, trigger_file=str(tmp_path / "no" / "pushed")
    )
    said = list(webhook_problems(wrong))
    assert [message.partition(":")[0] for message in said] == [
        "webhooks.secret_file",
        "webhooks.forges",
        "webhooks.max_body_bytes",
        "webhooks.trigger_file",
    ]
    assert "guessable" not in "".join(said)
    absent = WebhookSettings(secret_file=str(tmp_path / "absent"))
    assert "absent" in next(webhook_problems(absent))
