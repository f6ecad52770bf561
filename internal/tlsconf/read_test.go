package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"indrik/internal/wire"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// find2 returns the value of a variable.
func find2(vars [][2]string, name string) string {
	for _, v := range vars {
		if v[0] == name {
			return v[1]
		}
	}
	return ""
}

// An authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

func ecKey(t *testing.T) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

var oneRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// rsaKey is the same key each time, since it takes long to make.
func rsaKey(t *testing.T) crypto.Signer {
	key, err := oneRSA()
	must(t, err)
	return key
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: ecKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA", Organization: []string{"Tests"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	a.pem = encode("CERTIFICATE", der)
	return a
}

func (a *authority) der(t *testing.T, key crypto.Signer, name pkix.Name, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc), Subject: name, DNSNames: []string{name.CommonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if name.CommonName == "" || strings.ContainsAny(name.CommonName, " ,#\n") {
		template.DNSNames = nil
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(t, err)
	return der
}

// issue makes a certificate.
func (a *authority) issue(t *testing.T, newKey func(*testing.T) crypto.Signer, name string) *Secrets {
	t.Helper()
	key := newKey(t)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return &Secrets{Cert: encode("CERTIFICATE", a.der(t, key, pkix.Name{CommonName: name}, nil)), Key: encode("PRIVATE KEY", text)}
}

// client is a client that trusts a.
func (a *authority) client(change func(*tls.Config)) *tls.Config {
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	c.RootCAs.AddCert(a.cert)
	if change != nil {
		change(c)
	}
	return c
}

func (s *Secrets) pair(t *testing.T) tls.Certificate {
	t.Helper()
	p, err := tls.X509KeyPair(s.Cert, s.Key)
	must(t, err)
	return p
}

func TestRead(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	write := func(name string, parts ...[]byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, bytes.Join(parts, nil), 0o600))
		return path
	}
	s := ca.issue(t, ecKey, "localhost")
	ec := ca.issue(t, ecKey, "localhost")
	ecKeyDER, err := x509.ParsePKCS8PrivateKey(decode(ec.Key))
	must(t, err)
	sec1, err := x509.MarshalECPrivateKey(ecKeyDER.(*ecdsa.PrivateKey))
	must(t, err)
	one, err := oneRSA()
	must(t, err)
	pkcs1 := encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(one))
	rsaCert := ca.issue(t, rsaKey, "localhost").Cert

	mark := []byte(byteOrderMark)
	cert, key := write("cert.pem", []byte("a remark\n"), s.Cert), write("key.pem", s.Key)
	for name, c := range map[string]struct {
		files [3]string
		want  Secrets
	}{
		"two files":      {[3]string{cert, key}, *s},
		"one file":       {[3]string{write("both.pem", s.Key, s.Cert)}, *s},
		"one file twice": {[3]string{write("both2.pem", s.Cert, s.Key), filepath.Join(dir, "both2.pem")}, *s},
		"with chain":     {[3]string{write("chain.pem", s.Cert, ca.pem), key}, Secrets{Cert: append(bytes.Clone(s.Cert), ca.pem...), Key: s.Key}},
		"authorities":    {[3]string{cert, key, write("ca.pem", ca.pem, s.Cert)}, Secrets{Cert: s.Cert, Key: s.Key, CA: append(bytes.Clone(ca.pem), s.Cert...)}},
		"marked": {[3]string{write("bom.pem", mark, s.Cert, mark, ca.pem), write("bomkey.pem", mark, s.Key), write("bomca.pem", mark, ca.pem)},
			Secrets{Cert: append(bytes.Clone(s.Cert), ca.pem...), Key: s.Key, CA: ca.pem}},
		"marked in one":           {[3]string{write("bomboth.pem", mark, s.Cert, mark, s.Key)}, *s},
		"marked, remark in front": {[3]string{write("bomremark.pem", mark, []byte("a remark\n"), s.Cert), key}, *s},
		"EC key": {[3]string{write("ec.pem", ec.Cert), write("eckey.pem", encode("EC PARAMETERS", []byte{6, 8, 42}), encode("EC PRIVATE KEY", sec1))},
			Secrets{Cert: ec.Cert, Key: encode("EC PRIVATE KEY", sec1)}},
		"RSA key": {[3]string{write("rsa.pem", rsaCert), write("rsakey.pem", pkcs1)}, Secrets{Cert: rsaCert, Key: pkcs1}},
	} {
		got, warnings, err := Read(c.files[0], c.files[1], c.files[2])
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %q", name, err, warnings)
		} else if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: other secrets than those in the files", name)
		}
	}

	encrypted := encode("ENCRYPTED PRIVATE KEY", []byte("x"))
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")})
	fifo := filepath.Join(dir, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	for name, c := range map[string]struct {
		files [3]string
		want  string
	}{
		"no certfile":       {[3]string{"", key}, "keyfile is set, but certfile is not"},
		"missing certfile":  {[3]string{"/no/cert.pem", key}, `certfile "/no/cert.pem" does not exist`},
		"missing keyfile":   {[3]string{cert, "/no/key.pem"}, `keyfile "/no/key.pem" does not exist`},
		"missing ca_certs":  {[3]string{cert, key, "/no/ca.pem"}, `ca_certs "/no/ca.pem" does not exist`},
		"directory":         {[3]string{dir, key}, `certfile "` + dir + `" is not a regular file`},
		"FIFO":              {[3]string{cert, fifo}, `keyfile "` + fifo + `" is not a regular file`},
		"another key":       {[3]string{cert, write("other.pem", ec.Key)}, "private key does not match public key"},
		"no certificate":    {[3]string{key, key}, "holds no certificate in PEM form"},
		"no key":            {[3]string{cert, cert}, `keyfile "` + cert + `" holds no private key in PEM form`},
		"no key in either":  {[3]string{cert}, `certfile "` + cert + `" holds no private key in PEM form`},
		"empty":             {[3]string{write("empty.pem"), key}, "holds no certificate in PEM form"},
		"encrypted":         {[3]string{cert, write("enc.pem", encrypted)}, "holds an encrypted private key"},
		"encrypted, legacy": {[3]string{cert, write("enc2.pem", legacy)}, "holds an encrypted private key"},
		"broken cert":       {[3]string{write("bad.pem", encode("CERTIFICATE", []byte("no"))), key}, `bad.pem" with keyfile`},
		"UTF-16":            {[3]string{write("utf16.pem", []byte("\xff\xfe-\x00-\x00")), key}, `utf16.pem" is text in UTF-16`},
		"UTF-16 key":        {[3]string{cert, write("utf16key.pem", []byte("\xfe\xff\x00-\x00-"))}, `utf16key.pem" is text in UTF-16`},
		"broken chain":      {[3]string{write("badchain.pem", s.Cert, encode("CERTIFICATE", []byte("no"))), key}, `certificate 2: x509`},
		"broken key":        {[3]string{cert, write("badkey.pem", encode("PRIVATE KEY", []byte("no")))}, "failed to parse private key"},
		"empty ca_certs":    {[3]string{cert, key, key}, `ca_certs "` + key + `" holds no certificate in PEM form`},
		"broken ca_certs":   {[3]string{cert, key, write("badca.pem", ca.pem, encode("CERTIFICATE", []byte("no")))}, `certificate 2: x509`},
	} {
		if _, _, err := Read(c.files[0], c.files[1], c.files[2]); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if os.Geteuid() != 0 {
		must(t, os.Chmod(key, 0))
		if _, _, err := Read(cert, key, ""); err == nil || !strings.Contains(err.Error(), `key.pem" cannot be read: permission denied`) {
			t.Errorf("unreadable: %v", err)
		}
	}
}

func decode(data []byte) []byte {
	b, _ := pem.Decode(data)
	return b.Bytes
}

func TestWarnings(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	for want, change := range map[string]func(*x509.Certificate){
		"of localhost in .* expired on 2020-05-04 03:02:01 UTC":          func(c *x509.Certificate) { c.NotAfter = time.Date(2020, 5, 4, 3, 2, 1, 0, time.UTC) },
		"of localhost in .* is not valid before 2222-05-04 03:02:01 UTC": func(c *x509.Certificate) { c.NotBefore = time.Date(2222, 5, 4, 3, 2, 1, 0, time.UTC) },
	} {
		key := ecKey(t)
		text, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		path := filepath.Join(dir, "cert.pem")
		must(t, os.WriteFile(path, append(encode("CERTIFICATE", ca.der(t, key, pkix.Name{CommonName: "localhost"}, change)), encode("PRIVATE KEY", text)...), 0o600))
		_, warnings, err := Read(path, "", "")
		want = "The certificate " + strings.Replace(want, ".*", path, 1)
		if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0], want) {
			t.Errorf("%v %q, want %q", err, warnings, want)
		}
	}
}

func TestFile(t *testing.T) {
	s := newAuthority(t).issue(t, ecKey, "localhost")
	s.CA, s.Tickets = []byte("authorities"), [][32]byte{{1, 2, 255}, {3}}
	f, err := s.File()
	must(t, err)
	defer f.Close()
	for range 2 { // the offset is nobody's
		got, err := Load(f)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if !strings.HasPrefix(s.String(), "localhost, valid until 20") {
		t.Errorf("%s", s)
	}
	half, err := wire.ConstantFile("indrik-test", []byte(`{"cert":"`))
	must(t, err)
	defer half.Close()
	if _, err := Load(half); err == nil {
		t.Error("half of the secrets were taken")
	}
	if o := *s; !s.Same(&o) {
		t.Error("not the same as itself")
	} else if o.CA = nil; s.Same(&o) {
		t.Error("the same with other authorities")
	}
}
