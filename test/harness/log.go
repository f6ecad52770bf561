//go:build linux

package harness

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for an event that should come soon. It is
// long because the machine may be busy with other tests; nothing depends on it.
const Patience = time.Minute

// A Transcript is what the processes of a server have written, by lines. A
// cursor moves over it: expect looks only at what follows the last match.
type Transcript struct {
	mu      sync.Mutex
	lines   []string
	partial string
	cursor  int
	changed chan struct{} // closed and replaced with each new line
	eof     bool
	looks   int // of follow, at which there was nothing more to read
}

// NewTranscript is an empty one.
func NewTranscript() *Transcript { return &Transcript{changed: make(chan struct{})} }

// Collect collects lines from r until its end, which comes when the last process
// that holds the other end is gone.
func (tr *Transcript) Collect(r io.ReadCloser) {
	defer r.Close()
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		tr.mu.Lock()
		if line != "" {
			tr.lines = append(tr.lines, strings.TrimSuffix(line, "\n"))
		}
		tr.eof = err != nil
		close(tr.changed)
		tr.changed = make(chan struct{})
		tr.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// follow collects lines from a file that others append to, as tail -F does.
func (tr *Transcript) follow(path string, stop <-chan struct{}) {
	// A file renamed by a rotation is written to until the last process has the new one.
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		read := false
		for _, f := range files {
			for {
				n, _ := f.Read(buf)
				if n == 0 {
					break
				}
				tr.Add(buf[:n])
				read = true
			}
		}
		if f := newFile(path, files); f != nil {
			files = append(files, f)
			continue
		}
		if read {
			continue
		}
		tr.mu.Lock()
		tr.looks++
		tr.mu.Unlock()
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// newFile opens the file that has a path now, unless it is the last one of files.
func newFile(path string, files []*os.File) *os.File {
	now, err := os.Stat(path)
	if err != nil {
		return nil
	}
	if len(files) > 0 {
		if last, err := files[len(files)-1].Stat(); err == nil && os.SameFile(now, last) {
			return nil
		}
	}
	f, _ := os.Open(path)
	return f
}

// caughtUp waits until all that was written to a file that is followed has been read.
func (tr *Transcript) caughtUp(t testing.TB) {
	t.Helper()
	looks := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.looks
	}
	before := looks() // the next one may have begun already
	Eventually(t, "the log has been read", func() bool { return looks() >= before+2 })
}

// Add appends what a process has written; lines may come in pieces.
func (tr *Transcript) Add(b []byte) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.partial += string(b)
	for {
		line, rest, ok := strings.Cut(tr.partial, "\n")
		if !ok {
			break
		}
		tr.lines = append(tr.lines, line)
		tr.partial = rest
	}
	close(tr.changed)
	tr.changed = make(chan struct{})
}

// Wait returns the submatches of the first line from index from on that
// matches, and the index after that line.
func (tr *Transcript) Wait(from int, re string, limit time.Duration) ([]string, int, bool) {
	r := regexp.MustCompile(re)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		tr.mu.Lock()
		for ; from < len(tr.lines); from++ {
			if m := r.FindStringSubmatch(tr.lines[from]); m != nil {
				tr.mu.Unlock()
				return m, from + 1, true
			}
		}
		changed, eof := tr.changed, tr.eof
		tr.mu.Unlock()
		if eof {
			return nil, from, false
		}
		select {
		case <-changed:
		case <-deadline.C:
			return nil, from, false
		}
	}
}

// end waits until nobody can write any more, and all has been read.
func (tr *Transcript) end(t testing.TB) {
	t.Helper()
	Eventually(t, "the log has ended", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.eof
	})
}

// Expect waits for a line that matches re after the line that the last expect
// found, and returns its submatches.
func (tr *Transcript) Expect(t testing.TB, re string) []string {
	t.Helper()
	tr.mu.Lock()
	from := tr.cursor
	tr.mu.Unlock()
	m, next, ok := tr.Wait(from, re, Patience)
	if !ok {
		t.Fatalf("the log has no line that matches %q after line %d", re, from)
	}
	tr.mu.Lock()
	tr.cursor = next
	tr.mu.Unlock()
	return m
}

// Mark is the index of the next line to come.
func (tr *Transcript) Mark() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.lines)
}

// ExpectFrom waits for a line that matches re, from a mark on; it leaves the cursor alone.
func (tr *Transcript) ExpectFrom(t testing.TB, mark int, re string) []string {
	t.Helper()
	m, _, ok := tr.Wait(mark, re, Patience)
	if !ok {
		t.Fatalf("the log has no line that matches %q from line %d on", re, mark)
	}
	return m
}

// Count is the number of lines so far that match re.
func (tr *Transcript) Count(re string) int { return len(tr.All(re)) }

// All returns the submatches of each line so far that matches re.
func (tr *Transcript) All(re string) [][]string {
	r := regexp.MustCompile(re)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var found [][]string
	for _, line := range tr.lines {
		if m := r.FindStringSubmatch(line); m != nil {
			found = append(found, m)
		}
	}
	return found
}

func (tr *Transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var b bytes.Buffer
	lines := tr.lines
	if n := len(lines); n > 400 {
		b.WriteString(strings.Join(lines[:150], "\n"))
		b.WriteString("\n[...]\n")
		lines = lines[n-250:]
	}
	b.WriteString(strings.Join(lines, "\n"))
	return b.String()
}

// ListenPackets collects what comes to a datagram socket, as the lines of a
// transcript; addr is where.
func ListenPackets(t *testing.T, network string) (tr *Transcript, addr string) {
	t.Helper()
	addr = "127.0.0.1:0"
	if network == "unixgram" {
		addr = filepath.Join(TempDir(t), "socket")
	}
	c, err := net.ListenPacket(network, addr)
	Must(t, err)
	t.Cleanup(func() { c.Close() })
	tr = NewTranscript()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			tr.Add(append(buf[:n:n], '\n'))
		}
	}()
	return tr, c.LocalAddr().String()
}
