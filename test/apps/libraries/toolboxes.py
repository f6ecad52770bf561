"""A server and a client of the Model Context Protocol."""

import contextlib


def make():
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("toolbox")

    @server.tool()
    def add(a: int, b: int) -> int:
        return a + b

    return server.streamable_http_app(transport_security=None)


async def use(url):
    """Calls a tool some times, in sessions of their own."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    for n in range(3):
        async with contextlib.AsyncExitStack() as stack:
            read, write, *_ = await stack.enter_async_context(streamable_http_client(url + "/mcp"))
            session = await stack.enter_async_context(ClientSession(read, write))
            result = await session.initialize()
            print(result.server_info.name if hasattr(result, "server_info") else result.serverInfo.name)
            print([tool.name for tool in (await session.list_tools()).tools])
            for m in range(4):
                answer = await session.call_tool("add", {"a": n, "b": m})
                print(answer.content[0].text)
