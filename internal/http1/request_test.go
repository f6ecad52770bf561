package http1

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// parseAll parses input at once, byte by byte and cut in random places, each
// time from a buffer that moves, and fails the test if the outcomes differ.
func parseAll(t *testing.T, cfg *Config, input string) (*Request, int, error) {
	t.Helper()
	whole := new(Request)
	n, err := ParseRequest(cfg, []byte(input), whole)
	rnd := rand.New(rand.NewPCG(uint64(len(input)), 1))
	for _, most := range []int{1, 7, 100, 1 + len(input)/2} {
		parts := new(Request)
		var pn int
		var perr error
		for end := 0; end < len(input) && pn == 0 && perr == nil; {
			end = min(len(input), end+1+rnd.IntN(most))
			pn, perr = ParseRequest(cfg, []byte(input[:end]), parts)
		}
		if err != nil && pn == 0 && perr == nil && len(input) > promptHead {
			// It may be told a little later, see nothingNew.
			pn, perr = ParseRequest(cfg, []byte(input+strings.Repeat("x\n", len(input)/16)), parts)
		}
		if pn != n || (err == nil) != (perr == nil) {
			t.Fatalf("at once: %d, %v; in pieces of up to %d bytes: %d, %v", n, err, most, pn, perr)
		}
		if err != nil {
			if asError(err).Kind != asError(perr).Kind {
				t.Fatalf("at once: %v; in pieces of up to %d bytes: %v", err, most, perr)
			}
			continue
		}
		if a, b := describe(whole), describe(parts); n > 0 && a != b {
			t.Fatalf("at once:\n%s\nin pieces of up to %d bytes:\n%s", a, most, b)
		}
	}
	return whole, n, err
}

// asError returns err as an error of the parser, an empty one if it is another.
func asError(err error) *Error {
	e := &Error{}
	_ = errors.As(err, &e)
	return e
}

// describe is everything public of a request.
func describe(r *Request) string {
	s := fmt.Sprintf("%s|%s|%s|%s|%s|%d.%d|%d", r.Method, r.Target, r.Path, r.Query, r.Authority, r.Major, r.Minor, r.ContentLength)
	for _, flag := range []struct {
		on   bool
		name string
	}{{r.Chunked, "chunked"}, {r.ForceClose, "force-close"}, {r.KeepAlive, "keep-alive"}, {r.Expect100, "expect"}} {
		if flag.on {
			s += "|" + flag.name
		}
	}
	for _, f := range r.Fields {
		s += fmt.Sprintf("\n%s=%s", f.Name, f.Value)
	}
	return s
}

// permissive is the configuration of tests whose requests are short: Host is left
// out in most.
func permissive() Config {
	cfg := DefaultConfig()
	cfg.PermitMissingHost = true
	return cfg
}

func needHost(c *Config) { c.PermitMissingHost = false }

func TestParseRequest(t *testing.T) {
	long := strings.Repeat("a", 8000)
	tests := []struct {
		name, input string
		change      func(*Config)
		want        string // as describe says it
	}{
		{"plain", "GET / HTTP/1.1\r\n\r\n", nil, "GET|/|/|||1.1|-1|keep-alive"},
		{"fields in order and case", "GET /a?b=c HTTP/1.1\r\nHost: x:80\r\nX-Two: \t b c \t\r\nx-two:\r\n\r\n", nil,
			"GET|/a?b=c|/a|b=c||1.1|-1|keep-alive\nHost=x:80\nX-Two=b c\nx-two="},
		{"no host permitted", "GET / HTTP/1.1\r\nA: b\r\n\r\n", nil, "GET|/|/|||1.1|-1|keep-alive\nA=b"},
		{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", needHost, "GET|/|/|||1.1|-1|keep-alive\nHost="},
		{"1.0 without host", "GET / HTTP/1.0\r\n\r\n", needHost, "GET|/|/|||1.0|-1"},
		{"1.0", "GET / HTTP/1.0\r\n\r\n", nil, "GET|/|/|||1.0|-1"},
		{"later minor version", "GET / HTTP/1.5\r\n\r\n", nil, "GET|/|/|||1.5|-1|keep-alive"},
		{"1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", nil, "GET|/|/|||1.0|-1|keep-alive\nConnection=Keep-Alive"},
		{"close", "GET / HTTP/1.1\r\nConnection: CLOSE\r\n\r\n", nil, "GET|/|/|||1.1|-1\nConnection=CLOSE"},
		{"close in a list", "GET / HTTP/1.1\r\nConnection: x, close ,y\r\n\r\n", nil, "GET|/|/|||1.1|-1\nConnection=x, close ,y"},
		{"close weighs more", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", nil, "GET|/|/|||1.0|-1\nConnection=keep-alive\nConnection=close"},
		{"keep-alive in a list", "GET / HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\n\r\n", nil, "GET|/|/|||1.0|-1|keep-alive\nConnection=keep-alive, Upgrade"},
		{"length", "PUT / HTTP/1.1\r\nContent-Length: 0012\r\n\r\n", nil, "PUT|/|/|||1.1|12|keep-alive\nContent-Length=0012"},
		{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", nil, "POST|/|/|||1.1|-1|chunked|keep-alive\nTransfer-Encoding=chunked"},
		{"identity below", "POST / HTTP/1.1\r\nTransfer-Encoding: identity, Chunked\r\n\r\n", nil, "POST|/|/|||1.1|-1|chunked|keep-alive\nTransfer-Encoding=identity, Chunked"},
		{"gzip below", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", nil,
			"POST|/|/|||1.1|-1|chunked|force-close|keep-alive\nTransfer-Encoding=gzip\nTransfer-Encoding=chunked"},
		{"expect", "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n", nil, "POST|/|/|||1.1|3|keep-alive|expect\nExpect=100-Continue\nContent-Length=3"},
		{"expect in 1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", nil, "POST|/|/|||1.0|3\nExpect=100-continue\nContent-Length=3"},
		{"opaque bytes", "GET / HTTP/1.1\r\nA: \x80\xff\r\n\r\n", nil, "GET|/|/|||1.1|-1|keep-alive\nA=\x80\xff"},
		{"target not ASCII permitted", "GET /\xe9?\xff HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitNonASCIITarget = true }, "GET|/\xe9?\xff|/\xe9|\xff||1.1|-1|keep-alive"},
		{"token", "GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~aZ09: x:y\r\n\r\n", nil, "GET|/|/|||1.1|-1|keep-alive\n!#$%&'*+-.^_`|~aZ09=x:y"},
		{"slashes", "GET ///a//b HTTP/1.1\r\n\r\n", nil, "GET|///a//b|///a//b|||1.1|-1|keep-alive"},
		{"fragment", "GET /a#b?c HTTP/1.1\r\n\r\n", nil, "GET|/a#b?c|/a|||1.1|-1|keep-alive"},
		{"fragment after query", "GET /a?b?c#d HTTP/1.1\r\n\r\n", nil, "GET|/a?b?c#d|/a|b?c||1.1|-1|keep-alive"},
		{"absolute", "GET http://h.example:80/a?b HTTP/1.1\r\n\r\n", nil, "GET|http://h.example:80/a?b|/a|b|h.example:80|1.1|-1|keep-alive\nHost=h.example:80"},
		{"absolute without a path", "GET HTTPS://[::1]:8?b HTTP/1.1\r\n\r\n", nil, "GET|HTTPS://[::1]:8?b|/|b|[::1]:8|1.1|-1|keep-alive\nHost=[::1]:8"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\n\r\n", nil, "OPTIONS|*|*|||1.1|-1|keep-alive"},
		{"authority", "CONNECT h:443 HTTP/1.1\r\n\r\n", nil, "CONNECT|h:443|||h:443|1.1|-1\nHost=h:443"},
		{"method of 20", "ABCDEFGHIJ-LMNOPQRST / HTTP/1.1\r\n\r\n", nil, "ABCDEFGHIJ-LMNOPQRST|/|/|||1.1|-1|keep-alive"},
		{"long line", "GET /" + long + " HTTP/1.1\r\n\r\n", func(c *Config) { c.LimitRequestLine = 8190 },
			"GET|/" + long + "|/" + long + "|||1.1|-1|keep-alive"},
		{"line without limit", "GET /" + long + long + " HTTP/1.1\r\n\r\n", func(c *Config) { c.LimitRequestLine = 0 },
			"GET|/" + long + long + "|/" + long + long + "|||1.1|-1|keep-alive"},
		{"line at the limit", "GET /a HTTP/1.1\r\n\r\n", func(c *Config) { c.LimitRequestLine = 15 }, "GET|/a|/a|||1.1|-1|keep-alive"},
		{"fields at the limit", "GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n", func(c *Config) { c.LimitRequestFields = 2 }, "GET|/|/|||1.1|-1|keep-alive\nA=b\nC=d"},
		{"field at the limit", "GET / HTTP/1.1\r\nA: b\r\n\r\n", func(c *Config) { c.LimitRequestFieldSize = 6 }, "GET|/|/|||1.1|-1|keep-alive\nA=b"},
		{"folding permitted", "GET / HTTP/1.1\r\nA: b\r\n \t c\r\n \r\n\td \r\nE:\r\n f\r\n\r\n", func(c *Config) { c.PermitObsoleteFolding = true },
			"GET|/|/|||1.1|-1|keep-alive\nA=b c d\nE=f"},
		{"folded length", "GET / HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\n", func(c *Config) { c.PermitObsoleteFolding = true },
			"GET|/|/|||1.1|5|keep-alive\nContent-Length=5"},
		{"space before colon permitted", "GET / HTTP/1.1\r\nA \t: b\r\n\r\n", func(c *Config) { c.StripHeaderSpaces = true }, "GET|/|/|||1.1|-1|keep-alive\nA=b"},
		{"method permitted", "-b#c / HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPMethod = true }, "-b#c|/|/|||1.1|-1|keep-alive"},
		{"short method permitted", "q / HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPMethod = true }, "q|/|/|||1.1|-1|keep-alive"},
		{"method cased", "gEt / HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPMethod, c.CasefoldHTTPMethod = true, true }, "GET|/|/|||1.1|-1|keep-alive"},
		{"options cased", "options * HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPMethod, c.CasefoldHTTPMethod = true, true }, "OPTIONS|*|*|||1.1|-1|keep-alive"},
		{"old version permitted", "GET / HTTP/0.9\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPVersion = true }, "GET|/|/|||0.9|-1"},
		{"new version permitted", "GET / HTTP/2.0\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPVersion = true }, "GET|/|/|||2.0|-1|keep-alive"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := permissive()
			if test.change != nil {
				test.change(&cfg)
			}
			r, n, err := parseAll(t, &cfg, test.input)
			if err != nil || n != len(test.input) {
				t.Fatalf("%d of %d bytes, %v", n, len(test.input), err)
			}
			if got := describe(r); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			// What follows the head must not matter.
			n, err = ParseRequest(&cfg, []byte(test.input+"GET \x00\n"), r)
			if err != nil || n != len(test.input) || describe(r) != test.want {
				t.Errorf("with more behind: %d bytes, %v\n%s", n, err, describe(r))
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	head := func(fields ...string) string {
		return "POST / HTTP/1.1\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
	}
	fields := func(s string, n int) string { return "GET / HTTP/1.1\r\n" + strings.Repeat(s, n) + "\r\n" }
	tests := []struct {
		name, input string
		change      func(*Config)
		kind        Kind
		text        string // not checked if empty
	}{
		{"empty line first", "\r\nGET / HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"bare LF first", "\nGET / HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"one word", "GET\r\n\r\n", nil, InvalidRequestLine, `Invalid HTTP request line: 'GET'`},
		{"HTTP/0.9 form", "GET /\r\n\r\n", nil, InvalidRequestLine, ""},
		{"bare LF", "GET / HTTP/1.1\nHost: x\n\n", nil, InvalidRequestLine, ""},
		{"two spaces", "GET  / HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"tab in target", "GET /a\tb HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"NUL in target", "GET /a\x00b HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, `Invalid HTTP request line: 'GET /a\x00b HTTP/1.1'`},
		{"bare CR in target", "GET /a\rb HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"asterisk with GET", "GET * HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"authority with GET", "GET h:443 HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"path with CONNECT", "CONNECT /a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"CONNECT without a port", "CONNECT h HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"relative target", "GET a/b HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"bracket left open", "GET http://[::1/a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"no address in brackets", "GET http://[x]/a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"no host", "GET http:///a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"user name", "GET http://u:p@h/a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"port of letters", "GET http://h:x/a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"port beyond TCP", "GET http://h:65536/a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"CONNECT to nobody", "CONNECT :443 HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"CONNECT with half a port", "CONNECT [::1]: HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"no scheme", "GET ://h/a HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"half an escape in the host", "GET http://h%4/ HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"UTF-8 in target", "GET /\xc3\xa9 HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"Latin-1 in target", "GET /logi\xd2n HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, `Invalid HTTP request line: 'GET /logiÒn HTTP/1.1'`},
		{"not ASCII in the query", "GET /?\x80 HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"not ASCII in an absolute target", "GET http://h/\xff HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"not ASCII in a fragment", "GET /#\xa0 HTTP/1.1\r\n\r\n", nil, InvalidRequestLine, ""},
		{"DEL in target although permitted", "GET /\x7f HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitNonASCIITarget = true }, InvalidRequestLine, ""},
		{"not ASCII in the host although permitted", "GET http://\xff/ HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitNonASCIITarget = true }, InvalidRequestLine, ""},

		{"lower case", "get / HTTP/1.1\r\n\r\n", nil, InvalidRequestMethod, `Invalid HTTP method: 'get'`},
		{"casefold permits nothing", "get / HTTP/1.1\r\n\r\n", func(c *Config) { c.CasefoldHTTPMethod = true }, InvalidRequestMethod, ""},
		{"too short", "GE / HTTP/1.1\r\n\r\n", nil, InvalidRequestMethod, ""},
		{"too long", "ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1\r\n\r\n", nil, InvalidRequestMethod, ""},
		{"hash", "GET# / HTTP/1.1\r\n\r\n", nil, InvalidRequestMethod, ""},
		{"colon", "GET: / HTTP/1.1\r\n\r\n", nil, InvalidRequestMethod, ""},
		{"not ASCII", "G\xcbT / HTTP/1.1\r\n\r\n", nil, InvalidRequestMethod, "Invalid HTTP method: 'GËT'"},
		{"NUL", "\x00GET / HTTP/1.1\r\n\r\n", nil, InvalidRequestMethod, ""},
		{"no token although permitted", "G(T / HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPMethod = true }, InvalidRequestMethod, ""},
		{"no method", " / HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPMethod = true }, InvalidRequestMethod, ""},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 x \r\n", nil, InvalidRequestMethod, ""},

		{"FTP", "GET / FTP/1.1\r\n\r\n", nil, InvalidHTTPVersion, `Invalid HTTP Version: 'FTP/1.1'`},
		{"lower case version", "GET / http/1.1\r\n\r\n", nil, InvalidHTTPVersion, ""},
		{"long version", "GET / HTTP/111\r\n\r\n", nil, InvalidHTTPVersion, ""},
		{"four words", "GET / HTTP/1.1 x\r\n\r\n", nil, InvalidHTTPVersion, `Invalid HTTP Version: 'HTTP/1.1 x'`},
		{"space behind", "GET / HTTP/1.1 \r\n\r\n", nil, InvalidHTTPVersion, ""},
		{"bare CR behind", "GET / HTTP/1.1\r\r\n\r\n", nil, InvalidHTTPVersion, ""},
		{"huge version", "GET / HTTP/1.99999999999999999999\r\n\r\n", nil, InvalidHTTPVersion, ""},
		{"0.9", "GET / HTTP/0.9\r\n\r\n", nil, InvalidHTTPVersion, `Invalid HTTP Version: (0, 9)`},
		{"2.0", "GET / HTTP/2.0\r\n\r\n", nil, InvalidHTTPVersion, `Invalid HTTP Version: (2, 0)`},

		{"no colon", head("abc"), nil, InvalidHeader, `Invalid HTTP Header: 'abc'`},
		{"no name", head(": b"), nil, InvalidHeader, ""},
		{"space before colon", head("A : b"), nil, InvalidHeaderName, `Invalid HTTP header name: 'A '`},
		{"space first", head(" A: b"), nil, InvalidHeaderName, ""},
		{"space first although folding", head(" A: b"), func(c *Config) { c.PermitObsoleteFolding = true }, InvalidHeaderName, ""},
		{"NUL in name", head("A\x00: b"), nil, InvalidHeaderName, ""},
		{"CR in name", head("A\rB: b"), nil, InvalidHeaderName, ""},
		{"name not ASCII", head("\xdf: b"), nil, InvalidHeaderName, ""},
		{"bracket in name", head("A[0]: b"), nil, InvalidHeaderName, ""},
		{"BEL", head("A: \x07"), nil, InvalidHeader, `Invalid HTTP Header: 'A'`},
		{"DEL", head("Abc: bcdefghi\x7fjklmnop"), nil, InvalidHeader, `Invalid HTTP Header: 'ABC'`},
		{"NUL", head("A: 0123456789\x00"), nil, InvalidHeader, ""},
		{"bare CR", head("A: b\rc"), nil, InvalidHeader, ""},
		{"bare CR at the end", head("A: b\r"), nil, InvalidHeader, ""},
		{"bare LF in a value", head("A: b\nC: d"), nil, InvalidHeader, ""},
		{"bare LF at the end", "GET / HTTP/1.1\r\nA: b\r\n\n", nil, InvalidHeader, ""},
		{"folding", head("A: b", " c"), nil, ObsoleteFolding, `Obsolete line folding is unacceptable: 'A'`},
		{"BEL in a fold", head("A: b", " \x07"), func(c *Config) { c.PermitObsoleteFolding = true }, InvalidHeader, ""},

		{"line over the limit", "GET /ab HTTP/1.1\r\n\r\n", func(c *Config) { c.LimitRequestLine = 15 }, LimitRequestLine, "Request Line is too large (16 > 15)"},
		{"line over the limit for ever", strings.Repeat("A", 5000), nil, LimitRequestLine, ""},
		{"line over the upper bound", "GET /" + strings.Repeat("a", 8190) + " HTTP/1.1\r\n\r\n", func(c *Config) { c.LimitRequestLine = 99999 }, LimitRequestLine, ""},
		{"fields over the limit", fields("A: b\r\n", 101), nil, LimitRequestHeaders, "limit request headers fields"},
		{"fields over their own limit", fields("A: b\r\n", 3), func(c *Config) { c.LimitRequestFields = 2 }, LimitRequestHeaders, ""},
		{"field over the limit", head("A: bc"), func(c *Config) { c.LimitRequestFieldSize = 6 }, LimitRequestHeaders, "limit request headers fields size"},
		{"field over the default", fields("A: "+strings.Repeat("b", 8186)+"\r\n", 1), nil, LimitRequestHeaders, ""},
		{"field without end", "GET / HTTP/1.1\r\nA: " + strings.Repeat("b", 9000), nil, LimitRequestHeaders, ""},
		{"folds over the limit", head("A: b", " c", " d"), func(c *Config) { c.PermitObsoleteFolding, c.LimitRequestFieldSize = true, 13 }, LimitRequestHeaders, ""},

		{"length -1", head("Content-Length: -1"), nil, InvalidHeader, `Invalid HTTP Header: 'CONTENT-LENGTH'`},
		{"length +1", head("Content-Length: +1"), nil, InvalidHeader, ""},
		{"length of letters", head("Content-Length: abc"), nil, InvalidHeader, ""},
		{"length with underscore", head("Content-Length: 0_1"), nil, InvalidHeader, ""},
		{"length list", head("Content-Length: 5, 5"), nil, InvalidHeader, ""},
		{"length twice", head("Content-Length: 5", "content-length: 5"), nil, InvalidHeader, ""},
		{"two lengths", head("Content-Length: 5", "Content-Length: 6"), nil, InvalidHeader, ""},
		{"empty length", head("Content-Length:"), nil, InvalidHeader, ""},
		{"huge length", head("Content-Length: 9223372036854775808"), nil, InvalidHeader, ""},
		{"hexadecimal length", head("Content-Length: 0x10"), nil, InvalidHeader, ""},
		{"folded lengths", head("Content-Length: 1", " 2"), func(c *Config) { c.PermitObsoleteFolding = true }, InvalidHeader, ""},
		{"two hosts", head("Host: a", "HOST: a"), nil, InvalidHeader, `Invalid HTTP Header: 'HOST'`},
		{"no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", needHost, InvalidHeader, `Invalid HTTP Header: 'HOST' is missing`},
		{"no host, nothing else", "GET / HTTP/1.1\r\n\r\n", needHost, InvalidHeader, ""},
		{"no host, later version", "GET / HTTP/1.2\r\n\r\n", needHost, InvalidHeader, ""},
		{"no host but in the target", "GET http://h/ HTTP/1.1\r\n\r\n", needHost, InvalidHeader, ""},
		{"no host for CONNECT", "CONNECT h:443 HTTP/1.1\r\n\r\n", needHost, InvalidHeader, ""},
		{"two types", head("Content-Type: a/b", "Content-type: a/b"), nil, InvalidHeader, ""},

		{"chunked and length", head("Transfer-Encoding: chunked", "Content-Length: 3"), nil, InvalidHeader, `Invalid HTTP Header: 'CONTENT-LENGTH'`},
		{"length and chunked", head("Content-Length: 3", "Transfer-Encoding: chunked"), nil, InvalidHeader, ""},
		{"chunked twice", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), nil, InvalidHeader, `Invalid HTTP Header: 'TRANSFER-ENCODING'`},
		{"chunked twice in a list", head("Transfer-Encoding: chunked,chunked"), nil, InvalidHeader, ""},
		{"chunked not last", head("Transfer-Encoding: chunked, gzip"), nil, InvalidHeader, ""},
		{"identity over chunked", head("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), nil, InvalidHeader, ""},
		{"gzip alone", head("Transfer-Encoding: gzip"), nil, InvalidHeader, `Invalid HTTP Header: 'TRANSFER-ENCODING'`},
		{"gzip and a length", head("Transfer-Encoding: gzip", "Content-Length: 3"), nil, InvalidHeader, ""},
		{"identity alone", head("Transfer-Encoding: identity"), nil, InvalidHeader, `Invalid HTTP Header: 'TRANSFER-ENCODING'`},
		{"identity and a length", head("Transfer-Encoding: identity", "Content-Length: 3"), nil, InvalidHeader, ""},
		{"length and identity", head("Content-Length: 3", "Transfer-Encoding: Identity"), nil, InvalidHeader, ""},
		{"identity twice", head("Transfer-Encoding: identity, identity"), nil, InvalidHeader, ""},
		{"identity in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n", nil, InvalidHeader, `Invalid HTTP Header: 'TRANSFER-ENCODING'`},
		{"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", nil, InvalidHeader, ""},
		{"unknown coding", head("Transfer-Encoding: xchunked"), nil, UnsupportedTransferCoding, `Unsupported transfer coding: 'xchunked'`},
		{"unknown coding over chunked", head("Transfer-Encoding: chunked, x"), nil, UnsupportedTransferCoding, ""},
		{"quoted coding", head(`Transfer-Encoding: "chunked"`), nil, UnsupportedTransferCoding, ""},
		{"no coding", head("Transfer-Encoding:"), nil, UnsupportedTransferCoding, ""},
		{"empty coding", head("Transfer-Encoding: ,chunked"), nil, UnsupportedTransferCoding, ""},
		{"strange space", head("Transfer-Encoding: \xa0chunked"), nil, UnsupportedTransferCoding, ""},

		{"expectation", head("Expect: 200-ok"), nil, ExpectationFailed, `Unable to comply with expectation: '200-ok'`},
		{"empty expectation", head("Expect:"), nil, ExpectationFailed, ""},
		{"framing before expectation", head("Expect: 200-ok", "Content-Length: x"), nil, InvalidHeader, ""},
	}
	statuses := map[Kind]int{LimitRequestLine: 414, LimitRequestHeaders: 431, UnsupportedTransferCoding: 501, ExpectationFailed: 417}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := permissive()
			if test.change != nil {
				test.change(&cfg)
			}
			r, n, err := parseAll(t, &cfg, test.input)
			if err == nil {
				t.Fatalf("accepted: %d bytes\n%s", n, describe(r))
			}
			e := asError(err)
			if e.Kind != test.kind {
				t.Errorf("kind %d, want %d: %v", e.Kind, test.kind, e)
			}
			if test.text != "" && e.Text != test.text {
				t.Errorf("text %q, want %q", e.Text, test.text)
			}
			want := statuses[test.kind]
			if want == 0 {
				want = 400
			}
			if e.Status != want {
				t.Errorf("status %d, want %d", e.Status, want)
			}
		})
	}
}

// Every proper part of a head is incomplete, and no error.
func TestParseRequestIncomplete(t *testing.T) {
	const input = "POST /a HTTP/1.1\r\nHost: x\r\nA: b\r\n  c\r\nContent-Length: 3\r\n\r\n"
	cfg := permissive()
	cfg.PermitObsoleteFolding = true
	for i := range len(input) {
		if n, err := ParseRequest(&cfg, []byte(input[:i]), new(Request)); n != 0 || err != nil {
			t.Errorf("%q: %d, %v", input[:i], n, err)
		}
	}
}

// A Request that was given up in the middle of a head serves another
// connection after Reset.
func TestReset(t *testing.T) {
	cfg := permissive()
	var r Request
	if n, err := ParseRequest(&cfg, []byte("GET / HTTP/1.1\r\nHost: "), &r); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	r.Reset()
	const other = "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
	n, err := ParseRequest(&cfg, []byte(other), &r)
	if n != len(other)-5 || err != nil || r.ContentLength != 5 {
		t.Fatal(n, err, describe(&r))
	}
}

func TestPipelined(t *testing.T) {
	buf := []byte("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nA: b\r\n\r\nGET /3 HTTP/1.1\r\n\r\n")
	cfg := permissive()
	var r Request
	var paths []string
	for len(buf) > 0 {
		n, err := ParseRequest(&cfg, buf, &r)
		if n == 0 || err != nil {
			t.Fatal(n, err)
		}
		paths = append(paths, string(r.Path))
		buf = buf[n:]
	}
	if want := []string{"/1", "/2", "/3"}; !reflect.DeepEqual(paths, want) {
		t.Errorf("got %q", paths)
	}
}

func TestGet(t *testing.T) {
	cfg := permissive()
	var r Request
	ParseRequest(&cfg, []byte("GET / HTTP/1.1\r\nX-A@: b\r\n\r\n"), &r)
	n, err := ParseRequest(&cfg, []byte("GET / HTTP/1.1\r\nx-A^: 1\r\nX-a~: 2\r\nX-A: 3\r\nx-a: 4\r\nE:\r\n\r\n"), &r)
	if n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for name, want := range map[string]string{"X-A": "3", "x-a~": "2", "x-a^": "1"} {
		if got := r.Get(name); string(got) != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := r.Get("e"); got == nil || len(got) > 0 {
		t.Errorf("an empty field: %v", got)
	}
	if got := r.Get("b"); got != nil {
		t.Errorf("no field: %q", got)
	}
}

// The scan by words says the same as the scan by bytes.
func TestValidValue(t *testing.T) {
	for c := range 256 {
		for pos := range 17 {
			b := bytes.Repeat([]byte{'x', '\t', 0x80, 0xff, ' ', '~'}, 3)[:17]
			b[pos] = byte(c)
			want := c == '\t' || c >= ' ' && c != 0x7f
			if got := validValue(b); got != want {
				t.Fatalf("%q: %v", b, got)
			}
		}
	}
}
