"""The MCP endpoint: the SDK's server behind our keys, stateless, for clients of every protocol revision."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Final

from litestar import Litestar, asgi
from litestar.datastructures import State
from litestar.types import Message, Receive, Scope, Send
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult

from bawn import __version__
from bawn.contracts.errors import MethodNotAllowed
from bawn.contracts.record import RequestRecord
from bawn.gateway.auth.gate import Gate
from bawn.gateway.auth.permissions import Permissions
from bawn.gateway.ledger import Ledger
from bawn.gateway.mcp.tools import Tools

_MAX_BODY_BYTES: Final = 1024 * 1024
_RECORD: Final = "bawn_record"
_PERMISSIONS: Final = "bawn_permissions"


class McpEndpoint:
    """Answers MCP requests with `Tools`; each POST stands alone, so that any gateway could answer the next one."""

    def __init__(self, tools: Tools, gate: Gate, ledger: Ledger) -> None:
        self._gate = gate
        self._ledger = ledger

        async def list_tools(context: Any, _params: Any) -> ListToolsResult:
            permissions: Permissions = context.request.scope[_PERMISSIONS]
            return ListToolsResult(tools=tools.listed(permissions))

        async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
            record: RequestRecord = context.request.scope[_RECORD]
            permissions: Permissions = context.request.scope[_PERMISSIONS]
            return await tools.call(params.name, params.arguments or {}, record, permissions)

        # The SDK's low-level server: the other one derives long schemas and logs what tools answer.
        server = Server("bawn", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)
        # Without security settings there is no check of Host and Origin, which is for servers without keys:
        # a web page that reaches this port has none.
        self._manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=_MAX_BODY_BYTES
        )

    @contextlib.asynccontextmanager
    async def running(self, _app: Litestar) -> AsyncGenerator[None]:
        """Serve while the block runs."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        entry = self._ledger.begin("mcp")
        record = entry.record

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            elif message["type"] == "http.response.body":
                record.bytes_out += len(message["body"])
            await send(message)

        try:
            permissions = await self._gate.admit(scope, record)
            self._ledger.admit()
            if scope["method"] != "POST":  # type: ignore[typeddict-item]
                # The protocol's answer of a server without sessions and without messages of its own.
                raise MethodNotAllowed("This MCP endpoint takes POST only.")
            # The SDK's own routing wants the path; `path` was cut by the mount.
            ours = {_RECORD: record, _PERMISSIONS: permissions}
            inner: Any = {**scope, "path": "/mcp", "raw_path": b"/mcp", **ours}
            await self._manager.handle_request(inner, receive, counted)  # type: ignore[arg-type]
        except BaseException as error:
            entry.fail(error)
            raise
        entry.end()


@asgi("/mcp", is_mount=True, copy_scope=True)
async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
    """Model Context Protocol, streamable HTTP."""
    state: State = scope["litestar_app"].state
    endpoint: McpEndpoint = state.mcp
    await endpoint(scope, receive, send)


ROUTES: Final[list[Any]] = [mcp]
