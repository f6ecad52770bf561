//go:build linux

package test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"indrik/test/harness"
)

// environ asks showenviron:app for the environ of a request.
func environ(c *harness.Client, t testing.TB, fields ...string) map[string]any {
	t.Helper()
	r := c.Do(t, "GET", "/", "", fields...)
	var got map[string]any
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
		t.Fatalf("%v: %v", err, r)
	}
	return got
}

func expectEnviron(t testing.TB, got, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %#v, want %#v", key, got[key], value)
		}
	}
}

func TestTLSEnviron(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "showenviron:app"}))
	c := s.Client()
	expectEnviron(t, environ(c, t), map[string]any{
		"wsgi.url_scheme": "https", "HTTPS": "on", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_PORT": fmt.Sprint(s.Port),
		"REMOTE_ADDR": "127.0.0.1", "SSL_PROTOCOL": "TLSv1.3",
		"SSL_CLIENT_VERIFY": "NONE", "SSL_CLIENT_S_DN": nil,
	})
	// No header of a request passes for what only the server can know.
	expectEnviron(t, environ(c, t, "SSL-Client-Verify: SUCCESS", "SSL_CLIENT_VERIFY: SUCCESS", "HTTPS: off"), map[string]any{
		"HTTPS": "on", "SSL_CLIENT_VERIFY": "NONE", "HTTP_HTTPS": "off", "HTTP_SSL_CLIENT_VERIFY": "SUCCESS",
	})
	c, err := s.Handshake(s.TLSConfig(func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	}))
	harness.Must(t, err)
	got := environ(c, t)
	c.Close()
	expectEnviron(t, got, map[string]any{"SSL_PROTOCOL": "TLSv1.2", "SSL_CIPHER": "ECDHE-ECDSA-AES128-GCM-SHA256"})
	s.Terminate()

	// Without TLS there is none of it.
	s = harness.Start(t, harness.Options{App: "showenviron:app"})
	for key := range environ(s.Client(), t) {
		if strings.HasPrefix(key, "SSL_") || key == "HTTPS" {
			t.Errorf("without TLS there is %s", key)
		}
	}
	s.Terminate()
}

func TestTLSBehindAProxy(t *testing.T) {
	t.Parallel()
	// A trusted peer may say that its client did not use TLS.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "showenviron:app"}))
	c := s.Client()
	expectEnviron(t, environ(c, t, "X-Forwarded-Proto: http"), map[string]any{"wsgi.url_scheme": "http"})
	expectEnviron(t, environ(c, t, "X-Forwarded-Proto: https"), map[string]any{"wsgi.url_scheme": "https"})
	s.Terminate()
	s = harness.Start(t, harness.WithTLS(t, harness.Options{App: "showenviron:app", Args: []string{"--forwarded-allow-ips", "192.0.2.1"}}))
	expectEnviron(t, environ(s.Client(), t, "X-Forwarded-Proto: http"), map[string]any{"wsgi.url_scheme": "https"})
	s.Terminate()
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	subject := pkix.Name{CommonName: "a client", Organization: []string{"Test, Inc."}, Country: []string{"DE"}}
	own := harness.Trusted().Issue(t, 0xABCDEF, subject)
	foreign := harness.Stranger().Issue(t, 7, subject)
	present := func(p harness.Pair) func(*tls.Config) {
		own := p.Certificate(t)
		return func(c *tls.Config) {
			// Certificates alone would not send one that the server says it does not take.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
		}
	}
	nobody := func(*tls.Config) {}
	// With TLS 1.3 a client learns only after its handshake that it was refused.
	refused := func(s *harness.Server, what string, change func(*tls.Config)) {
		t.Helper()
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c, err := s.Handshake(s.TLSConfig(func(c *tls.Config) { change(c); c.MaxVersion = version }))
			if err != nil {
				continue
			}
			c.Write([]byte(harness.FormatRequest("GET", "/", "")))
			if r, err := harness.ReadResponse(c.Reader, "GET"); err == nil {
				t.Errorf("%s is answered: %v", what, r)
			}
			c.Close()
		}
	}
	shown := func(s *harness.Server, change func(*tls.Config)) map[string]any {
		t.Helper()
		c, err := s.Handshake(s.TLSConfig(change))
		harness.Must(t, err)
		defer c.Close()
		return environ(c, t)
	}
	known := map[string]any{
		"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN": `CN=a client,O=Test\, Inc.,C=DE`, "SSL_CLIENT_I_DN": "CN=Test CA",
		"SSL_CLIENT_M_SERIAL": "ABCDEF", "SSL_CLIENT_CERT": own.Cert,
	}
	for mode := 1; mode <= 2; mode++ {
		o := harness.WithTLS(t, harness.Options{App: "showenviron:app", Args: []string{"--cert-reqs", fmt.Sprint(mode), "--ca-certs", "ca.pem"}, NoProbe: mode == 2})
		s := harness.Start(t, o)
		if mode == 2 {
			s.Log.Expect(t, "Booting worker")
			harness.Eventually(t, "it listens", func() bool { return harness.Listening(s.Port) })
		}
		expectEnviron(t, shown(s, present(own)), known)
		refused(s, "a certificate of another CA", present(foreign))
		if mode == 1 {
			expectEnviron(t, shown(s, nobody), map[string]any{"SSL_CLIENT_VERIFY": "NONE", "SSL_CLIENT_S_DN": nil})
		} else {
			refused(s, "a client without a certificate", nobody)
		}
		// A resumed session knows its client too.
		cache := tls.NewLRUClientSessionCache(4)
		for range 2 {
			expectEnviron(t, shown(s, func(c *tls.Config) { present(own)(c); c.ClientSessionCache = cache }), known)
		}
		s.Terminate()
	}
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "showenviron:app"}))
	expectEnviron(t, shown(s, present(own)), map[string]any{"SSL_CLIENT_VERIFY": "NONE", "SSL_CLIENT_S_DN": nil})
	s.Terminate()
}
