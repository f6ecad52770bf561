package front

import (
	"bytes"
	"net/netip"

	"indrik/internal/http1"
)

// This file tells the dispatcher by what it recognizes a client that has to come back to
// the same worker, by the setting worker_affinity.

const (
	affinityCookie = "indrik-worker"
	// With IPv6 a client has a network of at least that size (RFC 6177).
	clientPrefix = 64
)

// ClientAddr implements [dispatch.Request].
func (ex *exchange) ClientAddr() netip.Addr {
	if ex.webSocket != nil {
		return ex.webSocket.client
	}
	return ex.clientAddr()
}

func (ex *exchange) clientAddr() netip.Addr {
	addr := ex.info.client
	if ex.normalized.forwarded {
		addr = ex.normalized.client.Addr()
	}
	if addr.Is6() {
		if p, err := addr.Prefix(clientPrefix); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// AffinityToken implements [dispatch.Request].
func (ex *exchange) AffinityToken() []byte {
	for i := range ex.req.Fields {
		f := &ex.req.Fields[i]
		if len(f.Name) != 6 || !bytes.EqualFold(f.Name, []byte("Cookie")) {
			continue
		}
		for pair := range bytes.SplitSeq(f.Value, []byte(";")) {
			name, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
			if string(name) == affinityCookie {
				return value
			}
		}
	}
	return nil
}

// appendAffinity appends the cookie by which the client comes back to the worker that
// answers, unless the client has that cookie.
func (ex *exchange) appendAffinity(fields []http1.Field) []http1.Field {
	token := ex.WorkerToken()
	if ex.cfg.WorkerAffinity != "cookie" || token == nil || bytes.Equal(ex.AffinityToken(), token) {
		return fields
	}
	// Within a frame of another site, browsers send only cookies with SameSite=None, and
	// only over TLS.
	attributes := "; Path=/; HttpOnly; SameSite=Lax"
	if string(ex.urlScheme()) == "https" {
		attributes = "; Path=/; HttpOnly; Secure; SameSite=None"
	}
	value := append(append([]byte(affinityCookie+"="), token...), attributes...)
	return append(fields, http1.Field{Name: []byte("Set-Cookie"), Value: value})
}
