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

	named    bool // variables has SERVER_NAME
	more     [][2]string
	constant []byte // variables, encoded, but for these:
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
	o.address, o.portText = wire.AppendLatin1(nil, []byte(o.remote)), wire.AppendNone(nil)
	if o.client.IsValid() {
		o.portText = wire.AppendLatin1(nil, strconv.AppendInt(nil, int64(o.port), 10))
	}
	o.more, o.constant = more, nil
	for _, v := range o.variables() {
		o.named = o.named || v[0] == "SERVER_NAME"
		o.constant = wire.AppendKey(o.constant, v[0])
		o.constant = wire.AppendLatin1(o.constant, []byte(v[1]))
	}
	o.describeEnds()
}

// variables are those in constant.
func (o *origin) variables() [][2]string {
	var list [][2]string
	if o.proxied {
		list = append(list, [2]string{"PROXY_PROTOCOL", o.proxyProtocol()},
			[2]string{"PROXY_ADDR", o.proxy}, [2]string{"PROXY_PORT", strconv.Itoa(o.proxyFor)})
	}
	if host, port, err := net.SplitHostPort(o.bind); err == nil && o.network == "tcp" {
		list = append(list, [2]string{"SERVER_NAME", host}, [2]string{"SERVER_PORT", port})
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
