"""The gateway as the laptop sees it: it lives, knows the key and the person, and has a model to offer."""

from typing import Final

import msgspec

from bawn.contracts.errors import Forbidden, IdentityMismatch, IdentityUnknown, NodeNotAllowed, TokenRefused
from bawn.contracts.health import Ready
from bawn.contracts.openai import ModelList
from bawn.doctor.asking import Answer, NoAnswer, ask
from bawn.doctor.hops import Fault, Hop, Seen, not_looked
from bawn.doctor.laptop import Laptop

_OF_REFUSAL: Final = {
    IdentityMismatch.code: "Use the key that was made for this machine's owner (`bawn keys add PERSON`, with PERSON as "
    "the fleet calls them), on a machine that is theirs in the tailnet.",
    NodeNotAllowed.code: "`tailscale status` shows whose this machine is in the tailnet: its owner joins it with a key "
    "of their own, and `bawn fleet show` says who may use the gateway.",
}


class FarGateway:
    """The gateway of a laptop, asked directly and through the bridge. Nothing that is asked starts a pod."""

    def __init__(self, laptop: Laptop) -> None:
        self._laptop = laptop
        self._listing: Answer | None = None
        self.models: list[str] = []

    @property
    def _url(self) -> str:
        return self._laptop.settings.gateway_url

    def hops_of_access(self) -> list[Hop]:
        """What comes before any model."""
        return [
            Hop("gateway", self.alive),
            Hop("key", self.key),
            Hop("identity", self.identity),
            Hop("bridge to gateway", self.through_the_bridge, 8),
        ]

    def hops_of_models(self) -> list[Hop]:
        """What is offered."""
        return [Hop("model servers", self.model_servers), Hop("model", self.model)]

    async def alive(self) -> Seen:
        """`/health`."""
        answer = await self._ask("/health")
        if answer.status != 200:
            raise Fault(
                "gateway_unwell",
                f"What answers at {self._url} says that it can't work (status {answer.status}).",
                "Look whether gateway_url is the gateway's; there, `bawn doctor`.",
            )
        return Seen("lives")

    async def key(self) -> Seen:
        """The key of the key file is known."""
        answer = self._listing = await self._ask("/v1/models", self._laptop.key)
        if answer.status == 401:
            raise Fault(
                "key_refused",
                f"The gateway doesn't know the API key in {self._laptop.settings.key_file}: it is mistyped or was "
                "revoked.",
                "Ask whoever runs the gateway for a new one (`bawn keys add NAME`), write it into that file, and start "
                "the bridge anew.",
            )
        return Seen("known")

    async def identity(self) -> Seen:
        """The gateway takes this machine for a person's, and the key for the same person's."""
        answer = self._answered()
        if answer.status == Forbidden.status:
            raise Fault(
                answer.code or Forbidden.code,
                f"The gateway refuses this machine: {answer.message or 'it gives no reason.'}",
                _OF_REFUSAL.get(answer.code, _OF_REFUSAL[IdentityMismatch.code]),
            )
        if answer.status == IdentityUnknown.status:
            raise Fault(
                IdentityUnknown.code,
                answer.message or "The gateway can't tell who is calling, and gives no reason.",
                "On the gateway host, `bawn doctor`, or `systemctl status tailscaled`; a tailscaled that has just "
                "started answers within seconds.",
            )
        return Seen("accepted")

    async def through_the_bridge(self) -> Seen:
        """The bridge that runs has the same key and reaches the same gateway."""
        ready = _ready(await ask(f"{self._laptop.bridge_url}/ready", within_s=6))
        if ready is not None and not ready.ready:
            code = next((part.error for part in ready.parts if part.error), "") or "unavailable"
            raise Fault(
                "bridge_outdated",
                f"The gateway can be used from here, but the bridge that runs doesn't reach it ({code}): it was "
                "started with another key or other settings.",
                "Start the bridge anew: `systemctl --user restart bawn-bridge`, or `bawn bridge`.",
            )
        return Seen("the bridge reaches it")

    async def model_servers(self) -> Seen:
        """At least one of the gateway's model servers is ready."""
        ready = _ready(await self._ask("/ready"))
        if ready is None:
            return not_looked("this gateway doesn't tell")
        servers = [part for part in ready.parts if part.name != "index"]
        if not any(part.ok for part in servers):
            refusing = [part.name for part in servers if part.error == TokenRefused.code]
            if refusing:
                raise Fault(
                    TokenRefused.code,
                    f"The gateway reaches {', '.join(refusing)}, which refuses the gateway's token.",
                    "Whoever runs the gateway puts the same token into the model server's file and into the "
                    "gateway's: `bawn doctor` there names the files.",
                )
            named = ", ".join(f"{part.name}: {part.error or 'not asked yet'}" for part in servers)
            raise Fault(
                "no_model_server",
                f"The gateway reaches none of its model servers ({named}): they are stopped, or still load their "
                "model.",
                "On the GPU host, `bawn doctor`, and on the gateway host too; a rented pod is started by the next "
                "request.",
            )
        return Seen(", ".join(f"{part.name}{'' if part.ok else ' (not ready)'}" for part in servers))

    async def model(self) -> Seen:
        """Models are offered to this key, and the assistants ask for one of them."""
        answer = self._answered()
        try:
            listed = msgspec.json.decode(answer.body, type=ModelList).data
            self.models = [card.id for card in listed if card.generates]
        except msgspec.DecodeError as error:
            raise Fault(
                "gateway_strange",
                f"What answers at {self._url} lists its models in no known form (status {answer.status}).",
                "Look whether gateway_url is the gateway's, and whether gateway and laptop have the same version.",
            ) from error
        if not self.models:
            raise Fault(
                "no_model_allowed",
                "The gateway offers this key no model: none is loaded, or none is allowed to its owner.",
                "Ask whoever runs the gateway which models this person may use (`bawn fleet show`).",
            )
        for one in self._laptop.assistants:
            if one.model and one.model not in self.models:
                raise Fault(
                    "model_not_offered",
                    f"{one.name} asks for the model {one.model}, which the gateway doesn't offer to this key; it "
                    f"offers {', '.join(self.models)} ({one.file}).",
                    f"Run `{one.command}`, or choose another model in {one.name}.",
                )
        return Seen(", ".join(self.models))

    def _answered(self) -> Answer:
        if self._listing is None:
            raise RuntimeError("the key is looked at first")
        return self._listing

    async def _ask(self, path: str, token: str | None = None) -> Answer:
        try:
            return await ask(f"{self._url}{path}", token=token)
        except NoAnswer as error:
            raise Fault(
                "gateway_silent",
                f"The gateway at {self._url} takes a connection and doesn't answer.",
                "On the gateway host, `sudo systemctl restart bawn-gateway`, and `journalctl -u bawn-gateway`.",
            ) from error


def _ready(answer: Answer) -> Ready | None:
    try:
        return msgspec.json.decode(answer.body, type=Ready)
    except msgspec.DecodeError:
        return None
