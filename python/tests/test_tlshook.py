"""The hook ssl_context: what it makes of a context of Python, as settings of the front."""

import os
import ssl
import unittest
from unittest import mock

from indrik import tlshook
from indrik.tlshook import TLSHookError

CERT, KEY, CAS = "/srv/cert.pem", "/srv/key.pem", "/srv/cas.pem"


class TLSHook(unittest.TestCase):
    def setUp(self):
        # The files are the front's to read.
        for name in "load_cert_chain", "load_verify_locations", "load_default_certs":
            patched = mock.patch.object(ssl.SSLContext, name, lambda self, *args, **kwargs: None, create=True)
            patched.start()
            self.addCleanup(patched.stop)
        self.settings = {"ca_certs": None, "keyfile": KEY, "certfile": CERT, "cert_reqs": 0, "ciphers": None}

    def evaluate(self, hook):
        cfg = mock.Mock(certfile=CERT, get=self.settings.get, ciphers=self.settings["ciphers"])
        return tlshook.evaluate(hook, cfg)

    def made(self, change=lambda context: None):
        """Returns the settings of a context that is changed after it has its certificate."""

        def hook(cfg, default):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERT, KEY)
            change(context)
            return context

        return self.evaluate(hook)

    def refused(self, text, change):
        with self.assertRaisesRegex(TLSHookError, "^ssl_context: " + text):
            self.made(change)


class Settings(TLSHook):
    def test_certificate(self):
        values = self.made()
        self.assertEqual((values["certfile"], values["keyfile"], values["cert_reqs"]), (CERT, KEY, 0))
        self.assertNotIn("ca_certs", values)
        self.assertNotIn("ciphers", values)

    def test_default(self):
        values = self.evaluate(lambda cfg, default: default())
        self.assertEqual((values["certfile"], values["keyfile"]), (CERT, KEY))

    def test_default_with_what_is_set(self):
        self.settings.update(ca_certs=CAS, cert_reqs=2, ciphers="ECDHE+AESGCM")
        values = self.evaluate(lambda cfg, default: default())
        self.assertEqual((values["ca_certs"], values["cert_reqs"], values["ciphers"]), (CAS, 2, "ECDHE+AESGCM"))

    def test_paths(self):
        def hook(cfg, default):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(b"both.pem")
            context.load_verify_locations(cafile="cas.pem")
            return context

        values = self.evaluate(hook)
        here = os.getcwd()
        self.assertEqual((values["certfile"], values["keyfile"]), (os.path.join(here, "both.pem"), None))
        self.assertEqual(values["ca_certs"], os.path.join(here, "cas.pem"))

    def test_clients_certificates(self):
        def change(context):
            context.load_verify_locations(CAS)
            context.verify_mode = ssl.CERT_OPTIONAL

        values = self.made(change)
        self.assertEqual((values["ca_certs"], values["cert_reqs"]), (CAS, 1))

    def test_ciphers(self):
        self.assertEqual(self.made(lambda c: c.set_ciphers("ECDHE+AESGCM"))["ciphers"], "ECDHE+AESGCM")

    def test_versions(self):
        for lowest, want in (ssl.TLSVersion.TLSv1_2, "1.2"), (ssl.TLSVersion.TLSv1_3, "1.3"):
            values = self.made(lambda c, lowest=lowest: setattr(c, "minimum_version", lowest))
            self.assertEqual(values["tls_min_version"], want)

    def test_protocols_as_they_are_set(self):
        self.made(lambda c: c.set_alpn_protocols(["http/1.1"]))
        self.settings["http_protocols"] = ["h2", "h1"]
        self.made(lambda c: c.set_alpn_protocols(["h2", "http/1.1"]))

    def test_default_cas_without_clients_certificates(self):
        self.assertNotIn("default_certs", self.made(lambda c: c.load_default_certs()))

    def test_nothing_is_watched_afterwards(self):
        before = {name: vars(ssl.SSLContext).get(name) for name in tlshook._Watch.NAMES}
        self.made()
        with self.assertRaises(TLSHookError):
            self.evaluate(lambda cfg, default: 1 / 0)
        self.assertEqual({name: vars(ssl.SSLContext).get(name) for name in tlshook._Watch.NAMES}, before)


class Refused(TLSHook):
    """What cannot be carried over is an error: the context may be all that keeps strangers away."""

    def test_hook_that_raises(self):
        def hook(cfg, default):
            raise KeyError("cert")

        with self.assertRaisesRegex(TLSHookError, "^ssl_context: 'cert'$") as caught:
            self.evaluate(hook)
        self.assertIn("in hook", caught.exception.traceback)
        with self.assertRaisesRegex(TLSHookError, "^ssl_context: AssertionError$"):
            self.evaluate(mock.Mock(side_effect=AssertionError))

    def test_no_context(self):
        for value in None, "context", ssl.SSLContext:
            with self.assertRaisesRegex(TLSHookError, "it has to return an ssl.SSLContext, not "):
                self.evaluate(lambda cfg, default, value=value: value)

    def test_no_certificate(self):
        with self.assertRaisesRegex(TLSHookError, "it loads no certificate by load_cert_chain"):
            self.evaluate(lambda cfg, default: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def test_certificates(self):
        self.refused(
            "there can be only one certificate, not both %s and /other.pem" % CERT,
            lambda c: c.load_cert_chain("/other.pem"),
        )
        self.refused("a key with a password cannot be used", lambda c: c.load_cert_chain(CERT, KEY, "secret"))
        self.refused("a key with a password cannot be used", lambda c: c.load_cert_chain(CERT, password=bytes))

    def test_cas(self):
        def two(context):
            context.load_verify_locations(CAS)
            context.load_verify_locations("/other.pem")

        self.refused("there can be only one file of CAs, not both %s and /other.pem" % CAS, two)
        for kwargs in {"capath": "/srv"}, {"cadata": "-----BEGIN"}:
            self.refused(
                "of load_verify_locations only cafile can be used",
                lambda c, kwargs=kwargs: c.load_verify_locations(**kwargs),
            )

        def of_the_system(context):
            context.load_default_certs()
            context.verify_mode = ssl.CERT_REQUIRED

        self.refused("the CAs of the system cannot be carried over", of_the_system)

    def test_protocols(self):
        self.refused(
            r"set_alpn_protocols\(\['h2'\]\) is not what http_protocols says", lambda c: c.set_alpn_protocols(["h2"])
        )

    def test_curve(self):
        self.refused("set_ecdh_curve cannot be carried over", lambda c: c.set_ecdh_curve("prime256v1"))

    def test_attributes(self):
        def names(context):
            context.sni_callback = lambda *args: None

        def crl(context):
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

        def post_handshake(context):
            context.post_handshake_auth = True

        def keys(context):
            context.keylog_filename = os.devnull

        def no_tls13(context):
            context.maximum_version = ssl.TLSVersion.TLSv1_2

        def option(context):
            context.options |= ssl.OP_NO_TLSv1_3

        for change, text in (
            (names, "a callback for server names cannot be carried over"),
            (crl, r"revocation lists \(verify_flags\) cannot be carried over"),
            (post_handshake, "post_handshake_auth cannot be carried over"),
            (keys, "keylog_filename cannot be carried over"),
            (no_tls13, "TLS 1.3 cannot be switched off"),
            (option, "TLS 1.3 cannot be switched off"),
        ):
            with self.subTest(change.__name__):
                self.refused(text, change)
