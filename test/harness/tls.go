//go:build linux

package harness

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/url"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// An Authority issues certificates. Those of the tests come from one; the other
// one is a stranger.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  string
}

var (
	// Trusted is the authority of the certificates of servers and of their clients.
	Trusted = sync.OnceValue(func() *Authority { return newAuthority("Test CA") })
	// Stranger is an authority that nobody trusts.
	Stranger = sync.OnceValue(func() *Authority { return newAuthority("Strange CA") })
)

// A Pair is a certificate and its key, in PEM format.
type Pair struct{ Cert, Key string }

func newAuthority(name string) *Authority {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &Authority{cert, key, encodePEM("CERTIFICATE", der)}
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// Issue makes a certificate for 127.0.0.1 and localhost, or for a client.
func (a *Authority) Issue(t testing.TB, serial int64, subject pkix.Name) Pair {
	t.Helper()
	return a.IssueUntil(t, serial, subject, time.Now().Add(24*time.Hour))
}

// IssueUntil is Issue for a certificate that is valid for the two days before a time.
func (a *Authority) IssueUntil(t testing.TB, serial int64, subject pkix.Name, until time.Time) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: subject,
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames:    []string{"localhost"},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "test", Path: "/client"}},
	}, a.cert, &key.PublicKey, a.key)
	Must(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	Must(t, err)
	return Pair{encodePEM("CERTIFICATE", der), encodePEM("PRIVATE KEY", text)}
}

// Certificate is what a client presents.
func (p Pair) Certificate(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair([]byte(p.Cert), []byte(p.Key))
	Must(t, err)
	return c
}

func pool(a *Authority) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// WithTLS adds a certificate to the options of a server, and has its clients
// connect with TLS.
func WithTLS(t testing.TB, o Options) Options {
	t.Helper()
	p := Trusted().Issue(t, 1000, pkix.Name{CommonName: "localhost"})
	files := map[string]string{"cert.pem": p.Cert, "key.pem": p.Key, "ca.pem": Trusted().PEM}
	maps.Copy(files, o.Files)
	o.Files = files
	o.Args = append([]string{"--certfile", "cert.pem", "--keyfile", "key.pem"}, o.Args...)
	o.tls = &tls.Config{RootCAs: pool(Trusted()), ServerName: "localhost"}
	return o
}

// HandshakeTLS makes the handshake of a client.
func HandshakeTLS(c *Client, config *tls.Config) (*Client, error) {
	tc := tls.Client(c.Conn, config)
	if err := tc.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return &Client{tc, bufio.NewReader(tc)}, nil
}

// Curl runs the program of that name, if there is one.
func (s *Server) Curl(args ...string) string {
	s.T.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		s.T.Skip("there is no curl")
	}
	cmd := exec.Command(path, append([]string{"--silent", "--show-error", "--max-time", fmt.Sprint(Patience.Seconds()), "--cacert", s.Path("ca.pem")}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.T.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}
