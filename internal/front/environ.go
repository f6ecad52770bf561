package front

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// Keys of the environ that every request has, ready to be copied.
var (
	keyMethod   = wire.AppendKey(nil, "REQUEST_METHOD")
	keyQuery    = wire.AppendKey(nil, "QUERY_STRING")
	keyURI      = wire.AppendKey(nil, "RAW_URI")
	keyProtocol = wire.AppendKey(nil, "SERVER_PROTOCOL")
	keyPath     = wire.AppendKey(nil, "PATH_INFO")
	keyScript   = wire.AppendKey(nil, "SCRIPT_NAME")
	keyScheme   = wire.AppendKey(nil, "wsgi.url_scheme")
	keyType     = wire.AppendKey(nil, "CONTENT_TYPE")
	keyLength   = wire.AppendKey(nil, "CONTENT_LENGTH")
	keyName     = wire.AppendKey(nil, "SERVER_NAME")
	keyPort     = wire.AppendKey(nil, "SERVER_PORT")

	keyAddress    = wire.AppendKey(nil, "REMOTE_ADDR")
	keyRemotePort = wire.AppendKey(nil, "REMOTE_PORT")

	http10 = wire.AppendLatin1(nil, []byte("HTTP/1.0"))
	http11 = wire.AppendLatin1(nil, []byte("HTTP/1.1"))
	http20 = wire.AppendLatin1(nil, []byte("HTTP/2.0"))
)

// A normalized request is a request after the rules about trusted peers and about fields,
// for every kind of app. Its fields are in ex.fields.
type normalized struct {
	scheme []byte // nil: the request is not normalized yet
	script []byte // the path that the app is mounted at
	path   []byte // without percent encoding, and with script

	client    netip.AddrPort // by X-Forwarded-For
	forwarded bool           // client is set
}

// pathInfo returns PATH_INFO.
func (s *normalized) pathInfo() []byte { return bytes.TrimPrefix(s.path, s.script) }

// normalize applies the rules about trusted peers and about fields to a request.
func (ex *exchange) normalize() error {
	cfg, req := ex.cfg, ex.req
	trusted := cfg.trusts(ex.info.peerAddr)
	s := normalized{script: []byte(cfg.ScriptName)}
	if ex.info.script != nil {
		s.script = ex.info.script
	}
	var err error
	if s.scheme, err = ex.scheme(trusted); err != nil {
		return err
	}
	fields, forwarded := ex.fields[:0], false
	for _, f := range req.Fields {
		forwarded = forwarded || isForwardedFor(&f)
		if bytes.IndexByte(f.Name, '_') >= 0 {
			switch {
			case trusted && cfg.mayForward(f.Name):
				if bytes.EqualFold(f.Name, []byte("SCRIPT_NAME")) {
					s.script = f.Value
				}
			case cfg.HeaderMap == "refuse":
				return http1.NewError(http1.InvalidHeaderName, f.Name)
			case cfg.HeaderMap != "dangerous":
				continue
			}
		}
		fields = append(fields, f)
	}
	if ex.webSocket != nil && ex.kind != wire.KindASGI {
		fields = ex.webSocket.fieldsForApp(fields)
	}
	ex.fields = fields
	if forwarded && ex.readsForwardedFor() {
		s.client, s.forwarded = ex.forwardedClient()
	}
	s.path = http1.DecodePath(req.Path)
	if !bytes.HasPrefix(s.path, s.script) && ex.kind != wire.KindASGI {
		return http1.NewBadScriptName(req.Path, s.script)
	}
	ex.normalized = s
	return nil
}

// appendParts appends the environ of WSGI in parts, as messages of the queue have it. The
// part that requests have in common comes first, as bytes: a worker that has seen the
// same bytes before need not load them. The parts of this request follow. length is the
// length of the body, −1 if the request has none.
func (ex *exchange) appendParts(b []byte, length int64) ([]byte, error) {
	if err := ex.normalize(); err != nil {
		return b, err
	}
	req, path := ex.req, ex.normalized.pathInfo()
	b = wire.AppendBytesHeader(b, 0)
	start := len(b)
	b = wire.AppendDictEnd(ex.appendCommon(wire.AppendDict(b)))
	binary.LittleEndian.PutUint32(b[start-4:], uint32(len(b)-start))
	b = wire.AppendLatin1(b, req.Method)
	b = wire.AppendLatin1(b, req.Target)
	if bytes.Equal(path, req.Target) {
		b = wire.AppendNone(b)
	} else {
		b = wire.AppendLatin1(b, path)
	}
	b = wire.AppendLatin1(b, req.Query)
	b = ex.appendRemote(b)
	if length < 0 {
		return wire.AppendNone(b), nil
	}
	return appendNumber(b, length), nil
}

// appendEnviron appends the whole environ of WSGI as one dict, for an event or a file.
// length is the length of the body, −1 if the request has none.
func (ex *exchange) appendEnviron(b []byte, length int64) ([]byte, error) {
	if err := ex.normalize(); err != nil {
		return b, err
	}
	req := ex.req
	b = ex.appendCommon(wire.AppendDict(b))
	b = append(b, keyMethod...)
	b = wire.AppendLatin1(b, req.Method)
	b = append(b, keyURI...)
	b = wire.AppendLatin1(b, req.Target)
	b = append(b, keyPath...)
	b = wire.AppendLatin1(b, ex.normalized.pathInfo())
	b = append(b, keyQuery...)
	b = wire.AppendLatin1(b, req.Query)
	b = append(b, keyAddress...)
	b = wire.AppendLatin1(b, []byte(ex.remote()))
	if port := ex.remotePort(); port != 0 {
		b = append(b, keyRemotePort...)
		b = appendNumber(b, int64(port))
	}
	if length >= 0 {
		b = append(b, keyLength...)
		b = appendNumber(b, length)
	}
	return wire.AppendDictEnd(b), nil
}

// appendNumber appends a number as the environ has it. A chunked body has a length too,
// since all of it has come: RFC 3875 section 4.1.2 wants the length without the
// transfer coding.
func appendNumber(b []byte, n int64) []byte {
	var digits [20]byte
	return wire.AppendLatin1(b, strconv.AppendInt(digits[:0], n, 10))
}

// appendCommon appends the items of the environ that requests have in common: those of
// the server, those of the connection, and the fields, which are most of it.
func (ex *exchange) appendCommon(b []byte) []byte {
	req, info, s := ex.req, ex.info, &ex.normalized
	b = append(b, info.constant...)
	b = append(b, keyProtocol...)
	switch {
	case req.Major == 1 && req.Minor == 1:
		b = append(b, http11...)
	case req.Major == 1 && req.Minor == 0:
		b = append(b, http10...)
	case req.Major == 2 && req.Minor == 0:
		b = append(b, http20...)
	default:
		b = wire.AppendLatin1(b, fmt.Appendf(nil, "HTTP/%d.%d", req.Major, req.Minor))
	}
	b = append(b, keyScheme...)
	b = wire.AppendLatin1(b, s.scheme)
	fields := ex.fields
	ex.joined = nil
	if len(fields) > manyFields {
		ex.joined = joinFields(fields)
	}
	for i, f := range fields {
		switch len(f.Name) {
		case 12:
			if bytes.EqualFold(f.Name, []byte("Content-Type")) {
				b = append(b, keyType...)
				b = wire.AppendLatin1(b, f.Value)
				continue
			}
		case 14:
			if bytes.EqualFold(f.Name, []byte("Content-Length")) {
				continue
			}
		}
		b = ex.appendField(b, fields, i)
	}
	b = append(b, keyScript...)
	b = wire.AppendLatin1(b, s.script)
	if info.names == nil {
		b = ex.appendServerOfHost(b, s.scheme)
	}
	return b
}

// scheme returns the scheme that the client used, as far as a trusted peer says so.
func (ex *exchange) scheme(trusted bool) ([]byte, error) {
	own := ex.info.scheme()
	if !trusted {
		return own, nil
	}
	scheme := []byte(nil)
	for _, f := range ex.req.Fields {
		for _, s := range ex.cfg.secureSchemeHeaders {
			if !bytes.EqualFold(f.Name, s.name) {
				continue
			}
			says := schemeHTTP
			if bytes.Equal(f.Value, s.value) || bytes.Equal(f.Value, schemeWSS) && bytes.Equal(s.value, schemeHTTPS) {
				says = schemeHTTPS
			}
			if scheme != nil && !bytes.Equal(scheme, says) {
				return nil, http1.NewError(http1.InvalidSchemeHeaders, nil)
			}
			scheme = says
		}
	}
	if scheme == nil {
		scheme = own
	}
	return scheme, nil
}

// appendField appends fields[i] as HTTP_*, with the values of later fields of the same
// name. It appends nothing if an earlier field had that name.
func (ex *exchange) appendField(b []byte, fields []http1.Field, i int) []byte {
	name := environName(ex.nameBuf[:0], fields[i].Name)
	ex.nameBuf = name
	value := fields[i].Value
	switch {
	case ex.joined != nil:
		var first bool
		if value, first = ex.joined[string(name)]; !first {
			return b
		}
		delete(ex.joined, string(name))
	case repeated(fields[:i], fields[i].Name):
		return b
	case repeated(fields[i+1:], fields[i].Name):
		value = bytes.Clone(value)
		for _, later := range fields[i+1:] {
			if sameName(later.Name, fields[i].Name) {
				value = append(append(value, ','), later.Value...)
			}
		}
	}
	b = wire.AppendKey(b, string(name))
	return wire.AppendLatin1(b, value)
}

// manyFields is the number of fields up to which each is compared with each; more are
// joined through a map.
const manyFields = 64

func joinFields(fields []http1.Field) map[string][]byte {
	names := map[string][]byte{}
	for _, f := range fields {
		name := string(environName(nil, f.Name))
		if value, ok := names[name]; ok {
			names[name] = append(append(value, ','), f.Value...)
		} else {
			names[name] = bytes.Clone(f.Value)
		}
	}
	return names
}

func repeated(fields []http1.Field, name []byte) bool {
	for i := range fields {
		if len(fields[i].Name) == len(name) && sameName(fields[i].Name, name) {
			return true
		}
	}
	return false
}

// sameName reports whether two names are the same in the environ.
func sameName(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if upper(a[i]) != upper(b[i]) {
			return false
		}
	}
	return true
}

func upper(b byte) byte {
	switch {
	case 'a' <= b && b <= 'z':
		return b - 'a' + 'A'
	case b == '-':
		return '_'
	}
	return b
}

func environName(dst, name []byte) []byte {
	dst = append(dst, "HTTP_"...)
	for _, b := range name {
		dst = append(dst, upper(b))
	}
	return dst
}

// appendServerOfHost appends SERVER_NAME and SERVER_PORT of a unix socket.
func (ex *exchange) appendServerOfHost(b, scheme []byte) []byte {
	name, port := ex.serverOfHost(scheme)
	b = append(b, keyName...)
	b = wire.AppendLatin1(b, []byte(name))
	b = append(b, keyPort...)
	return wire.AppendLatin1(b, []byte(port))
}

// serverOfHost returns the server's name and port on a unix socket, which has neither of
// its own: those of the Host field.
func (ex *exchange) serverOfHost(scheme []byte) (name, port string) {
	host := string(ex.req.Get("Host"))
	if host == "" {
		return strings.TrimPrefix(ex.info.bind, "unix:"), ""
	}
	if name, port, err := net.SplitHostPort(host); err == nil {
		return name, port
	}
	if string(scheme) == "https" {
		return host, "443"
	}
	return host, "80"
}
