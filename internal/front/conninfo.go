package front

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"indrik/internal/dispatch"
	"indrik/internal/listen"
	"indrik/internal/wire"
)

// An origin is what all requests of a connection have in common: who sends them,
// and where to. It does not change once requests are read.
type origin struct {
	*endpoint
	secure bool // TLS

	peer     netip.Addr // who is at the other end of the socket; invalid on a unix socket
	client   netip.Addr // the same, or who a trusted PROXY header says
	remote   string     // as REMOTE_ADDR
	port     int
	proxied  bool   // there was a PROXY header with addresses
	proxy    string // then: where the client had connected to
	proxyFor int

	more     [][2]string
	constant []byte // variables, encoded, but for these:
	address  []byte // REMOTE_ADDR
	portText []byte // REMOTE_PORT, or None

	home dispatch.Home // with connection for worker_affinity

	clientText []byte // the client of the scope, or None
	tls        []byte // an item of the extensions in it, if there is TLS
}

// An endpoint is what all connections of a listener have in common.
type endpoint struct {
	bind    string // as the settings have it
	network string // tcp or unix

	names  [][2]string // SERVER_NAME and SERVER_PORT; none on a unix socket
	named  []byte      // the same, encoded
	server []byte      // "server" of the scope
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

// appendVariables appends items of the environ.
func appendVariables(b []byte, list [][2]string) []byte {
	for _, v := range list {
		b = wire.AppendLatin1(wire.AppendKey(b, v[0]), []byte(v[1]))
	}
	return b
}

// of takes the addresses of a connection.
func (o *origin) of(nc net.Conn) {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		o.from(a.AddrPort())
		o.peer = o.client
	}
}

func (o *origin) from(a netip.AddrPort) {
	o.client = a.Addr().Unmap()
	o.remote, o.port = o.client.String(), int(a.Port())
}

// scheme is that of the connection itself.
func (o *origin) scheme() []byte {
	if o.secure {
		return schemeHTTPS
	}
	return schemeHTTP
}

// describe encodes the parts of the environ and of the scope that are the same for
// every request. more is for what TLS has to say.
func (o *origin) describe(more [][2]string) {
	// One allocation for all three: some clients make a connection for each request.
	b := make([]byte, 0, 2*len(o.remote)+32)
	b = wire.AppendLatin1(b, []byte(o.remote))
	address := len(b)
	if o.client.IsValid() {
		var digits [5]byte
		b = wire.AppendLatin1(b, strconv.AppendInt(digits[:0], int64(o.port), 10))
	} else {
		b = wire.AppendNone(b)
	}
	port := len(b)
	if o.peer.IsValid() {
		b = wire.AppendTuple(b, 2)
		b = wire.AppendLatin1(b, []byte(o.remote))
		b = wire.AppendInt(b, int64(o.port))
	} else {
		b = wire.AppendNone(b)
	}
	o.address, o.portText, o.clientText = b[:address:address], b[address:port:port], b[port:]

	o.more, o.constant = more, o.named
	if o.proxied || len(more) > 0 {
		o.constant = appendVariables(nil, o.variables())
	}
}

// variables are those in constant.
func (o *origin) variables() [][2]string {
	list := slices.Clone(o.names)
	if o.proxied {
		list = append(list, [2]string{"PROXY_PROTOCOL", o.proxyProtocol()},
			[2]string{"PROXY_ADDR", o.proxy}, [2]string{"PROXY_PORT", strconv.Itoa(o.proxyFor)})
	}
	return append(list, o.more...)
}

// proxyProtocol is the name of the address family as a PROXY header has it.
func (o *origin) proxyProtocol() string {
	if o.client.Is4() {
		return "TCP4"
	}
	return "TCP6"
}
