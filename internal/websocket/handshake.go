package websocket

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"slices"

	"indrik/internal/http1"
)

// A Handshake is a request that opens a connection. Its slices are its own.
type Handshake struct {
	Protocols []string // the subprotocols that the client offers, in its order
	Key       []byte   // Sec-WebSocket-Key; nil with HTTP/2
	Window    int      // of permessage-deflate, in bits, if the client offers that; else 0

	named bool // the client named the window
}

// A HandshakeError says why a request opens no connection, and what to answer. An answer
// with 426 says Sec-WebSocket-Version: 13.
type HandshakeError struct {
	Status int // 400, 426 or 501
	Text   string
}

func (e *HandshakeError) Error() string { return e.Text }

// IsUpgrade reports whether a request of HTTP/1 asks for a WebSocket connection: it has
// Upgrade: websocket, which its Connection field names. It may be malformed.
// HTTP/1.0 has no upgrades (RFC 9110 section 7.8).
func IsUpgrade(req *http1.Request) bool {
	return req.Major == 1 && req.Minor >= 1 && hasToken(req, "Upgrade", "websocket") && hasToken(req, "Connection", "upgrade")
}

// ParseHandshake checks a request that [IsUpgrade] (RFC 6455 section 4.2.1); any error
// is a [*HandshakeError].
func ParseHandshake(req *http1.Request) (*Handshake, error) {
	if string(req.Method) != "GET" {
		return nil, &HandshakeError{400, "the method is not GET"}
	}
	if req.Chunked || req.ContentLength > 0 {
		return nil, &HandshakeError{400, "there is a body"}
	}
	versions := values(req, "Sec-WebSocket-Version")
	if len(versions) != 1 || string(versions[0]) != "13" {
		return nil, &HandshakeError{426, "the version is not 13"}
	}
	h := &Handshake{}
	keys := values(req, "Sec-WebSocket-Key")
	if len(keys) != 1 {
		return nil, &HandshakeError{400, "there is not one Sec-WebSocket-Key"}
	}
	if key, err := base64.StdEncoding.Strict().DecodeString(string(keys[0])); err != nil || len(key) != 16 {
		return nil, &HandshakeError{400, "Sec-WebSocket-Key is not 16 bytes in base64"}
	}
	h.Key = bytes.Clone(keys[0])
	return h, h.offers(req)
}

// ParseConnect checks a request of HTTP/2 that asks for a protocol by extended CONNECT (RFC
// 8441 section 5); any error is a [*HandshakeError].
func ParseConnect(req *http1.Request, protocol []byte) (*Handshake, error) {
	if string(protocol) != "websocket" {
		return nil, &HandshakeError{501, "the protocol is not websocket"}
	}
	versions := values(req, "Sec-WebSocket-Version")
	if len(versions) != 1 || string(versions[0]) != "13" {
		return nil, &HandshakeError{400, "the version is not 13"}
	}
	h := &Handshake{}
	return h, h.offers(req)
}

// offers reads what the client can do.
func (h *Handshake) offers(req *http1.Request) error {
	for _, v := range values(req, "Sec-WebSocket-Protocol") {
		for p := range bytes.SplitSeq(v, []byte(",")) {
			p = bytes.Trim(p, " \t")
			if len(p) == 0 {
				continue
			}
			for _, c := range p {
				if !isTokenChar(c) {
					return &HandshakeError{400, "Sec-WebSocket-Protocol is no list of tokens"}
				}
			}
			h.Protocols = append(h.Protocols, string(p))
		}
	}
	for _, v := range values(req, "Sec-WebSocket-Extensions") {
		exts, ok := parseExtensions(v)
		if !ok {
			return &HandshakeError{400, "Sec-WebSocket-Extensions is malformed"}
		}
		for _, e := range exts {
			if h.Window == 0 {
				h.Window, h.named = e.window()
			}
		}
	}
	return nil
}

// Offers reports whether the client offers a subprotocol.
func (h *Handshake) Offers(protocol string) bool {
	return slices.Contains(h.Protocols, protocol)
}

// AppendFields appends to dst what the answer has to say that accepts the handshake:
// with HTTP/1 the proof that the key was read, and what was agreed on.
func (h *Handshake) AppendFields(dst []http1.Field, protocol string, deflate bool) []http1.Field {
	add := func(name string, value []byte) {
		dst = append(dst, http1.Field{Name: []byte(name), Value: value})
	}
	if h.Key != nil {
		add("Sec-WebSocket-Accept", accept(h.Key))
	}
	if protocol != "" {
		add("Sec-WebSocket-Protocol", []byte(protocol))
	}
	if deflate && h.Window > 0 {
		add("Sec-WebSocket-Extensions", appendDeflate(nil, h.Window, h.named))
	}
	return dst
}

// accept is the value of Sec-WebSocket-Accept (RFC 6455 section 4.2.2).
func accept(key []byte) []byte {
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.AppendEncode(nil, sum[:])
}

// values are those of all fields of a name.
func values(req *http1.Request, name string) [][]byte {
	var found [][]byte
	for i := range req.Fields {
		if f := &req.Fields[i]; len(f.Name) == len(name) && bytes.EqualFold(f.Name, []byte(name)) {
			found = append(found, f.Value)
		}
	}
	return found
}

// hasToken reports whether a field is a list that has the token, in any case.
func hasToken(req *http1.Request, name, token string) bool {
	for i := range req.Fields {
		f := &req.Fields[i]
		if len(f.Name) != len(name) || !bytes.EqualFold(f.Name, []byte(name)) {
			continue
		}
		for t := range bytes.SplitSeq(f.Value, []byte(",")) {
			if bytes.EqualFold(bytes.Trim(t, " \t"), []byte(token)) {
				return true
			}
		}
	}
	return false
}
