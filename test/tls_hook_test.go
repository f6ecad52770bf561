//go:build linux

package test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// What the hook ssl_context asks for is what clients meet.
func TestTLSHook(t *testing.T) {
	t.Parallel()
	visitor := harness.Trusted().Issue(t, 5, pkix.Name{CommonName: "client"})
	other := harness.Trusted().Issue(t, 77, pkix.Name{CommonName: "other"})
	for name, conf := range map[string]string{
		// As Gunicorn's documentation has it.
		"factory": `
def ssl_context(conf, default_ssl_context_factory):
    import ssl
    context = default_ssl_context_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations("ca.pem")
    return context
`,
		"own": `
import ssl
def ssl_context(conf, default_ssl_context_factory):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile="other.pem", keyfile="other.key")
    context.load_verify_locations(cafile="ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TLSv1_2
    return context
`,
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t, harness.WithTLS(t, harness.Options{Conf: conf, NoProbe: true, Files: map[string]string{"other.pem": other.Cert, "other.key": other.Key}}))
			s.Log.Expect(t, `Listening at: https://`)
			with := func(c *tls.Config) { c.Certificates = []tls.Certificate{visitor.Certificate(t)} }
			var c *harness.Client
			harness.Eventually(t, "a client with a certificate is served", func() bool {
				var err error
				c, err = s.Handshake(s.TLSConfig(with))
				return err == nil
			})
			if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
				t.Errorf("%v", r)
			}
			serial := c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
			if own := name == "own"; own != (serial == 77) {
				t.Errorf("the certificate has number %d", serial)
			}
			if c, err := s.Handshake(s.TLSConfig(func(c *tls.Config) { with(c); c.MaxVersion = tls.VersionTLS12 })); err == nil {
				c.Close()
				t.Error("TLS 1.2 was accepted")
			}
			// In TLS 1.3 the server's refusal comes after the client's handshake.
			if c, err := s.Handshake(s.TLSConfig(func(*tls.Config) {})); err == nil {
				c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				if _, err := c.Reader.ReadByte(); err == nil {
					t.Error("a client without a certificate was served")
				}
				c.Close()
			}
			// A reload calls it again; one that is refused changes nothing.
			s.WriteFile("gunicorn.conf.py", conf+"\n_first = ssl_context\ndef ssl_context(conf, factory):\n    context = _first(conf, factory)\n    context.sni_callback = lambda *a: None\n    return context\n")
			s.Signal(syscall.SIGHUP)
			s.Log.Expect(t, `Reload failed, nothing was changed`)
			s.Log.Expect(t, `Error: ssl_context: a callback for server names cannot be carried over`)
			if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
				t.Errorf("%v", r)
			}
			s.Terminate()
		})
	}
}

func TestTLSHookIsRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"return None": "it has to return an ssl.SSLContext, not None",
		"return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)":                                  "it loads no certificate by load_cert_chain",
		"c = factory(); c.load_cert_chain('cert.pem', 'key.pem', password='x'); return c": "a key with a password cannot be used: store it without one",
		"c = factory(); c.load_verify_locations(capath='.'); return c":                    "of load_verify_locations only cafile can be used, not capath or cadata",
		"c = factory(); c.maximum_version = ssl.TLSVersion.TLSv1_2; return c":             "TLS 1.3 cannot be switched off (maximum_version, OP_NO_TLSv1_3)",
		"c = factory(); c.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF; return c":            "revocation lists (verify_flags) cannot be carried over",
		"c = factory(); c.set_alpn_protocols(['h2']); return c":                           "set_alpn_protocols(['h2']) is not what http_protocols says: set that",
		"c = factory(); c.load_cert_chain('other.pem'); return c":                         "[Errno 2] No such file or directory",
		"1/0": "division by zero",
	} {
		s := harness.Launch(t, harness.WithTLS(t, harness.Options{Conf: "import ssl\ndef ssl_context(conf, factory):\n    " + body + "\n"}))
		s.ExpectExit(1)
		if !strings.Contains(s.Log.String(), "Error: ssl_context: "+want) {
			t.Errorf("%s: the log lacks %q:\n%s", body, want, s.Log)
		}
	}
}

// Without certfile there is no TLS, and the hook is not called.
func TestTLSHookWithoutTLS(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: "def ssl_context(conf, factory):\n    raise RuntimeError('called')\n"})
	s.Terminate()
	if s.Log.Count("called") != 0 {
		t.Error("it was called")
	}
}
