package listen

import "testing"

func TestParse(t *testing.T) {
	for in, want := range map[string]Address{
		"":                          {Network: TCP, Host: "0.0.0.0", Port: 8000},
		"127.0.0.1":                 {Network: TCP, Host: "127.0.0.1", Port: 8000},
		" 127.0.0.1:9 ":             {Network: TCP, Host: "127.0.0.1", Port: 9},
		":80":                       {Network: TCP, Port: 80},
		"LocalHost:0":               {Network: TCP, Host: "localhost", Port: 0},
		"tcp://0.0.0.0:65535":       {Network: TCP, Host: "0.0.0.0", Port: 65535},
		"tcp://":                    {Network: TCP, Host: "0.0.0.0", Port: 8000},
		"[::1]:8001":                {Network: TCP, Host: "::1", Port: 8001},
		"[::]":                      {Network: TCP, Host: "::", Port: 8000},
		"tcp://[FE80::1%eth0]:8001": {Network: TCP, Host: "fe80::1%eth0", Port: 8001},
		"unix:/run/X.sock":          {Network: Unix, Path: "/run/X.sock"},
		"unix:///run/x.sock":        {Network: Unix, Path: "/run/x.sock"},
		"unix:x.sock":               {Network: Unix, Path: "x.sock"},
		"unix://x.sock":             {Network: Unix, Path: "x.sock"},
		"fd://3":                    {Network: FD, FD: 3},
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"a:b":             "'b' is not a valid port number.",
		"a:":              "'' is not a valid port number.",
		"a:65536":         "'65536' is not a valid port number.",
		"a:-1":            "'-1' is not a valid port number.",
		"::1":             "':1' is not a valid port number.",
		"http://a:80":     "unknown scheme 'http' in bind: an address is HOST:PORT, unix:PATH or fd://N",
		"quic://x":        "unknown scheme 'quic' in bind: an address is HOST:PORT, unix:PATH or fd://N",
		"[::1]8000":       "'8000' is not a valid port number.",
		"[::1]:it's":      `"it's" is not a valid port number.`,
		"fd://x":          "'x' is not a valid file descriptor.",
		"fd://-1":         "'-1' is not a valid file descriptor.",
		"unix:":           "'unix:' is not the path of a socket.",
		"unix:/a\x00b":    "'unix:/a\x00b' is not the path of a socket.",
		`a:'"`:            `'\'"' is not a valid port number.`,
		"127.0.0.1:80:81": "'80:81' is not a valid port number.",
	} {
		if got, err := Parse(in); err == nil || err.Error() != want {
			t.Errorf("%q: %+v %v, want %s", in, got, err, want)
		}
	}
}

func TestAddressNames(t *testing.T) {
	for in, want := range map[string][2]string{
		"127.0.0.1:8000": {"('127.0.0.1', 8000)", "127.0.0.1:8000"},
		"[::1]:8000":     {"('::1', 8000)", "[::1]:8000"},
		":8000":          {"('', 8000)", ":8000"},
		"unix:/run/x":    {"/run/x", "unix:/run/x"},
		"fd://3":         {"3", "fd://3"},
	} {
		a, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{a.Python(), a.bind()}; got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
