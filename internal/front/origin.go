package front

import (
	"net"
	"net/netip"
	"strconv"

	"indrik/internal/wire"
)

// An origin is what all requests of a connection have in common: who sends them,
// and where to. It does not change once requests are read.
type origin struct {
	bind    string // of the listener
	network string // tcp or unix
	secure  bool   // TLS

	peer     netip.Addr // who is at the other end of the socket; invalid on a unix socket
	client   netip.Addr // the same, or who a trusted PROXY header says
	remote   string     // as REMOTE_ADDR
	port     int
	proxied  bool   // there was a PROXY header with addresses
	proxy    string // then: where the client had connected to
	proxyFor int

	named    bool   // constant has SERVER_NAME
	constant []byte // this part of the environ, encoded, but for these:
	address  []byte // REMOTE_ADDR
	portText []byte // REMOTE_PORT, or None
	server   []byte // "server" of the scope
	tls      []byte // an item of the extensions in it, if there is TLS

	clientText []byte // its client, or None
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

// describe encodes the part of the environ that is the same for every request.
// more is for what TLS has to say.
func (o *origin) describe(more [][2]string) {
	var b []byte
	str := func(key, value string) {
		b = wire.AppendKey(b, key)
		b = wire.AppendLatin1(b, []byte(value))
	}
	o.address, o.portText = wire.AppendLatin1(nil, []byte(o.remote)), wire.AppendNone(nil)
	if o.client.IsValid() {
		o.portText = wire.AppendLatin1(nil, strconv.AppendInt(nil, int64(o.port), 10))
	}
	if o.proxied {
		str("PROXY_PROTOCOL", o.proxyProtocol())
		str("PROXY_ADDR", o.proxy)
		str("PROXY_PORT", strconv.Itoa(o.proxyFor))
	}
	if host, port, err := net.SplitHostPort(o.bind); err == nil && o.network == "tcp" {
		o.named = true
		str("SERVER_NAME", host)
		str("SERVER_PORT", port)
	}
	for _, v := range more {
		str(v[0], v[1])
	}
	o.constant = b
	o.describeEnds()
}

// proxyProtocol is the name of the address family as a PROXY header has it.
func (o *origin) proxyProtocol() string {
	if o.client.Is4() {
		return "TCP4"
	}
	return "TCP6"
}
