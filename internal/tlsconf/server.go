package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"indrik/internal/wire"
)

// The values of the setting cert_reqs; the numbers are those of Python's ssl.
const (
	certNone     = 0
	certOptional = 1
	certRequired = 2
)

var errNotYet = errors.New("there is no certificate yet")

// A Server is the TLS side of one configuration. Its methods may be called from
// any goroutine.
type Server struct {
	conf      wire.TLS
	protocols []string
	now       atomic.Pointer[tls.Config]
}

// NewServer makes a server that offers protocols by ALPN, see [Protocols]. It can
// do nothing until it has been given its secrets by [Server.Update].
func NewServer(t *wire.TLS, protocols []string) *Server {
	s := &Server{conf: *t, protocols: protocols}
	if slices.Contains(protocols, "http/1.1") {
		// Clients that ask for HTTP/1.0 alone (curl --http1.0) would be refused
		// otherwise (RFC 7301, 3.2).
		s.protocols = append(slices.Clip(protocols), "http/1.0")
	}
	return s
}

// Protocols are what a server with configuration c offers by ALPN.
func Protocols(c *wire.FrontConfig) []string {
	var protocols []string
	if c.HTTP2 {
		protocols = append(protocols, "h2")
	}
	if c.HTTP1 {
		protocols = append(protocols, "http/1.1")
	}
	return protocols
}

// Update has handshakes from now on use secrets. Connections that are there go on
// as they are. After an error nothing has changed; it tells too of a
// configuration that cannot be used.
func (s *Server) Update(secrets *Secrets) error {
	pair, err := tls.X509KeyPair(secrets.Cert, secrets.Key)
	if err != nil {
		return fmt.Errorf("the certificate cannot be used: %w", trim(err))
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   s.conf.MinVersion,
		CipherSuites: s.conf.Ciphers,
		NextProtos:   s.protocols,
	}
	switch s.conf.CertReqs {
	case certNone:
	case certOptional:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case certRequired:
		c.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return fmt.Errorf("cert_reqs is %d: 0 (no client certificate), 1 (optional) and 2 (required) are possible", s.conf.CertReqs)
	}
	if c.ClientAuth != tls.NoClientCert {
		if len(secrets.CA) == 0 {
			// crypto/tls would take everybody that the system trusts.
			return fmt.Errorf("cert_reqs is %d, but ca_certs is not set: set it to the file with the certificates of those "+
				"who may issue client certificates", s.conf.CertReqs)
		}
		if c.ClientCAs, err = authorities(secrets.CA); err != nil {
			return fmt.Errorf("ca_certs: %w", err)
		}
	}
	if slices.Contains(s.protocols, "h2") {
		if err := s.fitHTTP2(c); err != nil {
			return err
		}
	}
	if len(secrets.Tickets) > 0 {
		c.SetSessionTicketKeys(secrets.Tickets)
	}
	s.now.Store(c)
	return nil
}

// fitHTTP2 sees to what HTTP/2 wants of TLS.
func (s *Server) fitHTTP2(c *tls.Config) error {
	if c.MinVersion < tls.VersionTLS13 && len(c.CipherSuites) > 0 && !slices.ContainsFunc(c.CipherSuites, allowedByHTTP2) {
		// RFC 9113, 9.2.2: clients end a connection over any of the others.
		return errors.New("none of the ciphers is allowed in HTTP/2: add ECDHE+AESGCM to ciphers, or take h2 out of http_protocols")
	}
	if len(s.protocols) == 1 {
		// crypto/tls lets clients in that ask for http/1.1, or for nothing.
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol != "h2" {
				return errors.New("the client does not offer HTTP/2, and http_protocols has nothing else")
			}
			return nil
		}
	}
	return nil
}

func allowedByHTTP2(id uint16) bool {
	return slices.ContainsFunc(suites, func(s suite) bool { return s.id == id && s.aead() })
}

// Config is for tls.Server and the like. It is the same for all of the
// connections; each handshake takes what Update left last.
func (s *Server) Config() *tls.Config {
	return &tls.Config{
		MinVersion: s.conf.MinVersion,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if c := s.now.Load(); c != nil {
				return c, nil
			}
			return nil, errNotYet
		},
	}
}
