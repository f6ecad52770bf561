"""gunicorn.sock. The sockets are the master's and the front's; these are types that code
mentions, and ssl_context, which code for other servers calls."""

from __future__ import annotations

import ssl

from .hints import SOCKETS, elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BaseSocket = elsewhere("gunicorn.sock.BaseSocket", SOCKETS)
TCPSocket = elsewhere("gunicorn.sock.TCPSocket", SOCKETS)
TCP6Socket = elsewhere("gunicorn.sock.TCP6Socket", SOCKETS)
UnixSocket = elsewhere("gunicorn.sock.UnixSocket", SOCKETS)
create_sockets = elsewhere("gunicorn.sock.create_sockets", SOCKETS)
close_sockets = elsewhere("gunicorn.sock.close_sockets", SOCKETS)
ssl_wrap_socket = elsewhere("gunicorn.sock.ssl_wrap_socket", SOCKETS)


def ssl_context(conf: Any) -> ssl.SSLContext:
    """Returns a context with the certificates that the settings name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=conf.ca_certs)
    context.load_cert_chain(certfile=conf.certfile, keyfile=conf.keyfile)
    context.verify_mode = ssl.VerifyMode(conf.cert_reqs)
    if conf.ciphers:
        context.set_ciphers(conf.ciphers)
    return context
