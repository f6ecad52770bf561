# TLS without a proxy in front, nothing older than 1.2.
import os
import ssl

certfile = os.environ.get("TLS_CERT", "cert.pem")
keyfile = os.environ.get("TLS_KEY", "key.pem")
cert_reqs = ssl.CERT_NONE
ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
do_handshake_on_connect = True


def ssl_context(conf, default_ssl_context_factory):
    context = default_ssl_context_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
