package front

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// This file makes the connection scope of ASGI, as the app gets it except for what
// the worker adds. The specification is
// https://asgi.readthedocs.io/en/latest/specs/www.html.

// The keys of a scope, and the values that are always the same, ready to be copied.
var (
	scopeType    = wire.AppendKey(nil, "type")
	scopeASGI23  = scopeVersions("2.3")
	scopeASGI24  = scopeVersions("2.4")
	scopeVersion = wire.AppendKey(nil, "http_version")
	scopeScheme  = wire.AppendKey(nil, "scheme")
	scopeRoot    = wire.AppendKey(nil, "root_path")
	scopeHeaders = wire.AppendKey(nil, "headers")
	scopeOffers  = wire.AppendKey(nil, "subprotocols")

	webSocketExtensions = scopeDenial()

	version10 = wire.AppendKey(nil, "1.0")
	version11 = wire.AppendKey(nil, "1.1")
	version2  = wire.AppendKey(nil, "2")
)

// scopeVersions returns the item with the version of the protocol. From 2.4 on send()
// has to raise an OSError once the client has gone.
func scopeVersions(spec string) []byte {
	b := wire.AppendDict(wire.AppendKey(nil, "asgi"))
	b = wire.AppendKey(wire.AppendKey(b, "version"), "3.0")
	b = wire.AppendKey(wire.AppendKey(b, "spec_version"), spec)
	return wire.AppendDictEnd(b)
}

// scopeDenial returns the extensions of a WebSocket handshake: the app may refuse it with
// a response of its own.
func scopeDenial() []byte {
	b := wire.AppendDict(wire.AppendKey(nil, "extensions"))
	b = wire.AppendDictEnd(wire.AppendDict(wire.AppendKey(b, "websocket.http.response")))
	return wire.AppendDictEnd(b)
}

// extensionSets are the extensions that requests have, encoded: by the version of HTTP,
// 1.0, 1.1 and 2, and by whether the client takes trailers. The extensions of the
// connection are appended to them.
type extensionSets [3][2][]byte

// newExtensionSets makes the sets for the extensions that the setting asks for.
// Middleware knows only the messages that it was written for, so by default there are
// only uvicorn's extensions.
func newExtensionSets(asked []string) (sets extensionSets) {
	wants := func(name string) bool { return slices.Contains(asked, name) || slices.Contains(asked, "all") }
	for version := range sets {
		for trailers := range sets[version] {
			b := wire.AppendDict(wire.AppendKey(nil, "extensions"))
			add := func(name string) {
				b = wire.AppendDictEnd(wire.AppendDict(wire.AppendKey(b, "http.response."+name)))
			}
			for _, name := range []string{"pathsend", "zerocopysend"} {
				if wants(name) {
					add(name)
				}
			}
			if version > 0 && wants("early_hint") || version == 2 {
				add("early_hint")
			}
			if trailers == 1 && (wants("trailers") || version == 2) {
				add("trailers")
			}
			sets[version][trailers] = b
		}
	}
	return sets
}

// of returns the extensions of a request.
func (sets *extensionSets) of(req *http1.Request, trailers bool) []byte {
	version := 0
	if req.Major == 2 {
		version = 2
	} else if req.AtLeast11() {
		version = 1
	}
	return sets[version][index(trailers)]
}

// appendScope appends the scope of a request, or of a WebSocket connection, as a tuple.
// The part that requests have in common comes first, as bytes: a worker that has seen
// the same bytes before need not load them. The parts of this request follow.
func (ex *exchange) appendScope(b []byte) ([]byte, error) {
	req := ex.req
	if err := ex.normalize(); err != nil {
		return b, err
	}
	b = wire.AppendTuple(b, 6)
	b = wire.AppendBytesHeader(b, 0)
	start := len(b)
	b = ex.appendCommonScope(b)
	binary.LittleEndian.PutUint32(b[start-4:], uint32(len(b)-start))
	if ex.webSocket != nil {
		b = wire.AppendNone(b)
	} else {
		method := req.Method
		if ex.cfg.PermitUnconventionalHTTPMethod {
			method = bytes.ToUpper(method) // as the specification says
		}
		b = wire.AppendLatin1(b, method)
	}
	path, raw := ex.normalized.path, req.Path
	if root := ex.rootPath(); lacksRoot(path, root) {
		path = append(slices.Clip(root), path...)
		raw = append([]byte((&url.URL{Path: string(root)}).EscapedPath()), raw...)
	}
	b = appendText(b, path)
	b = wire.AppendBytes(b, raw)
	b = wire.AppendBytes(b, req.Query)
	return ex.appendClient(b), nil
}

// rootPath returns the path that the app is mounted at, without a slash at its end.
func (ex *exchange) rootPath() []byte {
	if script := ex.normalized.script; len(script) > 0 {
		return bytes.TrimRight(script, "/")
	}
	return []byte(ex.cfg.RootPath)
}

// lacksRoot reports whether a path does not begin with the path that the app is mounted
// at, because a proxy has taken it away: the path of a scope has it.
func lacksRoot(path, root []byte) bool {
	if len(root) == 0 || len(path) == 0 || path[0] != '/' {
		return false
	}
	rest, ok := bytes.CutPrefix(path, root)
	return !ok || len(rest) > 0 && rest[0] != '/'
}

// appendCommonScope appends the part of the scope that requests have in common: of
// the server, and the fields, which are most of it.
func (ex *exchange) appendCommonScope(b []byte) []byte {
	req, info, s := ex.req, ex.info, &ex.normalized
	b = wire.AppendDict(b)
	b = append(b, scopeType...)
	if ex.webSocket != nil {
		b = wire.AppendKey(b, "websocket")
	} else {
		b = wire.AppendKey(b, "http")
	}
	// As with uvicorn, send() always raises over WebSockets.
	if ex.webSocket != nil || ex.cfg.ASGISendAfterDisconnect == "raise" {
		b = append(b, scopeASGI24...)
	} else {
		b = append(b, scopeASGI23...)
	}
	b = append(b, scopeVersion...)
	b = appendHTTPVersion(b, req)
	b = append(b, scopeScheme...)
	if ex.webSocket != nil {
		b = wire.AppendLatin1(b, webSocketScheme(s.scheme))
		b = append(b, scopeOffers...)
		b = wire.AppendList(b, len(ex.webSocket.request.Protocols))
		for _, p := range ex.webSocket.request.Protocols {
			b = wire.AppendLatin1(b, []byte(p))
		}
	} else {
		b = wire.AppendLatin1(b, s.scheme)
	}
	b = append(b, scopeRoot...)
	b = appendText(b, ex.rootPath())
	b = append(b, scopeHeaders...)
	b = wire.AppendList(b, len(ex.fields))
	for i := range ex.fields {
		f := &ex.fields[i]
		b = wire.AppendTuple(b, 2)
		b = wire.AppendBytesHeader(b, len(f.Name))
		for _, c := range f.Name {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			b = append(b, c)
		}
		b = wire.AppendBytes(b, f.Value)
	}
	b = append(b, info.server...)
	if ex.webSocket != nil {
		return wire.AppendDictEnd(append(b, webSocketExtensions...))
	}
	ex.trailers = req.AtLeast11() && takesTrailers(req)
	b = append(b, ex.cfg.asgiExtensions.of(req, ex.trailers)...)
	b = wire.AppendDictEnd(append(b, info.tls...))
	return wire.AppendDictEnd(b)
}

// webSocketScheme returns ws for http, and wss for https.
func webSocketScheme(scheme []byte) []byte {
	if string(scheme) == "https" {
		return schemeWSS
	}
	return schemeWS
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

func appendHTTPVersion(b []byte, req *http1.Request) []byte {
	switch {
	case req.Major == 1 && req.Minor == 1:
		return append(b, version11...)
	case req.Major == 1 && req.Minor == 0:
		return append(b, version10...)
	case req.Major == 2 && req.Minor == 0:
		return append(b, version2...)
	}
	return wire.AppendLatin1(b, fmt.Appendf(nil, "%d.%d", req.Major, req.Minor))
}

// takesTrailers reports whether the client has said that it takes trailers (RFC 9110
// section 10.1.4).
func takesTrailers(req *http1.Request) bool {
	for i := range req.Fields {
		f := &req.Fields[i]
		if len(f.Name) != 2 || !bytes.EqualFold(f.Name, []byte("TE")) {
			continue
		}
		for coding := range bytes.SplitSeq(f.Value, []byte(",")) {
			coding, _, _ = bytes.Cut(coding, []byte(";"))
			if bytes.EqualFold(bytes.TrimSpace(coding), []byte("trailers")) {
				return true
			}
		}
	}
	return false
}

// encodeTLS encodes the TLS extension of the scope, see
// https://asgi.readthedocs.io/en/latest/specs/tls.html. name is the subject of the
// client's certificate.
func (info *connInfo) encodeTLS(state *tls.ConnectionState, name string) {
	b := wire.AppendDict(wire.AppendKey(nil, "tls"))
	b = wire.AppendNone(wire.AppendKey(b, "server_cert")) // the front does not send it with each request
	b = wire.AppendList(wire.AppendKey(b, "client_cert_chain"), len(state.PeerCertificates))
	for _, c := range state.PeerCertificates {
		b = wire.AppendLatin1(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	b = wire.AppendKey(b, "client_cert_name")
	if len(state.PeerCertificates) > 0 {
		b = appendText(b, []byte(name))
	} else {
		b = wire.AppendNone(b)
	}
	b = wire.AppendNone(wire.AppendKey(b, "client_cert_error")) // it would end the handshake
	b = wire.AppendInt(wire.AppendKey(b, "tls_version"), int64(state.Version))
	b = wire.AppendInt(wire.AppendKey(b, "cipher_suite"), int64(state.CipherSuite))
	info.tls = wire.AppendDictEnd(b)
}
