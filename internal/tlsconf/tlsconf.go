// Package tlsconf turns the TLS settings and files of a server into what
// crypto/tls takes.
//
// The master, which may be root, reads certificate and key ([Read]) and passes
// them to its front in a memory file ([Secrets.File], [Load]): the front needs no
// right to the files. The front has one [Server] for each configuration, which
// takes other certificates and session ticket keys at any time without touching
// the connections that are there.
//
// Nothing is ever weaker than what was asked for: a cipher list that cannot be
// obeyed, client certificates asked for without anybody to vouch for them, and
// a key that does not fit are errors.
//
// The package imports package wire alone, and keeps nothing in files.
package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"indrik/internal/wire"
)

// Secrets are what a server proves its identity with, and what resumes
// sessions. The first three are PEM.
type Secrets struct {
	Cert    []byte     `json:"cert"` // the server's certificate, then the chain
	Key     []byte     `json:"key"`
	CA      []byte     `json:"ca"`      // who may issue client certificates; empty: nobody
	Tickets [][32]byte `json:"tickets"` // session ticket keys: the first encrypts, all decrypt
}

// File puts s into a memory file, for another process. The caller closes it.
func (s *Secrets) File() (*os.File, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	f, err := wire.ConstantFile("indrik-secrets", data)
	if err != nil {
		return nil, fmt.Errorf("make a memory file for the certificate: %w", err)
	}
	return f, nil
}

// Load reads what [Secrets.File] wrote. It leaves f open.
func Load(f *os.File) (*Secrets, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, st.Size()))
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	s := new(Secrets)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return s, nil
}

// Same reports whether s and o hold the same certificate, key and authorities.
func (s *Secrets) Same(o *Secrets) bool {
	return bytes.Equal(s.Cert, o.Cert) && bytes.Equal(s.Key, o.Key) && bytes.Equal(s.CA, o.CA)
}

// MinVersion reads the setting tls_min_version.
func MinVersion(s string) (uint16, error) {
	switch s {
	case "1.2", "TLSv1.2":
		return tls.VersionTLS12, nil
	case "1.3", "TLSv1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("no TLS version to begin with: %q (1.2 and 1.3 are possible)", s)
}

// String names the certificate and the day it ends, for the log.
func (s *Secrets) String() string {
	b, _ := pem.Decode(s.Cert)
	if b == nil {
		return "nobody"
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return "nobody"
	}
	return fmt.Sprintf("%s, valid until %s", subject(c), date(c.NotAfter))
}
