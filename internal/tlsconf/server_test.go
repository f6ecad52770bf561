package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"net"
	"strings"
	"testing"

	"indrik/internal/wire"
)

// shake makes a connection between a server and a client, on which the server
// says "hello"; it returns what each then knows.
func shake(t *testing.T, s *Server, client *tls.Config) (srv, cli tls.ConnectionState, err error) {
	t.Helper()
	// Sockets, since they have buffers: on a net.Pipe two sides that both send
	// an alert would wait for each other.
	a, b := connected(t)
	defer a.Close()
	defer b.Close()
	tc := tls.Client(b, client)
	heard := make(chan error, 1)
	go func() {
		// Reading takes the session ticket too, which TLS 1.3 sends late.
		_, err := io.ReadFull(tc, make([]byte, 5))
		if err != nil {
			b.Close()
		}
		heard <- err
	}()
	ts := tls.Server(a, s.Config())
	if _, serr := ts.Write([]byte("hello")); serr != nil {
		a.Close()
		<-heard
		return srv, cli, serr
	}
	if err := <-heard; err != nil {
		return srv, cli, err
	}
	return ts.ConnectionState(), tc.ConnectionState(), nil
}

// connected returns the two ends of a connection.
func connected(t *testing.T) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if b, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if a, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// serve makes a server with secrets.
func serve(t *testing.T, conf wire.TLS, secrets *Secrets, protocols ...string) *Server {
	t.Helper()
	s := NewServer(&conf, protocols)
	if err := s.Update(secrets); err != nil {
		t.Fatal(err)
	}
	return s
}

var tls12 = wire.TLS{MinVersion: tls.VersionTLS12}

func TestVersions(t *testing.T) {
	ca := newAuthority(t)
	secrets := ca.issue(t, rsaKey, "localhost")
	for _, c := range []struct {
		min, max uint16
		want     string
	}{
		{tls.VersionTLS12, tls.VersionTLS13, "TLSv1.3"},
		{tls.VersionTLS12, tls.VersionTLS12, "TLSv1.2"},
		{tls.VersionTLS12, tls.VersionTLS11, ""},
		{tls.VersionTLS13, tls.VersionTLS13, "TLSv1.3"},
		{tls.VersionTLS13, tls.VersionTLS12, ""},
	} {
		s := serve(t, wire.TLS{MinVersion: c.min}, secrets)
		state, _, err := shake(t, s, ca.client(func(cc *tls.Config) { cc.MinVersion, cc.MaxVersion = tls.VersionTLS10, c.max }))
		if c.want == "" {
			if err == nil {
				t.Errorf("from %#x: a client with %#x was let in", c.min, c.max)
			}
			continue
		}
		if err != nil {
			t.Errorf("%#x and %#x: %v", c.min, c.max, err)
		} else if got := find2(Vars(&state), "SSL_PROTOCOL"); got != c.want {
			t.Errorf("%#x and %#x: %s, want %s", c.min, c.max, got, c.want)
		}
	}
}

func TestCiphersInUse(t *testing.T) {
	ca := newAuthority(t)
	for _, c := range []struct{ spec, want string }{
		{"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
		{"CHACHA20", "ECDHE-RSA-CHACHA20-POLY1305"},
		{"ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-SHA"},
		{"AES256-SHA", "AES256-SHA"},
	} {
		ids, _, err := Ciphers(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		s := serve(t, wire.TLS{MinVersion: tls.VersionTLS12, Ciphers: ids}, ca.issue(t, rsaKey, "localhost"))
		state, _, err := shake(t, s, ca.client(func(cc *tls.Config) {
			cc.MaxVersion = tls.VersionTLS12
			for _, s := range suites {
				cc.CipherSuites = append(cc.CipherSuites, s.id)
			}
		}))
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
		} else if got := find2(Vars(&state), "SSL_CIPHER"); got != c.want {
			t.Errorf("%s: %s", c.spec, got)
		}
		if _, _, err := shake(t, s, ca.client(func(cc *tls.Config) {
			cc.MaxVersion = tls.VersionTLS12
			cc.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}
		})); err == nil {
			t.Errorf("%s: a client with another cipher was let in", c.spec)
		}
	}
}

func TestProtocols(t *testing.T) {
	ca := newAuthority(t)
	secrets := ca.issue(t, ecKey, "localhost")
	h1, h2, both := []string{"http/1.1"}, []string{"h2"}, []string{"h2", "http/1.1"}
	for _, c := range []struct {
		server, client []string
		want           string
	}{
		{both, both, "h2"},
		{both, []string{"http/1.1", "h2"}, "h2"},
		{both, h1, "http/1.1"},
		{both, nil, ""},
		{h1, both, "http/1.1"},
		{h1, []string{"http/1.0"}, "http/1.0"},
		{h1, nil, ""},
		{h1, h2, "error"},
		{h2, both, "h2"},
		{h2, h1, "error"},
		{h2, nil, "error"},
	} {
		s := serve(t, tls12, secrets, c.server...)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			state, _, err := shake(t, s, ca.client(func(cc *tls.Config) { cc.NextProtos, cc.MaxVersion = c.client, version }))
			got := state.NegotiatedProtocol
			if err != nil {
				got = "error"
			}
			if got != c.want {
				t.Errorf("%q with %q: %q (%v), want %q", c.server, c.client, got, err, c.want)
			}
		}
	}
	if got := strings.Join(Protocols(&wire.FrontConfig{HTTP1: true, HTTP2: true}), " "); got != "h2 http/1.1" {
		t.Errorf("protocols %s", got)
	}
}

func TestHTTP2WantsCiphers(t *testing.T) {
	secrets := newAuthority(t).issue(t, ecKey, "localhost")
	for spec, ok := range map[string]bool{"HIGH": true, "SHA1": false, "SHA1:CHACHA20": true, "AES128-GCM-SHA256": false, "ECDHE-RSA-AES128-SHA256": false} {
		ids, _, err := Ciphers(spec)
		if err != nil {
			t.Fatal(err)
		}
		conf := &wire.TLS{MinVersion: tls.VersionTLS12, Ciphers: ids}
		if err := NewServer(conf, []string{"h2", "http/1.1"}).Update(secrets); (err == nil) != ok {
			t.Errorf("%s with HTTP/2: %v", spec, err)
		}
		if err := NewServer(conf, []string{"http/1.1"}).Update(secrets); err != nil {
			t.Errorf("%s without HTTP/2: %v", spec, err)
		}
		conf.MinVersion = tls.VersionTLS13
		if err := NewServer(conf, []string{"h2"}).Update(secrets); err != nil {
			t.Errorf("%s with TLS 1.3: %v", spec, err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	secrets := ca.issue(t, ecKey, "localhost")
	secrets.CA = ca.pem
	good, bad := ca.issue(t, ecKey, "alice").pair(t), stranger.issue(t, ecKey, "mallory").pair(t)
	for _, c := range []struct {
		reqs int
		cert *tls.Certificate
		want string // SSL_CLIENT_VERIFY, "" if the client is refused
	}{
		{0, nil, "NONE"}, {0, &good, "NONE"}, {0, &bad, "NONE"},
		{1, nil, "NONE"}, {1, &good, "SUCCESS"}, {1, &bad, ""},
		{2, nil, ""}, {2, &good, "SUCCESS"}, {2, &bad, ""},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			s := serve(t, wire.TLS{MinVersion: tls.VersionTLS12, CertReqs: c.reqs}, secrets)
			state, _, err := shake(t, s, ca.client(func(cc *tls.Config) {
				cc.MaxVersion = version
				if c.cert != nil { // also if the server would not take it
					cc.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert, nil }
				}
			}))
			got := ""
			if err == nil {
				got = find2(Vars(&state), "SSL_CLIENT_VERIFY")
			}
			if got != c.want {
				t.Errorf("cert_reqs %d, %s: %q (%v), want %q", c.reqs, tls.VersionName(version), got, err, c.want)
			}
		}
	}
	for reqs := range 4 {
		secrets := *secrets
		secrets.CA = nil
		// Without ca_certs everybody that the system trusts would be let in.
		err := NewServer(&wire.TLS{MinVersion: tls.VersionTLS12, CertReqs: reqs}, nil).Update(&secrets)
		if (err == nil) != (reqs == 0) {
			t.Errorf("cert_reqs %d without ca_certs: %v", reqs, err)
		}
	}
}

func TestUpdate(t *testing.T) {
	ca := newAuthority(t)
	s := NewServer(&tls12, nil)
	if _, _, err := shake(t, s, ca.client(nil)); err == nil {
		t.Error("a server without a certificate let a client in")
	}
	if err := s.Update(&Secrets{}); err == nil {
		t.Error("no certificate is good enough")
	}
	first, second := ca.issue(t, ecKey, "localhost"), ca.issue(t, rsaKey, "localhost")
	serves := func(want *Secrets) {
		t.Helper()
		_, state, err := shake(t, s, ca.client(nil))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(state.PeerCertificates[0].Raw, want.pair(t).Certificate[0]) {
			t.Error("another certificate is served")
		}
	}
	must(t, s.Update(first))
	serves(first)

	// A connection that is there, and a configuration that was taken, live on.
	config := s.Config()
	a, b := connected(t)
	defer a.Close()
	defer b.Close()
	cli, srv := tls.Client(b, ca.client(nil)), tls.Server(a, config)
	go io.Copy(srv, srv)
	echo := func() {
		t.Helper()
		if _, err := cli.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(cli, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	echo()
	must(t, s.Update(second))
	echo()
	serves(second)

	mixed := &Secrets{Cert: first.Cert, Key: second.Key}
	if err := s.Update(mixed); err == nil {
		t.Error("a key of another certificate was taken")
	}
	serves(second)
}

// Sessions are resumed by every server that has the key, with whatever
// certificate, and by no other.
func TestResumption(t *testing.T) {
	ca := newAuthority(t)
	keys := [][32]byte{{1}, {2}, {3}, {4}}
	with := func(s *Secrets, tickets ...[32]byte) *Secrets {
		c := *s
		c.CA, c.Tickets = ca.pem, tickets
		return &c
	}
	cert, renewed := ca.issue(t, ecKey, "localhost"), ca.issue(t, ecKey, "localhost")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cc := ca.client(func(cc *tls.Config) {
			cc.MaxVersion = version
			cc.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		})
		visit := func(s *Server, want bool, when string) {
			t.Helper()
			state, _, err := shake(t, s, cc)
			if err != nil || state.DidResume != want {
				t.Errorf("%s, %s: resumed is %t (%v), want %t", tls.VersionName(version), when, state.DidResume, err, want)
			}
		}
		a, b := serve(t, tls12, with(cert, keys[0])), serve(t, tls12, with(renewed, keys[0]))
		visit(a, false, "first")
		visit(a, true, "again")
		visit(b, true, "another server, another certificate")
		must(t, b.Update(with(renewed, keys[1], keys[0])))
		visit(b, true, "keys rotated")
		must(t, b.Update(with(cert, keys[2], keys[1])))
		visit(b, true, "rotated again: the ticket was renewed")
		visit(serve(t, tls12, with(cert, keys[3])), false, "a stranger")
		// Servers without keys of the master's have some of their own each.
		visit(serve(t, tls12, with(cert)), false, "no keys")
	}
}

// A session without a client certificate opens no door where one is required.
func TestResumptionAndClientCertificates(t *testing.T) {
	ca := newAuthority(t)
	secrets := ca.issue(t, ecKey, "localhost")
	secrets.CA, secrets.Tickets = ca.pem, [][32]byte{{1}}
	open := serve(t, tls12, secrets)
	closed := serve(t, wire.TLS{MinVersion: tls.VersionTLS12, CertReqs: 2}, secrets)
	other := *secrets
	other.CA = newAuthority(t).pem
	moved := serve(t, wire.TLS{MinVersion: tls.VersionTLS12, CertReqs: 2}, &other)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := func(cert ...tls.Certificate) *tls.Config {
			return ca.client(func(cc *tls.Config) {
				cc.MaxVersion, cc.Certificates = version, cert
				cc.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			})
		}
		nobody := client()
		if _, _, err := shake(t, open, nobody); err != nil {
			t.Fatal(err)
		}
		if _, _, err := shake(t, closed, nobody); err == nil {
			t.Error("a session opened the door")
		}
		alice := client(ca.issue(t, ecKey, "alice").pair(t))
		for i := range 2 {
			state, _, err := shake(t, closed, alice)
			if err != nil || state.DidResume != (i > 0) || find2(Vars(&state), "SSL_CLIENT_S_DN") != "CN=alice" {
				t.Errorf("visit %d: resumed %t, %v, %v", i, state.DidResume, err, Vars(&state))
			}
		}
		if _, _, err := shake(t, moved, alice); err == nil {
			t.Error("a session of an authority that is not trusted any more opened the door")
		}
	}
}

func TestVars(t *testing.T) {
	ca := newAuthority(t)
	secrets := ca.issue(t, ecKey, "localhost")
	secrets.CA = ca.pem
	s := serve(t, wire.TLS{MinVersion: tls.VersionTLS12, CertReqs: 1}, secrets)
	alice := ca.issue(t, ecKey, "alice").pair(t)
	leaf := alice.Leaf
	state, _, err := shake(t, s, ca.client(func(cc *tls.Config) { cc.Certificates = []tls.Certificate{alice} }))
	must(t, err)
	want := [][2]string{
		{"HTTPS", "on"}, {"SSL_PROTOCOL", "TLSv1.3"}, {"SSL_CIPHER", tls.CipherSuiteName(state.CipherSuite)},
		{"SSL_CLIENT_VERIFY", "SUCCESS"}, {"SSL_CLIENT_S_DN", "CN=alice"}, {"SSL_CLIENT_I_DN", "CN=Test CA,O=Tests"},
		{"SSL_CLIENT_M_SERIAL", "0ABC"},
		{"SSL_CLIENT_V_START", leaf.NotBefore.Format("Jan _2 15:04:05 2006") + " GMT"},
		{"SSL_CLIENT_V_END", leaf.NotAfter.Format("Jan _2 15:04:05 2006") + " GMT"},
	}
	got := Vars(&state)
	for i, w := range want {
		if got[i] != w {
			t.Errorf("%q, want %q", got[i], w)
		}
	}
	if last := got[len(got)-1]; last[0] != "SSL_CLIENT_CERT" || !strings.HasPrefix(last[1], "-----BEGIN CERTIFICATE-----\n") || len(got) != len(want)+1 {
		t.Errorf("%q", got)
	}
}

func TestDistinguishedName(t *testing.T) {
	for want, name := range map[string]pkix.Name{
		"":                          {},
		"CN=a,OU=c+OU=d,O=b,C=NO":   {CommonName: "a", Organization: []string{"b"}, OrganizationalUnit: []string{"c", "d"}, Country: []string{"NO"}},
		`CN=x\,\+\"\\\<\>\;\=y`:     {CommonName: `x,+"\<>;=y`},
		`CN=\ a b\ `:                {CommonName: " a b "},
		`CN=\#1#`:                   {CommonName: "#1#"},
		`CN=J\C3\B8rn\0A`:           {CommonName: "Jørn\n"},
		"UID=u,DC=com,1.2.3.4=five": {ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{1, 2, 3, 4}, Value: "five"}, {Type: []int{0, 9, 2342, 19200300, 100, 1, 25}, Value: "com"}, {Type: []int{0, 9, 2342, 19200300, 100, 1, 1}, Value: "u"}}},
		"1.2.3=#020107":             {ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{1, 2, 3}, Value: 7}}},
	} {
		raw, err := asn1.Marshal(name.ToRDNSequence())
		must(t, err)
		if got := distinguishedName(raw); got != want {
			t.Errorf("%v: %q, want %q", name, got, want)
		}
	}
	if got := distinguishedName([]byte{1, 2}); got != "#0102" {
		t.Errorf("%q", got)
	}
}
