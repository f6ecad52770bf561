"""Answers /N with N bytes: in one piece, or with ?pieces in many of unknown total length."""


def app(environ, start_response):
    size = int(environ["PATH_INFO"].strip("/") or 0)
    headers = [("Content-Type", "application/octet-stream")]
    if environ["QUERY_STRING"] != "pieces":
        headers.append(("Content-Length", str(size)))
        start_response("200 OK", headers)
        return [b"0123456789abcdef" * (size // 16)]
    start_response("200 OK", headers)
    return (b"0123456789abcdef" * 1024 for _ in range(size // 16384))
