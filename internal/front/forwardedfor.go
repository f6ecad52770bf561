package front

import (
	"bytes"
	"net/netip"
	"strconv"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// This file finds out who the client is if trusted proxies say so in the field
// X-Forwarded-For.

var forwardedForName = []byte("X-Forwarded-For")

func isForwardedFor(f *http1.Field) bool {
	return len(f.Name) == len(forwardedForName) && bytes.EqualFold(f.Name, forwardedForName)
}

// readsForwardedFor reports whether the client by X-Forwarded-For is needed.
func (ex *exchange) readsForwardedFor() bool {
	return ex.cfg.ForwardedFor == "all" || ex.cfg.ForwardedFor == "asgi" && ex.kind == wire.KindASGI || ex.cfg.WorkerAffinity == "address"
}

// forwardedClient returns the client by X-Forwarded-For, to which each proxy adds the
// address that has connected to it: the rightmost address that is not a trusted proxy's,
// or, if all are, the leftmost. It reports false if the field says nothing that can be
// trusted.
func (ex *exchange) forwardedClient() (client netip.AddrPort, ok bool) {
	if !ex.cfg.trusts(ex.info.client) {
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
				return client, ok // nobody vouches for what stands before that
			}
			client, ok = hop, true
			if !ex.cfg.trusts(hop.Addr()) {
				return client, ok
			}
		}
	}
	return client, ok
}

// cutLast cuts the last item off a comma-separated list.
func cutLast(list []byte) (last, rest []byte, more bool) {
	i := bytes.LastIndexByte(list, ',')
	if i < 0 {
		return bytes.TrimSpace(list), nil, false
	}
	return bytes.TrimSpace(list[i+1:]), list[:i], true
}

// parseHop parses an address as proxies write it: with a port or without; one of IPv6
// also in brackets. The port is 0 if there is none.
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
	if !ex.normalized.forwarded || ex.cfg.ForwardedFor == "none" {
		return append(b, ex.info.clientText...)
	}
	b = wire.AppendTuple(b, 2)
	b = wire.AppendLatin1(b, ex.normalized.client.Addr().AppendTo(nil))
	return wire.AppendInt(b, int64(ex.normalized.client.Port()))
}

// appendRemote appends REMOTE_ADDR and REMOTE_PORT as values, the second None if it is
// not known.
func (ex *exchange) appendRemote(b []byte) []byte {
	if !ex.normalized.forwarded || ex.cfg.ForwardedFor != "all" {
		return append(append(b, ex.info.address...), ex.info.portText...)
	}
	b = wire.AppendLatin1(b, ex.normalized.client.Addr().AppendTo(nil))
	if port := ex.normalized.client.Port(); port != 0 {
		return wire.AppendLatin1(b, strconv.AppendUint(nil, uint64(port), 10))
	}
	return wire.AppendNone(b)
}

// remote returns REMOTE_ADDR.
func (ex *exchange) remote() string {
	if ex.normalized.forwarded && ex.cfg.ForwardedFor == "all" {
		return ex.normalized.client.Addr().String()
	}
	return ex.info.remote
}

// remotePort returns REMOTE_PORT, 0 if there is none.
func (ex *exchange) remotePort() int {
	switch {
	case ex.normalized.forwarded && ex.cfg.ForwardedFor == "all":
		return int(ex.normalized.client.Port())
	case ex.info.client.IsValid():
		return ex.info.port
	}
	return 0
}
