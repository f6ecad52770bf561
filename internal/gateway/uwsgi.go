package gateway

import "encoding/binary"

const uwsgiHeader = 4

// The values of modifier1 that are requests. ManagePathInfo says that PATH_INFO has
// SCRIPT_NAME at its start, which is to be removed.
const (
	modifierRequest        = 0
	modifierManagePathInfo = 30
)

// ParseUWSGI reads the packet at the start of buf, and appends its variables to vars. It
// returns the length of the packet, after which the body begins, or 0 if more bytes are
// needed. managed says that PATH_INFO begins with SCRIPT_NAME.
func ParseUWSGI(buf []byte, vars []Variable) (list []Variable, n int, managed bool, err error) {
	if len(buf) == 0 {
		return vars, 0, false, nil
	}
	if m := buf[0]; m != modifierRequest && m != modifierManagePathInfo {
		return vars, 0, false, &Error{Status: 501, Text: modifierText(m)}
	}
	if len(buf) < uwsgiHeader {
		return vars, 0, false, nil
	}
	n = uwsgiHeader + int(binary.LittleEndian.Uint16(buf[1:]))
	if len(buf) < n {
		return vars, 0, false, nil
	}
	for rest := buf[uwsgiHeader:n]; len(rest) > 0; {
		var v Variable
		var ok bool
		if v.Name, rest, ok = cutUWSGI(rest); !ok {
			return vars, 0, false, badRequest("the uwsgi packet ends within the name of a variable")
		}
		if v.Value, rest, ok = cutUWSGI(rest); !ok {
			return vars, 0, false, badRequest("the uwsgi packet ends within the value of a variable")
		}
		if len(vars) == maxVariables {
			return vars, 0, false, tooLarge(UWSGI, errTooManyVariables)
		}
		vars = append(vars, v)
	}
	return vars, n, buf[0] == modifierManagePathInfo, nil
}

// modifierText names what the first byte looks like: most often the web server is set to
// speak HTTP, or TLS, to a port for uwsgi.
func modifierText(m byte) string {
	switch {
	case m == 22:
		return "modifier1 of the uwsgi packet is 22, or this is TLS: neither is served here"
	case m >= 'A' && m <= 'Z':
		return "this is HTTP, or no uwsgi: let the web server use uwsgi (nginx: uwsgi_pass in place of proxy_pass)"
	}
	return badRequest("modifier1 of the uwsgi packet is %d: only requests of WSGI (0 and 30) are served", m).Text
}

func cutUWSGI(b []byte) (text, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, b, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	b = b[2:]
	if len(b) < n {
		return nil, b, false
	}
	return b[:n], b[n:], true
}
