package tlsconf

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// shortKey is the length in bits below which an RSA key draws a warning.
const shortKey = 2048

// Read reads the files that the settings certfile, keyfile and ca_certs name, and
// checks that they can be used together. An empty keyfile means that certfile
// holds the key, too; an empty caCerts, that there are no client certificates.
// The warnings are for the log.
func Read(certfile, keyfile, caCerts string) (s *Secrets, warnings []string, err error) {
	if certfile == "" {
		return nil, nil, errors.New("keyfile is set, but certfile is not: set certfile to the file with the certificate")
	}
	cert, err := readFile("certfile", certfile)
	if err != nil {
		return nil, nil, err
	}
	s = new(Secrets)
	if s.Cert = blocks(cert, isCertificate); len(s.Cert) == 0 {
		return nil, nil, fmt.Errorf("certfile %q holds no certificate in PEM form", certfile)
	}
	keyName, keyPath, key := "certfile", certfile, cert
	if keyfile != "" {
		keyName, keyPath = "keyfile", keyfile
		if key, err = readFile(keyName, keyPath); err != nil {
			return nil, nil, err
		}
	}
	if s.Key, err = privateKey(key); err != nil {
		return nil, nil, fmt.Errorf("%s %q %w", keyName, keyPath, err)
	}
	pair, err := tls.X509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("certfile %q with %s %q cannot be used: %w", certfile, keyName, keyPath, trim(err))
	}
	for i, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, nil, fmt.Errorf("certfile %q: certificate %d: %w", certfile, i+1, err)
		}
		warnings = append(warnings, doubts(certfile, c, time.Now())...)
	}
	if caCerts != "" {
		ca, err := readFile("ca_certs", caCerts)
		if err != nil {
			return nil, nil, err
		}
		if s.CA = blocks(ca, isCertificate); len(s.CA) == 0 {
			return nil, nil, fmt.Errorf("ca_certs %q holds no certificate in PEM form", caCerts)
		}
		if _, err := authorities(s.CA); err != nil {
			return nil, nil, fmt.Errorf("ca_certs %q: %w", caCerts, err)
		}
	}
	return s, warnings, nil
}

// readFile reads the file that a setting names. Only a regular file will do: it is
// read again later, and nothing else could be read without waiting.
func readFile(setting, path string) ([]byte, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %q does not exist", setting, path)
	}
	if err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %q is not a regular file", setting, path)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, fmt.Errorf("%s %q cannot be read: %w", setting, path, err)
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, fmt.Errorf("%s %q is text in UTF-16: store it as UTF-8 or ASCII", setting, path)
	}
	return bytes.ReplaceAll(data, []byte(byteOrderMark+pemBegin), []byte(pemBegin)), nil
}

// A byte order mark, which some editors begin a file with, would hide the block
// behind it. Files that were put together may have several.
const (
	byteOrderMark = "\ufeff"
	pemBegin      = "-----BEGIN "
)

func isCertificate(b *pem.Block) bool { return b.Type == "CERTIFICATE" }

// blocks returns the PEM blocks of data that want accepts, and nothing else.
func blocks(data []byte, want func(*pem.Block) bool) []byte {
	var out []byte
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return out
		}
		if want(b) {
			out = append(out, pem.EncodeToMemory(b)...)
		}
	}
}

// privateKey returns the first private key in data as PEM. The error goes on where the name of
// the file ends.
func privateKey(data []byte) ([]byte, error) {
	var b *pem.Block
	for {
		if b, data = pem.Decode(data); b == nil {
			return nil, errors.New("holds no private key in PEM form")
		}
		if b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY") {
			break
		}
	}
	// PKCS #8 has a type of its own, the older form a header (RFC 1421, 4.6.1.1).
	if b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("holds an encrypted private key, and there is nobody to ask for its pass phrase: " +
			"store it without one (openssl pkey -in FILE -out NEWFILE), readable by the user alone who starts the server")
	}
	return pem.EncodeToMemory(b), nil
}

// authorities parses the certificates of those who may issue client certificates.
func authorities(ca []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for i := 1; ; i++ {
		var b *pem.Block
		if b, ca = pem.Decode(ca); b == nil {
			return pool, nil
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i, err)
		}
		pool.AddCert(c)
	}
}

// doubts is what an operator should know of a certificate that can be used.
func doubts(path string, c *x509.Certificate, now time.Time) []string {
	var found []string
	name := fmt.Sprintf("The certificate of %s in %s", subject(c), path)
	switch {
	case now.After(c.NotAfter):
		found = append(found, fmt.Sprintf("%s expired on %s: clients will refuse it", name, date(c.NotAfter)))
	case now.Before(c.NotBefore):
		found = append(found, fmt.Sprintf("%s is not valid before %s: clients will refuse it", name, date(c.NotBefore)))
	}
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < shortKey {
		found = append(found, fmt.Sprintf("%s has an RSA key of %d bits: many clients will refuse it", name, key.N.BitLen()))
	}
	return found
}

// subject is what a person calls a certificate.
func subject(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return distinguishedName(c.RawSubject)
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// trim takes the prefix of crypto/tls off, whose name says nothing to an operator.
func trim(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "tls: ")) }
