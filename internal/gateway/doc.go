// Package gateway reads the protocols by which a web server passes a request to an app as
// variables of CGI (RFC 3875): uwsgi, SCGI and FastCGI. It has no sockets: bytes in, and
// variables out; what FastCGI puts around a response, too.
//
//   - uwsgi: a packet of a header of four bytes and of variables with their lengths, then the
//     body. https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
//   - SCGI: a netstring of variables that end with NUL, then the body.
//     https://python.ca/scgi/protocol.txt
//   - FastCGI: records of several streams. Specification 1.0, 29 April 1996.
//
// A [Head] turns the variables into what the server has for a request that came by HTTP: the
// text of a head, which package http1 reads with all its rules, and what only the web server
// knows, such as the address of the client. So a request is held to the same rules however
// it came.
//
// The parsers do not trust who sends: they bound the size of a head and the number of its
// variables, and every length is compared with the bytes that are there. Slices that they
// return are parts of the buffer they were given, unless a comment says otherwise. An error
// is always an [*Error], and final.
package gateway
