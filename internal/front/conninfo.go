package front

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"indrik/internal/dispatch"
	"indrik/internal/gateway"
	"indrik/internal/listen"
	"indrik/internal/wire"
)

var (
	schemeHTTP  = []byte("http")
	schemeHTTPS = []byte("https")
	schemeWS    = []byte("ws")
	schemeWSS   = []byte("wss")

	scopeServer = wire.AppendKey(nil, "server")
)

// A connInfo is what all requests of a connection have in common: who sends them,
// and where to. It does not change once requests are read.
type connInfo struct {
	*endpoint
	secure bool // TLS

	peerAddr  netip.Addr // of the other end of the socket; invalid on a unix socket
	client    netip.Addr // the same, or the client that a trusted PROXY header names
	remote    string     // as REMOTE_ADDR
	port      int
	proxied   bool   // there was a PROXY header with addresses
	proxy     string // then: the address that the client had connected to
	proxyPort int

	tlsVariables [][2]string

	// Encoded.
	constant   []byte // variables of the environ except for the next two
	address    []byte // REMOTE_ADDR
	portText   []byte // REMOTE_PORT, or None
	clientText []byte // the client of the scope, or None
	tls        []byte // an item of the extensions of the scope, if there is TLS

	protocol gateway.Protocol
	script   []byte // where a web server says that the app is mounted; nil: it says nothing

	home dispatch.Home // with connection for worker_affinity
}

// An endpoint is what all connections of a listener have in common.
type endpoint struct {
	bind    string // as the settings have it
	network string // tcp or unix

	names  [][2]string // SERVER_NAME and SERVER_PORT; none on a unix socket
	named  []byte      // names, encoded
	server []byte      // "server" of the scope, encoded
}

func newEndpoint(bind, network string) *endpoint {
	e := &endpoint{bind: bind, network: network}
	host, port, err := net.SplitHostPort(bind)
	if err == nil && network == listen.TCP {
		e.names = [][2]string{{"SERVER_NAME", host}, {"SERVER_PORT", port}}
		e.named = appendVariables(nil, e.names)
	}
	e.server = wire.AppendTuple(append([]byte(nil), scopeServer...), 2)
	if number, err := strconv.Atoi(port); err == nil && e.names != nil {
		e.server = wire.AppendLatin1(e.server, []byte(host))
		e.server = wire.AppendInt(e.server, int64(number))
	} else {
		e.server = appendText(e.server, []byte(strings.TrimPrefix(bind, "unix:")))
		e.server = wire.AppendNone(e.server)
	}
	return e
}

// withName returns an endpoint like e where the server has another name.
func (e *endpoint) withName(name, port string) *endpoint {
	renamed := *e
	renamed.names = [][2]string{{"SERVER_NAME", name}, {"SERVER_PORT", port}}
	renamed.named = appendVariables(nil, renamed.names)
	if number, err := strconv.ParseUint(port, 10, 16); err == nil {
		renamed.server = wire.AppendTuple(bytes.Clone(scopeServer), 2)
		renamed.server = wire.AppendInt(appendText(renamed.server, []byte(name)), int64(number))
	}
	return &renamed
}

// appendVariables appends variables to an encoded environ.
func appendVariables(b []byte, list [][2]string) []byte {
	for _, v := range list {
		b = wire.AppendLatin1(wire.AppendKey(b, v[0]), []byte(v[1]))
	}
	return b
}

// setAddrs sets the addresses of a connection.
func (info *connInfo) setAddrs(nc net.Conn) {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		info.setClient(a.AddrPort())
		info.peerAddr = info.client
	}
}

// setClient sets the address of the client.
func (info *connInfo) setClient(a netip.AddrPort) {
	info.client = a.Addr().Unmap()
	info.remote, info.port = info.client.String(), int(a.Port())
}

// setProxied sets the addresses that a PROXY header has.
func (info *connInfo) setProxied(source, dest netip.AddrPort) {
	info.setClient(source)
	info.proxied = true
	info.proxy, info.proxyPort = dest.Addr().Unmap().String(), int(dest.Port())
}

// name returns what the log calls the client.
func (info *connInfo) name() string {
	if info.remote == "" {
		return "a connection of " + info.bind
	}
	return "ip=" + info.remote
}

// scheme returns the scheme of the connection itself, which ends at a proxy.
func (info *connInfo) scheme() []byte {
	if info.secure {
		return schemeHTTPS
	}
	return schemeHTTP
}

// encode encodes the parts of the environ and of the scope that are the same for every
// request. tlsVariables are the ones that TLS adds.
func (info *connInfo) encode(tlsVariables [][2]string) {
	// One allocation for all three: some clients make a connection for each request.
	b := make([]byte, 0, 2*len(info.remote)+32)
	b = wire.AppendLatin1(b, []byte(info.remote))
	address := len(b)
	if info.client.IsValid() {
		var digits [5]byte
		b = wire.AppendLatin1(b, strconv.AppendInt(digits[:0], int64(info.port), 10))
	} else {
		b = wire.AppendNone(b)
	}
	port := len(b)
	if info.client.IsValid() {
		b = wire.AppendTuple(b, 2)
		b = wire.AppendLatin1(b, []byte(info.remote))
		b = wire.AppendInt(b, int64(info.port))
	} else {
		b = wire.AppendNone(b)
	}
	info.address, info.portText, info.clientText = b[:address:address], b[address:port:port], b[port:]

	info.tlsVariables, info.constant = tlsVariables, info.named
	if info.proxied || len(tlsVariables) > 0 {
		info.constant = appendVariables(nil, info.variables())
	}
}

// variables returns the variables that constant has.
func (info *connInfo) variables() [][2]string {
	list := slices.Clone(info.names)
	if info.proxied {
		list = append(list, [2]string{"PROXY_PROTOCOL", info.proxyProtocol()},
			[2]string{"PROXY_ADDR", info.proxy}, [2]string{"PROXY_PORT", strconv.Itoa(info.proxyPort)})
	}
	return append(list, info.tlsVariables...)
}

// proxyProtocol returns the name of the address family as a PROXY header has it.
func (info *connInfo) proxyProtocol() string {
	if info.client.Is4() {
		return "TCP4"
	}
	return "TCP6"
}

// appendText appends text. Bytes that are not UTF-8 become U+FFFD.
func appendText(b, text []byte) []byte {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return wire.AppendUTF8(b, text)
}
