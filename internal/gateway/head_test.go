package gateway

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func variables(list ...string) []Variable {
	var vars []Variable
	for _, p := range list {
		name, value, _ := strings.Cut(p, "=")
		vars = append(vars, Variable{[]byte(name), []byte(value)})
	}
	return vars
}

func TestHead(t *testing.T) {
	for _, test := range []struct {
		vars    []Variable
		managed bool
		text    string
		script  string
	}{
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/a b/ü", "QUERY_STRING=x=%20&y=é"), false, "GET /a%20b/%C3%BC?x=%20&y=%C3%A9 HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/a b", "REQUEST_URI=/a%20b?z"), false, "GET /a%20b HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/50%", "REQUEST_URI=/50%25"), false, "GET /50%25 HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/rewritten", "REQUEST_URI=/as/sent"), false, "GET /rewritten HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/x", "SCRIPT_NAME=/app"), false, "GET /app/x HTTP/1.0\r\n\r\n", "/app"},
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/app/x", "SCRIPT_NAME=/app"), true, "GET /app/x HTTP/1.0\r\n\r\n", "/app"},
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/x", "SCRIPT_NAME=/"), false, "GET /x HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "SCRIPT_NAME=/x"), false, "GET /x HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "SCRIPT_NAME=/app", "PATH_INFO="), false, "GET /app HTTP/1.0\r\n\r\n", "/app"},
		{variables("REQUEST_METHOD=GET", "REQUEST_URI=/a%20b/../c?d", "DOCUMENT_URI=/c", "QUERY_STRING=d"), false, "GET /c?d HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "REQUEST_URI=/a%20b?c"), false, "GET /a%20b HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET"), false, "GET / HTTP/1.0\r\n\r\n", ""},
		{variables("REQUEST_METHOD=GET", "PATH_INFO=/one", "PATH_INFO=/two"), false, "GET /two HTTP/1.0\r\n\r\n", ""},
		{
			variables("REQUEST_METHOD=POST", "CONTENT_LENGTH=3", "CONTENT_TYPE=a/b", "HTTP_HOST=h", "HTTP_X_FOO=1", "HTTP_X_FOO=2",
				"HTTP_CONNECTION=upgrade", "HTTP_TRANSFER_ENCODING=chunked", "HTTP_CONTENT_LENGTH=9", "HTTP_EXPECT=100-continue"),
			false, "POST / HTTP/1.0\r\ncontent-type: a/b\r\ncontent-length: 3\r\nhost: h\r\nx-foo: 1\r\nx-foo: 2\r\n\r\n", "",
		},
	} {
		var h Head
		if err := h.Set(test.vars, test.managed); err != nil || string(h.Text) != test.text || string(h.Script) != test.script {
			t.Errorf("%s: %q, script %q, %v; want %q, %q", show(test.vars), h.Text, h.Script, err, test.text, test.script)
		}
	}
}

func TestHeadOfClient(t *testing.T) {
	var h Head
	err := h.Set(variables("REQUEST_METHOD=GET", "REMOTE_ADDR=2001:db8::1", "REMOTE_PORT=77", "HTTPS=on", "SERVER_NAME=shop", "SERVER_PORT=443",
		"SERVER_PROTOCOL=HTTP/2.0", "REMOTE_USER=ann", "SSL_CLIENT_S_DN=CN=x", "UWSGI_SCRIPT=evil", "wsgi.errors=x", "REQUEST_URI=/"), false)
	if err != nil || h.Client.String() != "[2001:db8::1]:77" || !h.Secure || h.Server != "shop" || h.Port != "443" || h.Minor != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	if got := fmt.Sprint(h.Extra); got != "[[HTTPS on] [REMOTE_USER ann] [SSL_CLIENT_S_DN CN=x] [REQUEST_URI /]]" {
		t.Errorf("extra variables: %s", got)
	}
	err = h.Set(variables("REQUEST_METHOD=GET", "REMOTE_ADDR=unix:", "REQUEST_SCHEME=http", "SERVER_NAME=x", "SERVER_PROTOCOL=HTTP/1.0"), false)
	if err != nil || h.Client.IsValid() || h.Secure || h.Server != "" || h.Minor != 0 || len(h.Extra) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestBadVariables(t *testing.T) {
	for text, vars := range map[string][]Variable{
		"REQUEST_METHOD is missing":             variables("PATH_INFO=/"),
		"has no name":                           variables("=x"),
		`the name "A B"`:                        variables("A B=x"),
		"HTTP_X has a line break or NUL":        variables("REQUEST_METHOD=GET", "HTTP_X=a\r\nEvil: 1"),
		"REQUEST_METHOD has a line break":       variables("REQUEST_METHOD=GET / HTTP/1.1\nEvil: 1"),
		"PATH_INFO has a line break or NUL":     variables("REQUEST_METHOD=GET", "PATH_INFO=/\x00"),
		"CONTENT_LENGTH is there with two":      variables("REQUEST_METHOD=GET", "CONTENT_LENGTH=1", "CONTENT_LENGTH=2"),
		`SCRIPT_NAME is "app": it has to begin`: variables("REQUEST_METHOD=GET", "SCRIPT_NAME=app", "PATH_INFO=/"),
		`PATH_INFO is "x": it has to begin`:     variables("REQUEST_METHOD=GET", "PATH_INFO=x"),
	} {
		var h Head
		var bad *Error
		if err := h.Set(vars, false); !errors.As(err, &bad) || bad.Status != 400 || !strings.Contains(bad.Text, text) {
			t.Errorf("%s: %v, want %q", show(vars), err, text)
		}
	}
}

func TestSplitAddress(t *testing.T) {
	for bind, want := range map[string]string{
		"127.0.0.1:1":           "http false 127.0.0.1:1",
		"uwsgi://127.0.0.1:1":   "uwsgi true 127.0.0.1:1",
		"fastcgi://unix:/run/a": "fastcgi true unix:/run/a",
		"scgi://fd://3":         "scgi true fd://3",
		"http://[::1]:80":       "http true [::1]:80",
		"tcp://127.0.0.1:1":     "http false tcp://127.0.0.1:1",
		"unix:/tmp/uwsgi://x":   "http false unix:/tmp/uwsgi://x",
		"gopher://127.0.0.1:1":  "http false gopher://127.0.0.1:1",
	} {
		p, given, address := SplitAddress(bind)
		if got := fmt.Sprintf("%v %v %v", p, given, address); got != want {
			t.Errorf("%s: %s, want %s", bind, got, want)
		}
	}
}
