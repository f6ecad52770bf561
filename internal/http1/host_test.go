package http1

import "testing"

func TestValidHost(t *testing.T) {
	for _, host := range []string{
		"example.com", "EXAMPLE.com.", "a", "a-b_c~d", "192.0.2.1", "999.1", "h:80", "h:", "h:0", "h:65535", "h:0000080",
		"[::1]", "[::1]:8000", "[::ffff:192.0.2.1]", "[2001:db8:0:0:0:0:0:1]:443", "%C3%A9.example", "a,b", "a;b=c!$&'()*+",
	} {
		if !ValidHost([]byte(host)) {
			t.Errorf("%s is refused", host)
		}
	}
	for _, host := range []string{
		"", ":80", "a b", "a\tb", "a/b", "/", "u@h", "u:p@h", "h?q", "h#f", "a\\b", "http://h", "a, b", "<a>", `"a"`, "a^b", "a`b", "a|b", "{a}",
		"h:x", "h:80x", "h:-1", "h:+1", "h:65536", "h:99999999999999999999", "h:80:80", "::1", "h::", "%", "%4", "%4g", "\xc3\xa9", "a\x00", "a\x7f", "a\rb",
		"[", "]", "[]", "[::1", "::1]", "[::1]x", "[::1]:x", "x[::1]", "[[::1]]", "[::1]]", "[1.2.3.4]", "[v1.a]", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[:::1]", "[::1]80",
	} {
		if ValidHost([]byte(host)) {
			t.Errorf("%q is accepted", host)
		}
	}
}

// What comes of the Host field and of an authority in the target.
func TestHost(t *testing.T) {
	tests := []struct {
		name, input string
		want        string // value of the one Host field; "-": there is none; "400": refused
	}{
		{"field", "GET / HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "a.example:80"},
		{"none", "GET / HTTP/1.1\r\nA: b\r\n\r\n", "-"},
		{"none in 1.0", "GET / HTTP/1.0\r\n\r\n", "-"},
		{"empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ""},
		{"invalid", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
		{"invalid in 1.0", "GET / HTTP/1.0\r\nHost: a@b\r\n\r\n", "400"},
		{"two", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
		{"one of two is empty", "GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", "400"},
		{"absolute-form", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "a"},
		{"absolute-form, same", "GET http://a/ HTTP/1.1\r\nhOST: a\r\n\r\n", "a"},
		{"absolute-form, empty field", "GET http://a:1/ HTTP/1.1\r\nA: b\r\nHost:\r\nC: d\r\n\r\n", "a:1"},
		{"absolute-form, no field", "GET http://[::1]:2 HTTP/1.1\r\nA: b\r\n\r\n", "[::1]:2"},
		{"absolute-form in 1.0", "GET http://a/ HTTP/1.0\r\n\r\n", "a"},
		{"absolute-form, invalid field", "GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n", "400"},
		{"absolute-form, two fields", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
		{"authority-form", "CONNECT a:443 HTTP/1.1\r\nHost: b\r\n\r\n", "a:443"},
		{"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a"},
		{"looks like an authority", "GET //a/b HTTP/1.1\r\nHost: b\r\n\r\n", "b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := permissive()
			r, _, err := parseAll(t, &cfg, test.input)
			if err != nil {
				if test.want != "400" || asError(err).Status != 400 || err.Error() != "Invalid HTTP Header: 'HOST'" {
					t.Error(err)
				}
				return
			}
			got, count := "-", 0
			for _, f := range r.Fields {
				if equalFold(f.Name, "host") {
					got, count = string(f.Value), count+1
				}
			}
			if got != test.want || count > 1 {
				t.Errorf("%d times %q, want %q", count, got, test.want)
			}
		})
	}
}
