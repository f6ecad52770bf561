//go:build linux

package test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"net/url"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// An authority issues certificates. Those of the tests come from one; the other
// one is a stranger.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

var (
	trusted  = sync.OnceValue(func() *authority { return newAuthority("Test CA") })
	stranger = sync.OnceValue(func() *authority { return newAuthority("Strange CA") })
)

// A pair is a certificate and its key, in PEM format.
type pair struct{ cert, key string }

func newAuthority(name string) *authority {
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
	return &authority{cert, key, encodePEM("CERTIFICATE", der)}
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue makes a certificate for 127.0.0.1 and localhost, or for a client.
func (a *authority) issue(t testing.TB, serial int64, subject pkix.Name) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames:    []string{"localhost"},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "test", Path: "/client"}},
	}, a.cert, &key.PublicKey, a.key)
	must(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pair{encodePEM("CERTIFICATE", der), encodePEM("PRIVATE KEY", text)}
}

// certificate is what a client presents.
func (p pair) certificate(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair([]byte(p.cert), []byte(p.key))
	must(t, err)
	return c
}

func pool(a *authority) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// withTLS adds a certificate to the options of a server, and has its clients
// connect with TLS.
func withTLS(t testing.TB, o options) options {
	t.Helper()
	p := trusted().issue(t, 1000, pkix.Name{CommonName: "localhost"})
	files := map[string]string{"cert.pem": p.cert, "key.pem": p.key, "ca.pem": trusted().pem}
	maps.Copy(files, o.files)
	o.files = files
	o.args = append([]string{"--certfile", "cert.pem", "--keyfile", "key.pem"}, o.args...)
	o.tls = &tls.Config{RootCAs: pool(trusted()), ServerName: "localhost"}
	return o
}

// secure makes the handshake of a client.
func secure(c *client, config *tls.Config) (*client, error) {
	tc := tls.Client(c.Conn, config)
	if err := tc.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return &client{tc, bufio.NewReader(tc)}, nil
}

// handshake connects with another configuration than the server's clients have.
func (s *server) handshake(config *tls.Config) (*client, error) {
	c, err := s.connectPlain()
	if err != nil {
		return nil, err
	}
	return secure(c, config)
}

// config copies the configuration of the clients of a server, with changes.
func (s *server) config(change func(*tls.Config)) *tls.Config {
	c := s.o.tls.Clone()
	change(c)
	return c
}

// curl runs the program of that name, if there is one.
func (s *server) curl(args ...string) string {
	s.t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		s.t.Skip("there is no curl")
	}
	cmd := exec.Command(path, append([]string{"--silent", "--show-error", "--max-time", "20", "--cacert", s.path("ca.pem")}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}
