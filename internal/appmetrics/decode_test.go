package appmetrics

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadUsed(t *testing.T) {
	long := used(value(`["a", "a_total", {}, "`+strings.Repeat("h", 6000)+`"]`, 1))
	for _, c := range []struct {
		in      []byte
		want    int
		problem string
	}{
		{nil, 0, ""},
		{make([]byte, 7), 0, ""},
		{make([]byte, 1<<16), 0, ""},
		{append(used(value(`["a", "a_total", {}]`, 1)), make([]byte, 9000)...), 8 + 24 + 16 + 8, ""},
		{append(slices.Clone(long), 1, 2, 3), len(long), ""},
		{long[:5000], 0, "it ends after 5000 of"},
		{[]byte{255, 255, 255, 255, 0, 0, 0, 0}, 0, "bytes, and the limit is"},
		{[]byte{255, 255, 255, 127, 0, 0, 0, 0}, 0, "bytes, and the limit is"},
		{[]byte{0, 0, 0, 1, 0, 0, 0, 0}, 0, "it ends after 8 of 16777216"},
	} {
		got, err := ReadUsed(bytes.NewReader(c.in))
		if len(got) != c.want || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("of %d bytes %d are used, not %d: %v", len(c.in), len(got), c.want, err)
		}
	}
}

// A file is read while it is written to: each value is one that it has had, and entries that are
// being added are there as a whole or not at all.
func TestFileThatIsBeingWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counter_1.db")
	writer := exec.Command("python3", "-c", `
import mmap, struct, sys
f = open(sys.argv[1], "w+b")
f.truncate(1 << 20)
m = mmap.mmap(f.fileno(), 1 << 20)
used = 8
def add(n):
    global used
    key = b'["a%07d", "a%07d_total", {}, ""]' % (n, n)
    entry = struct.pack("i", len(key)) + key + b" " * (8 - (len(key) + 4) % 8) + struct.pack("dd", 1.5, 2.5)
    m[used:used + len(entry)] = entry
    used += len(entry)
    m[0:4] = struct.pack("i", used)
    return used - 16
first = add(0)
print("begun", flush=True)
a, b = struct.pack("dd", 1.5, 2.5), struct.pack("dd", -1e300, -1e-300)
n = 0
while True:
    n += 1
    m[first:first + 16] = b
    if n % 50 == 0 and used < 20000:
        add(n)
    m[first:first + 16] = a
`, path)
	out, err := writer.StdoutPipe()
	must(t, err)
	must(t, writer.Start())
	defer func() { writer.Process.Kill(); writer.Wait() }()
	_, err = out.Read(make([]byte, 16))
	must(t, err)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	seen := map[stampedValue]int{}
	most := 0
	for range 2000 {
		data, err := ReadUsed(f)
		must(t, err)
		entries, stamped, err := decode(data)
		if err != nil || !stamped || len(entries) < most {
			t.Fatalf("%d entries after %d, with times: %v, %v", len(entries), most, stamped, err)
		}
		most = len(entries)
		seen[stampedValue{entries[0].value, entries[0].time}]++
		for _, e := range entries[1:] {
			if e.value != 1.5 || e.time != 2.5 {
				t.Fatalf("%s is %v, %v", e.key, e.value, e.time)
			}
		}
	}
	for pair, n := range seen {
		if pair.value != 1.5 && pair.value != -1e300 || pair.time != 2.5 && pair.time != -1e-300 {
			t.Errorf("%d times the value was %v", n, pair)
		}
	}
	t.Logf("%v, %d entries", seen, most)
}

// stampedValue is a value with its time.
type stampedValue struct{ value, time float64 }
