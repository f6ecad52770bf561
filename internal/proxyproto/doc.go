// Package proxyproto decodes the header by which a proxy tells, at the start of
// a connection, whose connection it relays: the PROXY protocol, versions 1 (a
// line of text) and 2 (binary), as in HAProxy's specification
// (proxy-protocol.txt; its sections are named below).
//
// Parse looks at bytes that somebody else has read or peeked, and keeps nothing
// of them. It does not read, wait or decide whom to believe: the caller must
// have checked that the peer is a proxy it trusts, and bounds the time that a
// header may take. A header is accepted whole or not at all, and no prefix of a
// header is another one.
//
// It is strict: what deviates from the specification is an *Error. In two
// points the specification leaves a choice, and these are made:
//
//   - UNKNOWN in version 1, and UNSPEC in version 2, are accepted: section 2.1
//     asks for it, and proxies send it in health checks. The connection's own
//     addresses hold then. (Gunicorn's WSGI workers refuse UNKNOWN.)
//   - Datagrams and unix sockets in version 2 are refused, as Gunicorn does: no
//     client of an HTTP server comes that way.
//
// Why not a library: those at hand wrap a net.Conn or a listener and read from
// it themselves, while the front decides for each connection whether its peer
// is trusted, and hands the bytes that follow, already read, to TLS or HTTP.
// They are also tolerant (leading zeros, lengths of TLVs, checksums that nobody
// verifies), where a difference in reading between two programs lets a client
// choose its address.
package proxyproto
