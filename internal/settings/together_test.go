package settings

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// What is odd about settings that are fine each by itself.
func TestTogetherWarns(t *testing.T) {
	noTLS := " (command line) has no effect: without certfile there is no TLS"
	h2 := "h2 in http_protocols (command line) has no effect: HTTP/2 needs TLS, see certfile, or http2_cleartext = 'prior-knowledge'"
	version := "ssl_version (command line) has no effect: it is deprecated and ignored, as in Gunicorn; tls_min_version is for that"
	for line, want := range map[string][]string{
		"": nil,
		"--cert-reqs 0 --tls-min-version 1.2 --http-protocols h1 --http2-cleartext off": nil,
		"--certfile a.pem --tls-min-version 1.3 --http-protocols h1,h2":                 nil,
		"--certfile a.pem --cert-reqs 1 --ca-certs c.pem":                               nil,
		"--http-protocols h2 --http2-cleartext prior-knowledge":                         nil,
		"--cert-reqs 2 --ca-certs c.pem":                                                {"cert_reqs" + noTLS, "ca_certs" + noTLS},
		"--tls-min-version 1.3":                                                         {"tls_min_version" + noTLS},
		"--ciphers ECDHE-RSA-AES128-GCM-SHA256":                                         {"ciphers" + noTLS},
		"--http-protocols h2,h1":                                                        {h2},
		"--http2-cleartext prior-knowledge":                                             {"http2_cleartext (command line) has no effect: h2 is not in http_protocols"},
		"--certfile a.pem --http2-cleartext prior-knowledge":                            {"http2_cleartext (command line) has no effect: h2 is not in http_protocols"},
		"--ssl-version TLSv1_2":                                                         {version},
		"--certfile a.pem --ciphers ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384": {
			"ciphers (command line): left out, for Go does not have them: DHE-RSA-AES128-GCM-SHA256, DHE-RSA-AES256-GCM-SHA384",
		},
	} {
		if got := config(t, line).Warnings(); !slices.Equal(got, want) {
			t.Errorf("%q:\n%s\nwant:\n%s", line, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	// ssl.PROTOCOL_TLS is what Gunicorn has as the default.
	if got := resolve(t, layers(t, nil, map[string]any{"ssl_version": 2.0})).Warnings(); got != nil {
		t.Errorf("%q", got)
	}
}

// A setting of one layer and a setting of another.
func TestTogetherAcrossLayers(t *testing.T) {
	file := map[string]any{"keyfile": "key.pem", "cert_reqs": 1.0}
	if _, err := Resolve("", layers(t, nil, file, "--certfile", "a.pem", "--ca-certs", "c.pem")...); err != nil {
		t.Error(err)
	}
	_, err := Resolve("", layers(t, nil, file, "--certfile", "a.pem", "--cert-reqs", "2")...)
	var wrong *ValueError
	if !errors.As(err, &wrong) || wrong.Setting != "cert_reqs" || wrong.Value != 2 || wrong.Source != "command line" || wrong.InFile {
		t.Errorf("%#v", err)
	}
	_, err = Resolve("", layers(t, nil, file)...)
	if !errors.As(err, &wrong) || wrong.Setting != "keyfile" || wrong.Value != "key.pem" || wrong.Source != "gunicorn.conf.py" || !wrong.InFile {
		t.Errorf("%#v", err)
	}
	// None in a file, or nothing, is no key.
	for _, none := range []any{nil, ""} {
		c := resolve(t, layers(t, nil, map[string]any{"keyfile": none, "certfile": none}))
		if c.TLS() || c.Warnings() != nil {
			t.Errorf("%#v: TLS %v, %q", none, c.TLS(), c.Warnings())
		}
	}
}

func TestContextHook(t *testing.T) {
	function := map[string]any{"python": "<function ssl_context at 0x7f>"}
	file := FromFile("x.py", map[string]any{"ssl_context": function}, map[string]int{"ssl_context": 4})
	flags := Layer{Name: "command line", Values: map[string]any{"certfile": "a.pem"}}
	c, err := Resolve("", file, flags, FromHook(map[string]any{
		"certfile": "b.pem", "keyfile": nil, "ca_certs": "ca.pem", "cert_reqs": 2.0, "tls_min_version": "1.3",
	}))
	if err != nil || !c.IsSet("ssl_context") || c.Warnings() != nil {
		t.Fatalf("%v, %q", err, c.Warnings())
	}
	if c.Certfile() != "b.pem" || c.CertReqs() != 2 || c.Source("certfile") != "the hook ssl_context" {
		t.Errorf("%s from %s", c.Certfile(), c.Source("certfile"))
	}
}
