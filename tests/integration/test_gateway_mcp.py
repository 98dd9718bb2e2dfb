"""The search tools over real HTTP, with the SDK's client in both eras of the protocol."""

import json
from pathlib import Path
from typing import Any

import httpx
import mcp_types
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import LATEST_MODERN_VERSION

from bawn.contracts.search import INDEXES
from support.code_index import make_index
from support.gateway import RunningGateway, captured_logs, running_gateway

FILES = {
    "src/retry.py": (["retry_with_backoff"], "def retry_with_backoff(call):\n    return call()\n"),
    "src/chunks.py": (["split_chunks"], "def split_chunks(text):\n    return text.split()\n"),
}
NOBODY = "http://127.0.0.1:1"
FOR_CODE = ["search_code", "find_symbol", "grep", "read_file", "repo_map", "list_indexes"]


@pytest.fixture
def index_dir(tmp_path: Path) -> str:
    make_index(tmp_path, "demo", FILES)
    return str(tmp_path)


def _http(gateway: RunningGateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers={"authorization": f"Bearer {gateway.key}"}, trust_env=False, timeout=20)


@pytest.mark.parametrize("mode", ["legacy", "auto", LATEST_MODERN_VERSION])
async def test_clients_of_each_era_search_and_read(index_dir: str, mode: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        transport = streamable_http_client(f"{gateway.url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == FOR_CODE
            found = await client.call_tool("search_code", {"query": "retry backoff", "limit": 1})
            assert not found.is_error
            (text,) = found.content
            assert isinstance(text, mcp_types.TextContent)
            assert "demo src/retry.py:1-2" in text.text
            assert "def retry_with_backoff" in text.text
            (chunk,) = found.structured_content["chunks"]
            assert (chunk["path"], chunk["start_line"]) == ("src/retry.py", 1)

            read = await client.call_tool("read_file", {"repo": "demo", "path": "src/chunks.py", "start_line": 2})
            assert read.structured_content["text"].strip() == "return text.split()"
            assert "src/chunks.py:2-2" in read.content[0].text


async def _said(client: Client, tool: str, /, **arguments: Any) -> str:
    """What a call that works gives the model to read."""
    result = await client.call_tool(tool, arguments)
    (text,) = result.content
    assert isinstance(text, mcp_types.TextContent)
    assert not result.is_error, text.text
    return text.text


async def test_each_tool_answers_with_path_and_line(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            assert (await _said(client, "find_symbol", name="split_chunks")).startswith("demo src/chunks.py:1-2")
            assert await _said(client, "grep", pattern=r"return \w+\(") == "demo src/retry.py:2: return call()\n"
            assert await _said(client, "grep", pattern="nowhere") == "Nothing found.\n"
            outlined = await _said(client, "repo_map", repo="demo")
            assert outlined == (
                "src/chunks.py\n  1: def split_chunks(text):\nsrc/retry.py\n  1: def retry_with_backoff(call):\n"
            )
            assert await _said(client, "list_indexes") == "code (python)\n  demo: 2 files, 2 chunks\n"


async def test_documents_and_libraries_have_tools_of_their_own_once_they_are_there(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            make_index(Path(index_dir), "handbook", {"vpn.md": (["VPN"], "# VPN\nAsk for a key.\n")}, "docs")
            make_index(Path(index_dir), "httpx", {"client.md": (["Client"], "# Client\nA pool.\n")}, "libraries")
            assert {tool.name for tool in (await client.list_tools()).tools} == {
                *FOR_CODE,
                "search_docs",
                "search_libraries",
            }
            assert "handbook vpn.md:1-2" in await _said(client, "search_docs", query="key for the VPN")
            assert "httpx client.md:1-2" in await _said(client, "search_libraries", query="pool")
            # An index has its own repositories alone, and a file is read out of the one that has it.
            assert await _said(client, "search_code", query="VPN") == "Nothing found."
            assert "Ask for a key." in await _said(client, "read_file", repo="handbook", path="vpn.md")
            assert "handbook vpn.md:2" in await _said(client, "grep", pattern="Ask for", repo="handbook")


def _sizes(result: mcp_types.CallToolResult) -> tuple[int, int]:
    """Characters of the text and of the structured content."""
    (text,) = result.content
    assert isinstance(text, mcp_types.TextContent)
    assert not result.is_error, text.text
    return len(text.text), len(json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":")))


async def test_an_answer_keeps_within_the_tokens_that_were_asked_for_in_both_of_its_forms(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            text = 'def thing():\n    "\\tsays"\n' + "    pass\n" * 400 + "    return thing()\n"
            for index in INDEXES:
                files = {f"many/{n}.py": (["thing"], text) for n in range(20)}
                make_index(Path(index_dir), f"large-{index}", files, index)
            calls: dict[str, dict[str, Any]] = {
                "search_code": {"query": "thing"},
                "search_docs": {"query": "thing"},
                "search_libraries": {"query": "thing"},
                "find_symbol": {"name": "thing"},
                "grep": {"pattern": "pass"},
                "read_file": {"repo": "large-code", "path": "many/1.py"},
                "repo_map": {"repo": "large-code"},
            }
            listed = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
            assert {name for name, properties in listed.items() if "max_tokens" in properties} == set(calls)
            for name, arguments in calls.items():
                for tokens in (100, 700):
                    result = await client.call_tool(name, {"max_tokens": tokens, **arguments})
                    said, structured = _sizes(result)
                    assert 100 < said <= 4 * tokens, name
                    assert 200 < structured <= 4 * tokens, name
                refused = await client.call_tool(name, {"max_tokens": 10**6, **arguments})
                assert refused.is_error
                assert "max_tokens" in refused.content[0].text


async def test_a_file_is_read_on_from_where_an_answer_stops(index_dir: str):
    text = "".join(f"line {n}\n" for n in range(1, 301))
    make_index(Path(index_dir), "long", {"a.txt": ([], text)})
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            read: list[str] = []
            while len(read) < 300:
                asked = {"repo": "long", "path": "a.txt", "start_line": len(read) + 1, "max_tokens": 300}
                found = (await client.call_tool("read_file", asked)).structured_content
                read += found["text"].split("\n")
                assert (found["end_line"], found["total_lines"]) == (len(read), 300)
            assert read == text.removesuffix("\n").split("\n")


async def test_a_listing_of_many_repositories_is_bounded_and_says_how_many_there_are(index_dir: str):
    for n in range(30):
        make_index(Path(index_dir), f"team-{n:02}/{'long' * 250}", {"a.py": ([], "x = 1\n")})
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            result = await client.call_tool("list_indexes", {})
            assert max(_sizes(result)) <= 24_000
            (code,) = result.structured_content["indexes"]
            assert code["more"] == 31 - len(code["repos"]) > 0
            assert f"  … {code['more']} more\n" in result.content[0].text


async def test_a_call_that_fails_says_why_and_shows_no_innards(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            for name, arguments, reason in (
                ("search_code", {"query": "x", "repo": "typo"}, "Indexed: demo"),
                ("search_code", {"query": "x", "limit": "many"}, "limit"),
                ("search_code", {"query": "x", "pat": "y"}, "pat"),
                ("search_code", {}, "query"),
                ("read_file", {"repo": "demo", "path": "../../etc/passwd"}, "path"),
                ("read_file", {"repo": "typo", "path": "a.py"}, "Indexed: demo"),
                ("find_symbol", {"name": "two names"}, "name"),
                ("find_symbol", {"name": "x", "limit": 0}, "limit"),
                ("grep", {"pattern": "("}, "pattern"),
                ("grep", {"pattern": "x", "path": "../../etc"}, "path"),
                ("repo_map", {"repo": "typo"}, "Indexed: demo"),
                ("search_docs", {"query": "x"}, "no search index"),
                ("list_indexes", {"all": True}, "all"),
                ("delete_all", {}, "There is no such tool"),
            ):
                failed = await client.call_tool(name, arguments)
                assert failed.is_error, name
                assert reason in failed.content[0].text
                assert "Traceback" not in failed.content[0].text


async def test_without_an_index_there_are_no_tools_and_a_call_says_so():
    async with running_gateway(NOBODY) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            assert (await client.list_tools()).tools == []
            failed = await client.call_tool("search_code", {"query": "x"})
            assert failed.is_error
            assert "No index is configured" in failed.content[0].text


async def test_an_index_that_is_made_later_is_found(tmp_path: Path):
    async with running_gateway(NOBODY, index_dir=str(tmp_path)) as gateway, _http(gateway) as http:
        async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
            failed = await client.call_tool("search_code", {"query": "retry"})
            assert failed.is_error
            assert "bawn index" in failed.content[0].text
            make_index(tmp_path, "demo", FILES)
            assert not (await client.call_tool("search_code", {"query": "retry"})).is_error


def _list_request(gateway: RunningGateway, **headers: str) -> httpx.Request:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    return gateway.client.build_request(
        "POST", "/mcp", json=body, headers={"accept": "application/json", "content-type": "application/json", **headers}
    )


async def test_the_tools_want_a_key(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway:
        request = _list_request(gateway)
        assert (await gateway.client.send(request)).status_code == 200
        del request.headers["authorization"]
        refused = await gateway.client.send(request)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"


async def test_any_host_name_of_the_gateway_will_do(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway:
        answer = await gateway.client.send(_list_request(gateway, host="gateway.team.ts.net:8700"))
        assert answer.status_code == 200


async def test_a_client_that_wants_json_or_both_gets_json_and_get_is_refused(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway:
        for accept in ("application/json", "application/json, text/event-stream"):
            answer = await gateway.client.send(_list_request(gateway, accept=accept))
            assert answer.headers["content-type"].startswith("application/json")
            assert len(answer.json()["result"]["tools"]) == len(FOR_CODE)
        assert (await gateway.client.get("/mcp", headers={"accept": "text/event-stream"})).status_code == 405


async def test_tool_descriptions_are_short(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway:
        tools = (await gateway.client.send(_list_request(gateway))).content
        assert len(tools) < 1900  # some 450 tokens, in every request of every assistant


async def test_nothing_of_a_search_is_logged_and_the_tool_is_counted(index_dir: str):
    async with running_gateway(NOBODY, index_dir=index_dir) as gateway, _http(gateway) as http:
        with captured_logs() as logs:
            async with Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client:
                await client.call_tool("search_code", {"query": "CANARY-q retry", "path": "CANARY-glob"})
                await client.call_tool("search_code", {"query": "x", "repo": "CANARY-repo"})
                await client.call_tool("search_code", {"query": ["CANARY-type"]})
                await client.call_tool("read_file", {"repo": "demo", "path": "CANARY/path.py"})
                await client.call_tool("grep", {"pattern": "CANARY-pattern("})
                await client.call_tool("find_symbol", {"name": "CANARY_name"})
                await client.call_tool("repo_map", {"repo": "CANARY-map"})
                await client.call_tool("CANARY-tool", {"CANARY-argument": 1})
            await gateway.client.post("/mcp", content=b'{"CANARY', headers={"content-type": "application/json"})
        written = logs.getvalue()
        assert '"surface":"mcp"' in written
        assert '"tool":"search_code"' in written
        assert '"error":"not_found"' in written
        assert "CANARY" not in written
        metrics = (await gateway.client.get("/metrics")).text
        assert 'bawn_gateway_tool_calls_total{tool="search_code"} 3.0' in metrics
        assert "CANARY" not in metrics
