"""The hook ssl_context: what it asks for, as settings of TLS.

TLS is the front's, and the front is Go: an ssl.SSLContext cannot serve there. So
the hook is called once for each configuration, its calls are watched, and what it
made is read off the context: the certificate, the CAs, the ciphers, the least
version, and whether clients need a certificate. What cannot be carried over is an
error, never left out in silence: a context may be all that keeps strangers away.
"""

from __future__ import annotations

import ssl

from .log import app_traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from .config import Config

# The name under which a context keeps the calls of its methods.
_CALLS = "_indrik_calls"


class TLSHookError(Exception):
    """The context cannot be carried over."""

    def __init__(self, text: str, traceback: str = "") -> None:
        super().__init__("ssl_context: " + text)
        self.traceback = traceback


class _Watch:
    """Notes the calls of some methods of every context that is made meanwhile."""

    NAMES = (
        "load_cert_chain",
        "load_verify_locations",
        "load_default_certs",
        "set_ciphers",
        "set_alpn_protocols",
        "load_dh_params",
        "set_ecdh_curve",
    )

    def __init__(self) -> None:
        # Whether SSLContext itself defines a method, and that method.
        self.originals: Dict[str, Tuple[bool, Any]] = {}

    def __enter__(self) -> None:
        for name in self.NAMES:
            setattr(ssl.SSLContext, name, self._watched(name, getattr(ssl.SSLContext, name)))

    def _watched(self, name: str, original: Any) -> Callable[..., Any]:
        self.originals[name] = (name in vars(ssl.SSLContext), original)

        def method(context: ssl.SSLContext, *args: Any, **kwargs: Any) -> Any:
            result = original(context, *args, **kwargs)
            vars(context).setdefault(_CALLS, []).append((name, args, kwargs))
            return result

        return method

    def __exit__(self, *exception: object) -> None:
        for name, (own, original) in self.originals.items():
            if own:
                setattr(ssl.SSLContext, name, original)
            else:
                delattr(ssl.SSLContext, name)


def evaluate(hook: Callable[..., Any], cfg: Config) -> Dict[str, Any]:
    """Calls the hook, and returns settings by name. Raises TLSHookError."""
    with _Watch():
        try:
            context = hook(cfg, lambda: _default(cfg))
        except Exception as e:
            raise TLSHookError(str(e) or type(e).__name__, app_traceback(e)) from None
    if not isinstance(context, ssl.SSLContext):
        raise TLSHookError("it has to return an ssl.SSLContext, not %r" % (context,))
    values = _from_calls(getattr(context, _CALLS, []), cfg)
    values.update(_from_attributes(context))
    if values.pop("default_certs", None) and values["cert_reqs"] and "ca_certs" not in values:
        raise TLSHookError("the CAs of the system cannot be carried over: name a file, see load_verify_locations")
    return values


def _default(cfg: Config) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=cfg.get("ca_certs"))
    context.load_cert_chain(certfile=cfg.certfile, keyfile=cfg.get("keyfile"))
    context.verify_mode = ssl.VerifyMode(cfg.get("cert_reqs") or 0)
    if cfg.get("ciphers"):
        context.set_ciphers(cfg.ciphers)
    return context


def _from_calls(calls: List[Any], cfg: Config) -> Dict[str, Any]:
    values: Dict[str, Any] = {}
    for name, args, kwargs in calls:
        if name == "load_cert_chain":
            cert, key, password = _arguments(args, kwargs, "certfile", "keyfile", "password")
            if password is not None:
                raise TLSHookError("a key with a password cannot be used: store it without one")
            if values.get("certfile", cert) != cert:
                raise TLSHookError("there can be only one certificate, not both %s and %s" % (values["certfile"], cert))
            values["certfile"], values["keyfile"] = _path(cert), _path(key)
        elif name == "load_verify_locations":
            file, directory, data = _arguments(args, kwargs, "cafile", "capath", "cadata")
            if directory is not None or data is not None:
                raise TLSHookError("of load_verify_locations only cafile can be used, not capath or cadata")
            if values.get("ca_certs", file) != file:
                raise TLSHookError("there can be only one file of CAs, not both %s and %s" % (values["ca_certs"], file))
            values["ca_certs"] = _path(file)
        elif name == "set_ciphers":
            values["ciphers"] = args[0] if args else kwargs.get("cipherlist")
        elif name == "set_alpn_protocols":
            asked = list(args[0] if args else kwargs.get("alpn_protocols"))
            names = {"h1": "http/1.1", "h2": "h2"}
            if sorted(asked) != sorted(names.get(p, p) for p in cfg.get("http_protocols") or ["h1"]):
                raise TLSHookError("set_alpn_protocols(%r) is not what http_protocols says: set that" % asked)
        elif name == "load_default_certs":
            values["default_certs"] = True
        elif name == "set_ecdh_curve":
            raise TLSHookError("set_ecdh_curve cannot be carried over: the curves are those of Go's crypto/tls")
        # load_dh_params: without effect, for no cipher suite uses them.
    if "certfile" not in values:
        raise TLSHookError("it loads no certificate by load_cert_chain")
    return values


def _from_attributes(context: ssl.SSLContext) -> Dict[str, Any]:
    values: Dict[str, Any] = {"cert_reqs": int(context.verify_mode)}
    if context.sni_callback is not None:
        raise TLSHookError("a callback for server names cannot be carried over: there is one certificate")
    crl = ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN
    if context.verify_flags & crl:
        raise TLSHookError("revocation lists (verify_flags) cannot be carried over")
    if getattr(context, "post_handshake_auth", False):
        raise TLSHookError("post_handshake_auth cannot be carried over")
    if getattr(context, "keylog_filename", None):
        raise TLSHookError("keylog_filename cannot be carried over")
    versions = ssl.TLSVersion
    if context.maximum_version not in (versions.MAXIMUM_SUPPORTED, versions.TLSv1_3) or (
        context.options & ssl.OP_NO_TLSv1_3
    ):
        raise TLSHookError("TLS 1.3 cannot be switched off (maximum_version, OP_NO_TLSv1_3)")
    lowest = context.minimum_version == versions.TLSv1_3 or context.options & ssl.OP_NO_TLSv1_2
    values["tls_min_version"] = "1.3" if lowest else "1.2"
    return values


def _arguments(args: Any, kwargs: Dict[str, Any], *names: str) -> List[Any]:
    return [args[i] if i < len(args) else kwargs.get(name) for i, name in enumerate(names)]


def _path(value: Any) -> Optional[str]:
    if value is None:
        return None
    import os

    return os.path.abspath(os.fsdecode(value))
