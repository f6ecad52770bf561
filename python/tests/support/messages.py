"""Messages between the front and the workers, read as strictly as the front reads them."""

from __future__ import annotations

import hashlib
import marshal
import socket
import struct
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

Message = Tuple[Any, ...]
Environ = Dict[str, Any]

LIMIT = 60  # seconds that a test waits for anything


def send(sock: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    ancillary = []
    if fds:
        rights = struct.pack("%di" % len(fds), *fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
    sock.sendmsg([data], ancillary)


def receive(sock: socket.socket) -> Tuple[bytes, List[int]]:
    """Returns a message and its descriptors; b"" at the end."""
    data, ancillary, _, _ = sock.recvmsg(256 << 10, socket.CMSG_SPACE(8))
    fds: List[int] = []
    for _, _, rights in ancillary:
        fds.extend(struct.unpack("%di" % (len(rights) // 4), rights))
    return data, fds


def pair() -> Tuple[socket.socket, socket.socket]:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    a.settimeout(LIMIT)
    return a, b


def strict(data: bytes) -> Message:
    """Reads a message as the front does: the few types that it accepts."""
    value, rest = read_value(data)
    assert not rest, "bytes behind the message"
    assert type(value) is tuple
    return with_id(value)


def strict_all(data: bytes) -> List[Message]:
    """Reads what may be several messages in one."""
    messages = []
    while data:
        value, data = read_value(data)
        assert type(value) is tuple
        messages.append(with_id(value))
    return messages


def read_value(b: bytes) -> Tuple[Any, bytes]:
    kind, b = b[:1], b[1:]
    if kind == b"N":
        return None, b
    if kind == b"i":
        return struct.unpack("<i", b[:4])[0], b[4:]
    if kind == b"l":
        n, b = struct.unpack("<i", b[:4])[0], b[4:]
        digits = struct.unpack("<%dH" % abs(n), b[: 2 * abs(n)])
        value = sum(digit << 15 * i for i, digit in enumerate(digits))
        return (value if n >= 0 else -value), b[2 * abs(n) :]
    if kind in (b"(", b"["):
        n, b = struct.unpack("<I", b[:4])[0], b[4:]
        items = []
        for _ in range(n):
            item, b = read_value(b)
            items.append(item)
        return (tuple(items) if kind == b"(" else items), b
    if kind in (b"s", b"u", b"t"):
        n, b = struct.unpack("<I", b[:4])[0], b[4:]
        data, b = b[:n], b[n:]
        if kind == b"s":
            return data, b
        text = data.decode()
        text.encode("latin-1")
        return text, b
    raise AssertionError("type %r in a message to the front" % kind)


def claim(id: int) -> bytes:
    """Returns the claim of a request: its token, and its id."""
    return hashlib.sha256(b"%d" % id).digest()[:8] + id.to_bytes(8, sys.byteorder)


def with_id(message: Message) -> Message:
    """Returns a message that names its request by the id, if it does by the claim."""
    if type(message[1]) is not bytes:
        return message
    id = int.from_bytes(message[1][8:], sys.byteorder)
    assert message[1] == claim(id), message
    return (*message[:1], id, *message[2:])


OWN = ("REQUEST_METHOD", "RAW_URI", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "CONTENT_LENGTH")


def parts(environ: Optional[Environ]) -> Tuple[Any, ...]:
    """Returns the parts in which the front sends an environ, None for one that is
    in a file."""
    if environ is None:
        return (None,) * 8
    rest = {key: value for key, value in environ.items() if key not in OWN}
    own = [environ.get(key) for key in OWN]
    if own[2] == own[1]:
        own[2] = None
    return (marshal.dumps(rest, 2), *own)
