//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"

	"indrik/test/harness"
)

func TestForwardedAllowIPs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ips, env, scheme string
		host             string
	}{
		{ips: "", scheme: "https"}, // the default
		{ips: "127.0.0.1", scheme: "https"},
		{ips: "*", scheme: "https"},
		{ips: "192.0.2.1,127.0.0.0/8", scheme: "https"},
		{ips: "192.0.2.1, 127.0.0.1", scheme: "https"},
		{ips: "192.0.2.1", scheme: "http"},
		{ips: "128.0.0.0/8,::1", scheme: "http"},
		{ips: "::1", scheme: "https", host: "::1"},
		{ips: "::/64", scheme: "https", host: "::1"},
		{ips: "127.0.0.1", scheme: "http", host: "::1"},
		{env: "192.0.2.1", scheme: "http"},
		{env: "127.0.0.1", scheme: "https"},
		{env: "192.0.2.1", ips: "127.0.0.1", scheme: "https"},
	} {
		t.Run(fmt.Sprintf("%s %s %s", test.ips, test.env, test.host), func(t *testing.T) {
			o := harness.Options{App: "showenviron:app"}
			if test.host != "" {
				bind, _ := onPort(t, test.host)
				o.Bind = []string{bind}
			}
			if test.ips != "" {
				o.Args = []string{"--forwarded-allow-ips", test.ips}
			}
			if test.env != "" {
				o.Env = []string{"FORWARDED_ALLOW_IPS=" + test.env}
			}
			s := harness.Start(t, o)
			c := s.Client()
			variablesOf(t, c.Do(t, "GET", "/", "", "X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.9")).expect(t, variables{
				"wsgi.url_scheme": test.scheme, "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_FOR": "192.0.2.9",
			})
			s.Terminate()
		})
	}
	// Nobody on TCP is trusted.
	s := harness.Start(t, harness.Options{App: "showenviron:app", Conf: "forwarded_allow_ips = ''\n"})
	variablesOf(t, s.Client().Do(t, "GET", "/", "", "X-Forwarded-Proto: https")).expect(t, variables{"wsgi.url_scheme": "http"})
	s.Terminate()
}

func TestSecureSchemeHeaders(t *testing.T) {
	t.Parallel()
	const refused = ""
	tests := map[string]string{
		"X-Nothing: x":                                          "http",
		"X-Forwarded-Proto: https":                              "https",
		"x-forwarded-proto: https":                              "https",
		"X-Forwarded-Proto: HTTPS":                              "http",
		"X-Forwarded-Proto: http":                               "http",
		"X-Forwarded-Proto: https,http":                         "http",
		"X-Forwarded-Protocol: ssl":                             "https",
		"X-Forwarded-Protocol: https":                           "http",
		"X-Forwarded-Ssl: on":                                   "https",
		"X-Forwarded-Ssl: off":                                  "http",
		"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on":       "https",
		"X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: off":       "http",
		"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https":  "https",
		"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off":      refused,
		"X-Forwarded-Proto: http\r\nX-Forwarded-Protocol: ssl":  refused,
		"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http":   refused,
		"X-Forwarded-Ssl: on\r\nA: b\r\nX-Forwarded-Proto: wss": "https",
		"X-Forwarded-Ssl: on\r\nA: b\r\nX-Forwarded-Proto: ws":  refused,
	}
	s := harness.Start(t, harness.Options{App: "showenviron:app"})
	untrusting := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--forwarded-allow-ips", "192.0.2.1"}})
	for fields, scheme := range tests {
		c := s.Client()
		r := c.Do(t, "GET", "/", "", strings.Split(fields, "\r\n")...)
		if scheme != refused {
			variablesOf(t, r).expect(t, variables{"wsgi.url_scheme": scheme})
		} else {
			if r.Status != 400 || !r.Closes() || !strings.Contains(r.Body, "Contradictory scheme headers") {
				t.Errorf("%q: %v", fields, r)
			}
			c.ExpectEOF(t)
		}
		variablesOf(t, untrusting.Client().Do(t, "GET", "/", "", strings.Split(fields, "\r\n")...)).expect(t, variables{"wsgi.url_scheme": "http"})
		if t.Failed() {
			t.Fatalf("%q", fields)
		}
	}
	s.Terminate()
	untrusting.Terminate()

	s = harness.Start(t, harness.Options{App: "showenviron:app", Conf: "secure_scheme_headers = {'X-SCHEME': 'tls'}\n"})
	variablesOf(t, s.Client().Do(t, "GET", "/", "", "X-Scheme: tls", "X-Forwarded-Proto: http")).expect(t, variables{"wsgi.url_scheme": "https"})
	variablesOf(t, s.Client().Do(t, "GET", "/", "", "X-Forwarded-Proto: https")).expect(t, variables{"wsgi.url_scheme": "http"})
	s.Terminate()
}

func TestSchemeUnderTLS(t *testing.T) {
	t.Parallel()
	// A trusted proxy that reencrypts knows what the client used.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "showenviron:app"}))
	for field, scheme := range map[string]string{
		"X-Nothing: x": "https", "X-Forwarded-Proto: https": "https", "X-Forwarded-Proto: http": "http", "X-Forwarded-Ssl: off": "http",
	} {
		variablesOf(t, s.Client().Do(t, "GET", "/", "", field)).expect(t, variables{"wsgi.url_scheme": scheme})
	}
	s.Terminate()
	s = harness.Start(t, harness.WithTLS(t, harness.Options{App: "showenviron:app", Args: []string{"--forwarded-allow-ips", "192.0.2.1"}}))
	variablesOf(t, s.Client().Do(t, "GET", "/", "", "X-Forwarded-Proto: http")).expect(t, variables{"wsgi.url_scheme": "https"})
	s.Terminate()
}

func TestTrustIsInThePeerBehindProxyProtocol(t *testing.T) {
	t.Parallel()
	// A proxy that sends the PROXY header and sets header fields is trusted, as
	// in Gunicorn, by its own address: that of its client is never listed.
	s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto"}})
	for _, h := range proxyHeaders() {
		c := s.Client()
		c.Send(t, h.text)
		for range 2 {
			variablesOf(t, c.Do(t, "GET", "/app/x", "", "X-Forwarded-Proto: https", "SCRIPT_NAME: /app")).expect(t, variables{
				"wsgi.url_scheme": "https", "SCRIPT_NAME": "/app", "PATH_INFO": "/x",
			})
		}
	}
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto", "--forwarded-allow-ips", "192.0.2.1"}})
	c := s.Client()
	c.Send(t, proxyHeaders()[0].text) // of 192.0.2.1
	variablesOf(t, c.Do(t, "GET", "/", "", "X-Forwarded-Proto: https")).expect(t, variables{"wsgi.url_scheme": "http"})
	s.Terminate()
}

func TestScriptName(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app"})
	c := s.Client()
	for target, want := range map[string]variables{
		"/app/x?y":   {"SCRIPT_NAME": "/app", "PATH_INFO": "/x", "QUERY_STRING": "y", "RAW_URI": "/app/x?y", "HTTP_SCRIPT_NAME": "/app"},
		"/app":       {"SCRIPT_NAME": "/app", "PATH_INFO": ""},
		"/app/":      {"SCRIPT_NAME": "/app", "PATH_INFO": "/"},
		"/app/a%20b": {"SCRIPT_NAME": "/app", "PATH_INFO": "/a b"},
	} {
		variablesOf(t, c.Do(t, "GET", target, "", "SCRIPT_NAME: /app")).expect(t, want)
	}
	variablesOf(t, c.Do(t, "GET", "/app/x", "")).expect(t, variables{"SCRIPT_NAME": "", "PATH_INFO": "/app/x"})
	if r := c.Do(t, "GET", "/other", "", "SCRIPT_NAME: /app"); r.Status != 500 || !r.Closes() {
		t.Errorf("a path outside of SCRIPT_NAME: %v", r)
	}
	c.ExpectEOF(t)
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--forwarded-allow-ips", "192.0.2.1"}})
	variablesOf(t, s.Client().Do(t, "GET", "/app/x", "", "SCRIPT_NAME: /app")).expect(t, variables{"SCRIPT_NAME": "", "PATH_INFO": "/app/x", "HTTP_SCRIPT_NAME": nil})
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "showenviron:app", Env: []string{"SCRIPT_NAME=/env"}, NoProbe: true})
	harness.Eventually(t, "the server listens", func() bool { return harness.Listening(s.Port) })
	variablesOf(t, s.Client().Do(t, "GET", "/env/x", "")).expect(t, variables{"SCRIPT_NAME": "/env", "PATH_INFO": "/x"})
	variablesOf(t, s.Client().Do(t, "GET", "/app/x", "", "SCRIPT_NAME: /app")).expect(t, variables{"SCRIPT_NAME": "/app", "PATH_INFO": "/x"})
	s.Terminate()
}
