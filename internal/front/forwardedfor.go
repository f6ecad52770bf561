package front

import (
	"bytes"
	"net/netip"
	"strconv"

	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// This file finds out who the client is where trusted proxies say it in the field
// X-Forwarded-For.

var forwardedForName = []byte("X-Forwarded-For")

func isForwardedFor(f *http1.Field) bool {
	return len(f.Name) == len(forwardedForName) && bytes.EqualFold(f.Name, forwardedForName)
}

// readsForwardedFor reports whether somebody wants to know the client of ex.
func (ex *exchange) readsForwardedFor() bool {
	return ex.cfg.ForwardedFor == "all" || ex.cfg.ForwardedFor == "asgi" && ex.kind == dispatch.ASGI || ex.cfg.WorkerAffinity == "address"
}

// forwardedClient is the client by X-Forwarded-For, to which each proxy adds who has
// connected to it: the rightmost address that is not one of a trusted proxy, or, if
// all are, the leftmost. false: it says nothing that can be trusted.
func (ex *exchange) forwardedClient() (client netip.AddrPort, ok bool) {
	if !ex.cfg.trusts(ex.from.client) {
		return client, false
	}
	fields := ex.req.Fields
	for i := len(fields) - 1; i >= 0; i-- {
		if !isForwardedFor(&fields[i]) {
			continue
		}
		for rest, more := fields[i].Value, true; more; {
			var last []byte
			last, rest, more = cutLast(rest)
			if len(last) == 0 {
				continue // RFC 9110 section 5.6.1.2
			}
			hop, err := parseHop(string(last))
			if err != nil {
				return client, ok // nobody vouches for what is left of that
			}
			client, ok = hop, true
			if !ex.cfg.trusts(hop.Addr()) {
				return client, ok
			}
		}
	}
	return client, ok
}

// cutLast cuts the last item off a list with commas.
func cutLast(list []byte) (last, rest []byte, more bool) {
	i := bytes.LastIndexByte(list, ',')
	if i < 0 {
		return bytes.TrimSpace(list), nil, false
	}
	return bytes.TrimSpace(list[i+1:]), list[:i], true
}

// parseHop reads an address as proxies write it: with a port or without, of IPv6 also
// in brackets. The port is 0 if there is none.
func parseHop(s string) (netip.AddrPort, error) {
	if hop, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(hop.Addr().Unmap().WithZone(""), hop.Port()), nil
	}
	if len(s) > 1 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(s)
	return netip.AddrPortFrom(addr.Unmap().WithZone(""), 0), err
}

// appendClient appends the client as the scope of ASGI has it.
func (ex *exchange) appendClient(b []byte) []byte {
	if !ex.sifted.forwarded || ex.cfg.ForwardedFor == "none" {
		return append(b, ex.from.clientText...)
	}
	b = wire.AppendTuple(b, 2)
	b = wire.AppendLatin1(b, ex.sifted.client.Addr().AppendTo(nil))
	return wire.AppendInt(b, int64(ex.sifted.client.Port()))
}

// appendRemote appends REMOTE_ADDR and REMOTE_PORT as values, the second None if it is
// not known.
func (ex *exchange) appendRemote(b []byte) []byte {
	if !ex.sifted.forwarded || ex.cfg.ForwardedFor != "all" {
		return append(append(b, ex.from.address...), ex.from.portText...)
	}
	b = wire.AppendLatin1(b, ex.sifted.client.Addr().AppendTo(nil))
	if port := ex.sifted.client.Port(); port != 0 {
		return wire.AppendLatin1(b, strconv.AppendUint(nil, uint64(port), 10))
	}
	return wire.AppendNone(b)
}

// remote is REMOTE_ADDR, for the log.
func (ex *exchange) remote() string {
	if ex.sifted.forwarded && ex.cfg.ForwardedFor == "all" {
		return ex.sifted.client.Addr().String()
	}
	return ex.from.remote
}

// remotePort is REMOTE_PORT, 0 if there is none.
func (ex *exchange) remotePort() int {
	switch {
	case ex.sifted.forwarded && ex.cfg.ForwardedFor == "all":
		return int(ex.sifted.client.Port())
	case ex.from.client.IsValid():
		return ex.from.port
	}
	return 0
}
