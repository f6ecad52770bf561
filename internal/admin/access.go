package admin

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// An access is an [Access], ready for use.
type access struct {
	all, unix bool
	networks  []netip.Prefix
	hosts     []string
}

func newAccess(a Access) *access {
	var n access
	for _, word := range a.Allow {
		switch word {
		case "*":
			n.all = true
		case "unix":
			n.unix = true
		default:
			if p, err := netip.ParsePrefix(word); err == nil {
				// The peers' addresses are unmapped, too: RFC 4291 section 2.5.5.2.
				if p.Addr().Is4In6() && p.Bits() >= 96 {
					p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
				}
				n.networks = append(n.networks, p)
			} else if ip, err := netip.ParseAddr(word); err == nil {
				ip = ip.Unmap().WithZone("")
				n.networks = append(n.networks, netip.PrefixFrom(ip, ip.BitLen()))
			}
		}
	}
	n.hosts = a.Hosts
	return &n
}

// peerOf returns the address of a peer, as net.Conn has it; the zero address stands for the
// peers of unix sockets.
func peerOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func describe(peer netip.Addr) string {
	if !peer.IsValid() {
		return "a unix socket"
	}
	return peer.String()
}

// admits reports whether a peer may ask.
func (s *Server) admits(peer netip.Addr) bool {
	a := s.access.Load()
	if a.all || !peer.IsValid() {
		return a.all || a.unix
	}
	return slices.ContainsFunc(a.networks, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// isHost reports whether a request names this server by an address, or by a name that it has.
// A browser cannot come by a unix socket.
func (a *access) isHost(r *http.Request) bool {
	if !peerOf(r.RemoteAddr).IsValid() {
		return true
	}
	host := hostOf(r.Host)
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" || slices.ContainsFunc(a.hosts, func(name string) bool { return name == "*" || strings.EqualFold(name, host) })
}

// hostOf returns a host without its port, and without the brackets of IPv6.
func hostOf(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return "" // it is none
		}
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// isOwnOrigin reports whether a request comes from a page of this server, or from no page
// at all (RFC 6454, and Fetch Metadata, which newer browsers add).
func isOwnOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	origin := r.Header.Values("Origin")
	if len(origin) == 0 {
		return true
	}
	_, host, ok := strings.Cut(origin[0], "://")
	return ok && len(origin) == 1 && strings.EqualFold(host, r.Host)
}
