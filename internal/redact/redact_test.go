package redact

import (
	"bytes"
	"fmt"
	"testing"
)

func rules(t testing.TB, list ...string) *Rules {
	t.Helper()
	r, err := Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ExampleRules() {
	r, _ := Parse([]string{"query:token, header:authorization", "cookie:*"})
	fmt.Printf("%s\n", r.Target([]byte("/report?year=2026&token=abc")))
	fmt.Printf("%s\n", r.Field("Authorization", []byte("Bearer abc")))
	fmt.Printf("%s\n", r.Field("Set-Cookie", []byte("session=abc; Path=/; Secure")))
	// Output:
	// /report?year=2026&token=REDACTED
	// REDACTED
	// session=REDACTED; Path=/; Secure
}

func TestQuery(t *testing.T) {
	token, all := rules(t, "query:Token"), rules(t, "query:*")
	for _, c := range []struct{ in, token, all string }{
		{"/a", "/a", "/a"},
		{"/a?", "/a?", "/a?"},
		{"/a?token=x", "/a?token=REDACTED", "/a?token=REDACTED"},
		{"/a?TOKEN=x&b=y&token=z#f", "/a?TOKEN=REDACTED&b=y&token=REDACTED#f", "/a?TOKEN=REDACTED&b=REDACTED&token=REDACTED#REDACTED"},
		{"/a?b=y;token=z", "/a?b=y;token=REDACTED", "/a?b=REDACTED;token=REDACTED"},
		{"/a?%74ok%65n=x", "/a?%74ok%65n=REDACTED", "/a?%74ok%65n=REDACTED"},
		{"/a?token[0]=x&token%5B%5D=y", "/a?token[0]=REDACTED&token%5B%5D=REDACTED", "/a?token[0]=REDACTED&token%5B%5D=REDACTED"},
		{"/a?+token=x", "/a?+token=REDACTED", "/a?+token=REDACTED"},
		{"/a?token=&b", "/a?token=&b", "/a?token=&REDACTED"},
		{"/a?token=a=b?c", "/a?token=REDACTED", "/a?token=REDACTED"},
		{"/a?%zz=x", "/a?%zz=x", "/a?%zz=REDACTED"},
		{"/a?=x&&", "/a?=x&&", "/a?=REDACTED&&"},
		{"/a?secret", "/a?secret", "/a?REDACTED"},
	} {
		if got := string(token.Target([]byte(c.in))); got != c.token {
			t.Errorf("token: %s: %s", c.in, got)
		}
		if got := string(all.Target([]byte(c.in))); got != c.all {
			t.Errorf("all: %s: %s", c.in, got)
		}
	}
}

func TestField(t *testing.T) {
	r := rules(t, "cookie:session", "header:X-Api-Key", "query:token")
	for _, c := range []struct{ name, in, want string }{
		{"Cookie", "a=1; Session=secret;b=2", "a=1; Session=REDACTED;b=2"},
		{"cookie", "session=a=b;", "session=REDACTED;"},
		{"Cookie", "session=; sessions=1; session", "session=; sessions=1; session"},
		{"Set-Cookie", "session=secret; Path=/session=1", "session=REDACTED; Path=/session=1"},
		{"Set-Cookie", "other=1; session=2", "other=1; session=2"},
		{"X-API-KEY", "secret", "REDACTED"},
		{"X-Api-Key", "", ""},
		{"Referer", "https://a/?token=secret&x=1", "https://a/?token=REDACTED&x=1"},
		{"Location", "/?token=secret", "/?token=REDACTED"},
		{"User-Agent", "a?token=x", "a?token=x"},
	} {
		if got := string(r.Field(c.name, []byte(c.in))); got != c.want {
			t.Errorf("%s: %s: %s", c.name, c.in, got)
		}
	}
	for name, want := range map[string]string{
		"QUERY_STRING": "token=REDACTED", "raw_uri": "/?token=REDACTED", "HTTP_X_API_KEY": "REDACTED", "HTTP_COOKIE": "session=REDACTED", "PATH_INFO": "/?token=x",
	} {
		in := map[string]string{"QUERY_STRING": "token=x", "raw_uri": "/?token=x", "HTTP_X_API_KEY": "x", "HTTP_COOKIE": "session=x", "PATH_INFO": "/?token=x"}[name]
		if got := string(r.Variable(name, []byte(in))); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := string(rules(t, "cookie:*").Field("Cookie", []byte("a=1; b; c=2"))); got != "a=REDACTED;REDACTED; c=REDACTED" {
		t.Error(got)
	}
	var none *Rules
	if got := none.Field("Cookie", []byte("a=1")); string(got) != "a=1" || string(none.Target([]byte("/?a=1"))) != "/?a=1" || string(none.Variable("QUERY_STRING", []byte("a=1"))) != "a=1" {
		t.Errorf("%s", got)
	}
}

func TestParse(t *testing.T) {
	for _, list := range [][]string{nil, {""}, {" , "}} {
		if r, err := Parse(list); r != nil || err != nil {
			t.Errorf("%q: %v, %v", list, r, err)
		}
	}
	for _, bad := range []string{"token", "query:", "body:x", "query"} {
		if _, err := Parse([]string{"query:a", bad}); err == nil || err.Error() != fmt.Sprintf("%q is none of query:NAME, header:NAME and cookie:NAME, where NAME may be *", bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Whatever a client sends, no value of a query that is redacted as a whole remains, and
// nothing that was given is changed.
func FuzzRules(f *testing.F) {
	f.Add([]byte("/a?token=x&b=%6x;c#d"))
	f.Add([]byte("a=1; b;;=;"))
	all, err := Parse([]string{"query:*", "cookie:*"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		target := all.Target(b)
		if at := bytes.IndexByte(target, '?'); at >= 0 {
			for _, part := range bytes.FieldsFunc(target[at+1:], func(r rune) bool { return r == '&' || r == ';' || r == '#' }) {
				if _, value, found := bytes.Cut(part, []byte("=")); found && len(value) > 0 && string(value) != Placeholder || !found && string(part) != Placeholder {
					t.Errorf("%q: %q", b, target)
				}
			}
		}
		all.Field("Cookie", b)
		all.Field("Set-Cookie", b)
		if again := all.Target(target); !bytes.Equal(again, target) {
			t.Errorf("%q becomes %q", target, again)
		}
		if !bytes.Equal(b, before) {
			t.Errorf("%q was changed", before)
		}
	})
}
