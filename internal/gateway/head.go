package gateway

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"

	"indrik/internal/http1"
)

// A Head is what the variables of a request say, in two parts: the head of an HTTP request,
// and what the web server alone knows. Reuse it to avoid allocation.
type Head struct {
	// Text is the head of a request of HTTP/1.0, for package http1. Nothing of it is
	// believed but that its lines end where they should. It is memory of the Head's own.
	Text []byte

	Client       netip.AddrPort // by REMOTE_ADDR and REMOTE_PORT; not valid if these are not
	Secure       bool           // the client's connection has TLS
	Server, Port string         // SERVER_NAME and SERVER_PORT, empty unless both are there
	Script       []byte         // SCRIPT_NAME, a copy
	Minor        int            // of the client's version HTTP/1.x; 1 for later versions

	// Extra is all other variables, for the environ of the app.
	Extra [][2]string
}

// hopByHop are the header fields that concern the connection between the client and the web
// server, or that the variables CONTENT_TYPE and CONTENT_LENGTH say already.
var hopByHop = []string{
	"HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_PROXY_CONNECTION", "HTTP_TE", "HTTP_TRAILER",
	"HTTP_TRANSFER_ENCODING", "HTTP_UPGRADE", "HTTP_EXPECT", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE",
}

// decisive are the variables that a Head is made of. A web server that is told to send one
// of them twice means the last.
var decisive = []string{
	"REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "CONTENT_LENGTH",
	"CONTENT_TYPE", "REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "HTTPS",
	"REQUEST_SCHEME", "DOCUMENT_URI",
}

// own are the variables that the environ has from elsewhere.
var own = []string{
	"REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "CONTENT_LENGTH", "CONTENT_TYPE",
	"REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "RAW_URI", "SCGI",
}

// Set reads the variables of a request. managed says that PATH_INFO begins with SCRIPT_NAME,
// which is not a part of it then. The variables may be forgotten afterwards.
func (h *Head) Set(vars []Variable, managed bool) error {
	var cgi [15][]byte // the values of decisive, nil: not there
	extra := h.Extra[:0]
	*h = Head{Text: h.Text[:0], Minor: 1}
	for _, v := range vars {
		if err := checkVariable(v); err != nil {
			return err
		}
		if i := slices.Index(decisive, string(v.Name)); i >= 0 {
			if cgi[i] != nil && string(v.Name) == "CONTENT_LENGTH" && !bytes.Equal(cgi[i], v.Value) {
				return badRequest("the variable CONTENT_LENGTH is there with two values")
			}
			cgi[i] = v.Value
			if v.Value == nil {
				cgi[i] = []byte{}
			}
		}
		if belongsToApp(v.Name) {
			extra = append(extra, [2]string{string(v.Name), string(v.Value)})
		}
	}
	h.Extra = extra
	value := func(name string) []byte { return cgi[slices.Index(decisive, name)] }

	h.setClient(value("REMOTE_ADDR"), value("REMOTE_PORT"))
	h.Secure = isOn(value("HTTPS")) || bytes.EqualFold(value("REQUEST_SCHEME"), []byte("https"))
	if name, port := value("SERVER_NAME"), value("SERVER_PORT"); len(name) > 0 && len(port) > 0 {
		h.Server, h.Port = string(name), string(port)
	}
	if string(value("SERVER_PROTOCOL")) == "HTTP/1.0" {
		h.Minor = 0
	}
	info := value("PATH_INFO")
	if info == nil && value("SCRIPT_NAME") == nil {
		// nginx's scgi_params. REQUEST_URI is what the client has sent, and not what the web
		// server has decided by.
		if info = value("DOCUMENT_URI"); info == nil {
			uri, _, _ := bytes.Cut(value("REQUEST_URI"), []byte{'?'})
			info = http1.DecodePath(uri)
		}
	}
	path, err := h.setScript(value("SCRIPT_NAME"), info, managed)
	if err != nil {
		return err
	}
	if len(value("REQUEST_METHOD")) == 0 {
		return badRequest("the variable REQUEST_METHOD is missing")
	}
	b := append(append(h.Text, value("REQUEST_METHOD")...), ' ')
	b = appendTarget(b, value("REQUEST_URI"), path, value("QUERY_STRING"))
	b = append(b, " HTTP/1.0\r\n"...)
	b = appendField(b, "content-type", value("CONTENT_TYPE"))
	b = appendField(b, "content-length", value("CONTENT_LENGTH"))
	for _, v := range vars {
		if name, ok := bytes.CutPrefix(v.Name, []byte("HTTP_")); ok && !slices.Contains(hopByHop, string(v.Name)) {
			b = append(append(appendFieldName(b, name), ": "...), v.Value...)
			b = append(b, '\r', '\n')
		}
	}
	h.Text = append(b, '\r', '\n')
	return nil
}

// checkVariable returns an error for what could not stand in a line of a head, or in an
// environ.
func checkVariable(v Variable) error {
	if len(v.Name) == 0 {
		return badRequest("a variable has no name")
	}
	for _, c := range v.Name {
		if c <= ' ' || c >= 0x7f || c == ':' || c == '=' {
			return badRequest("a variable has the name %q", v.Name)
		}
	}
	if bytes.ContainsAny(v.Value, "\r\n\x00") {
		return badRequest("the variable %s has a line break or NUL", v.Name)
	}
	return nil
}

// belongsToApp reports whether a variable is passed to the app as it is. Those of wsgi. are
// the server's; those of UWSGI_ tell uWSGI to load another app, which nobody does here.
func belongsToApp(name []byte) bool {
	for _, prefix := range []string{"HTTP_", "UWSGI_", "wsgi.", "indrik."} {
		if bytes.HasPrefix(name, []byte(prefix)) {
			return false
		}
	}
	return !slices.Contains(own, string(name))
}

func isOn(value []byte) bool {
	for _, on := range []string{"on", "1", "true"} {
		if bytes.EqualFold(value, []byte(on)) {
			return true
		}
	}
	return false
}

func (h *Head) setClient(addr, port []byte) {
	a, err := netip.ParseAddr(string(addr))
	if err != nil {
		return // nginx says "unix:" of a client on a unix socket
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil {
		n = 0
	}
	h.Client = netip.AddrPortFrom(a.WithZone(""), uint16(n))
}

// setScript returns the whole path, as the client asked for it: SCRIPT_NAME and PATH_INFO.
func (h *Head) setScript(script, info []byte, managed bool) (path []byte, err error) {
	switch {
	case info == nil:
		// Nothing says where the app is mounted. nginx's fastcgi_params calls the whole
		// path SCRIPT_NAME then, and so does Apache.
		script, info = nil, script
	case string(script) == "/":
		script = nil // some web servers name the root so
	}
	if len(script) > 0 && script[0] != '/' {
		return nil, badRequest("the variable SCRIPT_NAME is %q: it has to begin with a slash", script)
	}
	h.Script = bytes.Clone(script)
	if managed {
		if rest, ok := bytes.CutPrefix(info, script); ok {
			info = rest
		}
	}
	path = append(bytes.Clone(script), info...)
	if len(path) == 0 {
		path = []byte{'/'}
	}
	if path[0] != '/' {
		return nil, badRequest("the variable PATH_INFO is %q: it has to begin with a slash", info)
	}
	return path, nil
}

// appendTarget appends the target of the request line. It is what the client has sent, by
// REQUEST_URI, if that leads to the same path; a web server that rewrites paths changes only
// PATH_INFO.
func appendTarget(b, uri, path, query []byte) []byte {
	raw, _, _ := bytes.Cut(uri, []byte{'?'})
	if bytes.Equal(http1.DecodePath(raw), path) && !bytes.ContainsAny(raw, " #") {
		b = append(b, raw...)
	} else {
		b = appendEscaped(b, path, "!$&'()*+,;=:@/-._~")
	}
	if len(query) > 0 {
		b = appendEscaped(append(b, '?'), query, "!$&'()*+,;=:@/-._~?%[]{}|\\^`\"<>")
	}
	return b
}

// appendEscaped appends text with percent encoding, except for letters, digits and the
// bytes of plain.
func appendEscaped(b, text []byte, plain string) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', bytes.IndexByte([]byte(plain), c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func appendField(b []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return b // nginx sends those that are not there as empty
	}
	b = append(append(append(b, name...), ": "...), value...)
	return append(b, '\r', '\n')
}

// appendFieldName appends the name of a header field as far as the variable tells it: a
// hyphen and an underscore look the same there.
func appendFieldName(b, name []byte) []byte {
	for _, c := range name {
		switch {
		case c == '_':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}
