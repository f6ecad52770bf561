package wire

import (
	"bytes"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	long := strings.Repeat("k", 256)
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"none", AppendNone(nil), "N"},
		{"tuple", AppendTuple(nil, 3), "(\x03\x00\x00\x00"},
		{"dict", AppendDictEnd(AppendDict(nil)), "{0"},
		{"int", AppendInt(nil, 1), "i\x01\x00\x00\x00"},
		{"negative int", AppendInt(nil, -2), "i\xfe\xff\xff\xff"},
		{"largest int", AppendInt(nil, math.MaxInt32), "i\xff\xff\xff\x7f"},
		{"smallest long", AppendInt(nil, 1<<31), "l\x03\x00\x00\x00\x00\x00\x00\x00\x02\x00"},
		{"negative long", AppendInt(nil, math.MinInt32-1), "l\xfd\xff\xff\xff\x01\x00\x00\x00\x02\x00"},
		{"largest long", AppendInt(nil, math.MaxInt64), "l\x05\x00\x00\x00\xff\x7f\xff\x7f\xff\x7f\xff\x7f\x07\x00"},
		{"bytes", AppendBytes(nil, []byte("a\x00\xff")), "s\x03\x00\x00\x00a\x00\xff"},
		{"bytes to come", AppendBytesHeader(nil, 0x10203), "s\x03\x02\x01\x00"},
		{"key", AppendKey(nil, "PATH_INFO"), "Z\x09PATH_INFO"},
		{"long key", AppendKey(nil, long), "a\x00\x01\x00\x00" + long},
		{"Latin-1 key", AppendKey(nil, "\xe9"), "u\x02\x00\x00\x00\xc3\xa9"},
		{"empty text", AppendLatin1(nil, nil), "z\x00"},
		{"short text", AppendLatin1(nil, []byte(long[:255])), "z\xff" + long[:255]},
		{"long text", AppendLatin1(nil, []byte(long)), "a\x00\x01\x00\x00" + long},
		{"Latin-1 text", AppendLatin1(nil, []byte("a\x7f\x80\xbf\xc0\xff")), "u\x0a\x00\x00\x00a\x7f\xc2\x80\xc2\xbf\xc3\x80\xc3\xbf"},
	}
	for _, test := range tests {
		if string(test.got) != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
}

// interpreters are the Pythons on PATH; a test that needs one is skipped where
// there is none.
func interpreters(t *testing.T) (paths []string) {
	for _, name := range []string{"python3", "pypy3"} {
		if path, err := exec.LookPath(name); err == nil {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		t.Skip("no Python on PATH")
	}
	return paths
}

func runPython(t *testing.T, path, script string, input []byte) []byte {
	t.Helper()
	cmd := exec.Command(path, "-c", script)
	cmd.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, stderr.String())
	}
	return out
}

// Python loads what the Append functions make as the values that were meant.
func TestPythonLoads(t *testing.T) {
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	b := AppendTuple(nil, 3)
	b = AppendInt(b, math.MaxInt32)
	b = AppendDict(b)
	b = AppendLatin1(AppendKey(b, "short"), []byte("text"))
	b = AppendLatin1(AppendKey(b, strings.Repeat("k", 300)), bytes.Repeat([]byte("v"), 300))
	b = AppendLatin1(AppendKey(b, "\xe9"), every[:])
	b = AppendNone(AppendKey(b, "none"))
	for _, v := range []int64{0, -1, math.MinInt32, math.MaxInt32 + 1, math.MinInt64, math.MaxInt64, 1 << 45, -1 << 30} {
		b = AppendInt(AppendKey(b, fmt.Sprint(v)), v)
	}
	b = AppendDictEnd(b)
	b = AppendBytes(b, every[:])
	const script = `
import marshal, sys
value = marshal.loads(sys.stdin.buffer.read())
every = bytes(range(256))
environ = {"short": "text", "k" * 300: "v" * 300, "\xe9": every.decode("latin-1"), "none": None}
for v in (0, -1, -2**31, 2**31, -2**63, 2**63 - 1, 2**45, -2**30):
    environ[str(v)] = v
assert value == (2**31 - 1, environ, every), value
`
	for _, path := range interpreters(t) {
		runPython(t, path, script, b)
	}
}

// The decoder reads what Python's marshal.dumps makes.
func TestPythonDumps(t *testing.T) {
	const script = `
import marshal, struct, sys
latin = bytes(range(256)).decode("latin-1")
headers = [("Content-Type", "text/plain"), ("X", latin), ("", "")]
for m in [
    (0, 1, "200 OK", headers, bytes(range(256))),
    (1, 2**31 - 1, "200 \xe9", [], b""),
    (2, 7, b"chunk"),
    (3, 7),
    (4, 7, "200 OK", headers, 2**31, 2**62),
    (4, 7, "200 OK", headers, 0, -1),
    (5, 7),
    (6, 7),
    (7, 7, headers),
    (8, 7, 30000),
]:
    b = marshal.dumps(m, 2)
    sys.stdout.buffer.write(struct.pack("<I", len(b)) + b)
`
	want := []string{
		"RESPONSE 1 200 OK 3 256 0 0",
		"START 2147483647 200 \xe9 0 0 0 0",
		"CHUNK 7  0 5 0 0",
		"END 7  0 0 0 0",
		"FILE 7 200 OK 3 0 2147483648 4611686018427387904",
		"FILE 7 200 OK 3 0 0 -1",
		"ERROR 7  0 0 0 0",
		"REFUSED 7  0 0 0 0",
		"HINTS 7  3 0 0 0",
		"EXTEND 7  0 0 0 30000",
	}
	var latin []byte
	for i := range 256 {
		latin = append(latin, byte(i))
	}
	for _, path := range interpreters(t) {
		out := runPython(t, path, script, nil)
		var m Reply
		for _, want := range want {
			n := int(out[0]) | int(out[1])<<8 | int(out[2])<<16
			if _, err := DecodeReply(out[4:4+n], &m); err != nil {
				t.Fatalf("%s: %s: %v", path, want, err)
			}
			out = out[4+n:]
			got := fmt.Sprintf("%v %d %s %d %d %d %d", m.Kind, m.ID, m.Status, len(m.Headers), len(m.Body), m.Offset, m.Count)
			if got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
			if len(m.Headers) > 0 && (string(m.Headers[0].Value) != "text/plain" || !bytes.Equal(m.Headers[1].Value, latin) || len(m.Headers[2].Name) > 0) {
				t.Errorf("%s: headers %q", path, m.Headers)
			}
			if m.Kind == ReplyResponse && !bytes.Equal(m.Body, latin) {
				t.Errorf("%s: body %q", path, m.Body)
			}
		}
		if len(out) > 0 {
			t.Errorf("%s: %d bytes more", path, len(out))
		}
	}
}

func appendTypicalRequest(dst []byte) []byte {
	dst = AppendTuple(dst, 3)
	dst = AppendInt(dst, 1)
	dst = AppendDict(dst)
	for _, kv := range [...][2]string{
		{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/static/app.js"}, {"QUERY_STRING", "v=12"}, {"RAW_URI", "/static/app.js?v=12"},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"REMOTE_ADDR", "127.0.0.1"}, {"REMOTE_PORT", "40000"}, {"HTTP_HOST", "www.example.com"},
		{"HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}, {"HTTP_ACCEPT", "*/*"},
	} {
		dst = appendLatin1(AppendKey(dst, kv[0]), kv[1])
	}
	return AppendBytes(AppendDictEnd(dst), nil)
}

func TestAppendAllocs(t *testing.T) {
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { appendTypicalRequest(dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		appendTypicalRequest(dst)
	}
}
