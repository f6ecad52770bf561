# For the load balancer by TCP, for nginx on this machine by a unix socket.
import os

bind = [
    "127.0.0.1:%s" % os.environ["FIRST_PORT"],
    "[::1]:%s" % os.environ["SECOND_PORT"],
    "unix:%s" % os.path.join(os.getcwd(), "web.sock"),
]
umask = 0o007
forwarded_allow_ips = "127.0.0.1,::1"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}


def when_ready(server):
    for address, listener in zip(server.address, server.LISTENERS):
        server.log.info("serving %s at %r", listener, address)
