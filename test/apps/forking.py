"""Apps that fork in each request, and whose child comes back to the server."""

import os
import sys
import time


def fork(how):
    pid = os.fork()
    if pid:
        return pid
    if how == "exit":
        sys.exit(0)
    if how == "raise":
        raise ValueError("in the child")
    if how == "stay":
        time.sleep(100)
    return 0


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    pid = fork(environ["QUERY_STRING"])
    if pid and environ["QUERY_STRING"] != "stay":
        os.waitpid(pid, 0)
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Pid", str(pid))])
    return [body] if pid else [b"the child's" * 10000]


async def coroutine(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    how = scope["query_string"].decode()
    pid = fork(how)
    if pid and how != "stay":
        os.waitpid(pid, 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-pid", str(pid).encode())]})
    await send({"type": "http.response.body", "body": body if pid else b"the child's" * 10000})
