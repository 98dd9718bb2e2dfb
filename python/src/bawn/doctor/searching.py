"""Search and, where it is asked for, one token of an answer, both through the bridge as an assistant would."""

from typing import Any, Final

import httpx

from bawn.bridge.tools_client import ToolsUnreachable, tools
from bawn.doctor.asking import Answer
from bawn.doctor.far_gateway import FarGateway
from bawn.doctor.hops import Fault, Hop, Seen, not_looked
from bawn.doctor.laptop import Laptop

_TOOL: Final = "search_code"
_QUERY: Final = "function class import return test readme"
"""Words of which every repository has one."""
_WITHIN_S: Final = 15.0
_GENERATE_S: Final = 180.0


class Asking:
    """What an assistant does with the chain."""

    def __init__(self, laptop: Laptop, gateway: FarGateway, *, deep: bool) -> None:
        """With `deep`, a token is generated, for which the gateway may start a pod."""
        self._laptop = laptop
        self._gateway = gateway
        self._deep = deep

    def hops(self) -> list[Hop]:
        """In order."""
        return [
            Hop("search tools (MCP)", self.tools, _WITHIN_S + 5),
            Hop("search", self.search, _WITHIN_S + 5),
            Hop("an answer", self.answer, _GENERATE_S + 5),
        ]

    async def tools(self) -> Seen:
        """The tools are listed."""
        try:
            async with tools(self._laptop.bridge_url, self._laptop.token, _WITHIN_S) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
        except ToolsUnreachable as error:
            raise Fault(
                "mcp_off",
                "The gateway answers requests for models, but not for its search tools (/mcp).",
                "On the gateway host, `bawn doctor`; gateway and laptop should have the same version.",
            ) from error
        if _TOOL not in names:
            raise Fault(
                "search_off",
                f"The gateway has no tool {_TOOL}: its settings name no index.",
                "Name repositories in the fleet, or set index_dir in the gateway's settings; `bawn index add` and "
                "`bawn index run` fill it.",
            )
        return Seen(", ".join(names))

    async def search(self) -> Seen:
        """One search finds something."""
        try:
            async with tools(self._laptop.bridge_url, self._laptop.token, _WITHIN_S) as client:
                result = await client.call_tool(_TOOL, {"query": _QUERY, "limit": 1})
        except ToolsUnreachable as error:
            raise self._failed() from error
        if result.is_error:
            raise self._failed()
        found: Any = result.structured_content or {}
        if not found.get("chunks"):
            raise Fault(
                "index_empty",
                "The search index is empty, or holds nothing that this key may see.",
                "On the gateway host, `bawn index status`, then `bawn index add` and `bawn index run`; as a service, "
                "`sudo systemctl start bawn-indexer` and `journalctl -u bawn-indexer`.",
            )
        return Seen("finds code")

    async def answer(self) -> Seen:
        """One token comes back."""
        if not self._deep:
            return not_looked("--deep asks for one token")
        chosen = next((one.model for one in self._laptop.assistants if one.model), None) or self._gateway.models[0]
        body = {"model": chosen, "max_tokens": 1, "messages": [{"role": "user", "content": "Say yes."}]}
        headers = {"authorization": f"Bearer {self._laptop.token}"}
        try:
            async with httpx.AsyncClient(
                base_url=self._laptop.bridge_url, headers=headers, timeout=_GENERATE_S, trust_env=False
            ) as client:
                answer = await client.post("/v1/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise Fault(
                "generation_silent",
                f"{chosen} did not answer.",
                "On the GPU host, `bawn doctor` and `journalctl -u bawn-model-server`.",
            ) from error
        if answer.status_code != 200:
            told = Answer(answer.status_code, answer.content)
            raise Fault(
                told.code or "generation_failed",
                f"{chosen} did not answer: {told.message or f'status {told.status}.'}",
                "On the GPU host, `bawn doctor` and `journalctl -u bawn-model-server`.",
            )
        return Seen(f"{chosen} answers")

    @staticmethod
    def _failed() -> Fault:
        return Fault(
            "search_failed",
            "The search tool is there, but a search fails: the index is missing or can't be read.",
            "On the gateway host, `bawn index status` and `journalctl -u bawn-indexer`; `bawn index run` makes it.",
        )
