package front

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// fullPipe is a pipe that takes nothing until it is read.
func fullPipe(t testing.TB) (rd, wr *os.File, junk int) {
	t.Helper()
	rd, wr, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { rd.Close() })
	fd := int(wr.Fd())
	must(t, unix.SetNonblock(fd, true))
	for buf := []byte(strings.Repeat("x", 1<<10)); ; {
		n, err := unix.Write(fd, buf)
		if err == unix.EAGAIN && len(buf) == 1 {
			break
		}
		if err == unix.EAGAIN {
			buf = buf[:1]
			continue
		}
		must(t, err)
		junk += n
	}
	must(t, unix.SetNonblock(fd, false))
	return rd, wr, junk
}

// longLines is a front whose access log lines have a kilobyte each.
func longLines(t *testing.T, timeout int) (*rig, *fakeWorker) {
	t.Helper()
	cfg := testConfig()
	cfg.AccessLogTimeout = timeout
	cfg.AccessLogFormat = strings.Repeat("-", 1<<10) + "%(r)s"
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, cfg), 2)
	w.serve(echo)
	return r, w
}

var missingLines = regexp.MustCompile(`(\d+) lines are missing in the access log`)

// A reader of the access log that has stopped holds up requests for a bounded time, once;
// what is missing is counted, and what comes after a reload goes where that says.
func TestAccessLogNobodyReads(t *testing.T) {
	const requests = 600 // more than there is memory for
	r, _ := longLines(t, 1)
	rd, wr, _ := fullPipe(t)
	r.tell(wire.ToFront{Type: wire.TypeLogs, Access: true}, wr)
	eventually(t, "the log is on", func() bool { return r.s.accessLog.needsFields() })
	c := r.dial()
	begun := time.Now()
	for i := range requests {
		c.get(fmt.Sprint("/", i))
		c.expect(200, "*")
	}
	if d := time.Since(begun); d > time.Minute { // each of those without a place would wait for a second
		t.Errorf("%d requests took %s", requests, d)
	}
	eventually(t, "the operator is told", func() bool { return strings.Contains(r.log.String(), "Nobody has read the access log for 1s") })

	go io.Copy(io.Discard, rd) //nolint:errcheck // it ends with the test
	var missing int
	eventually(t, "it is told what is missing", func() bool {
		m := missingLines.FindStringSubmatch(r.log.String())
		return m != nil && func() bool { fmt.Sscan(m[1], &missing); return true }()
	})
	if missing == 0 || missing >= requests {
		t.Errorf("%d lines are missing", missing)
	}
}

// After a reload, lines go to the new file although a write to the old one never ends: those
// that waited for that write at once, without a further request.
func TestAccessLogReopenedWhileNobodyReads(t *testing.T) {
	r, _ := longLines(t, 1)
	_, wr, _ := fullPipe(t)
	r.tell(wire.ToFront{Type: wire.TypeLogs, Access: true}, wr)
	eventually(t, "the log is on", func() bool { return r.s.accessLog.needsFields() })
	c := r.dial()
	c.get("/stuck")
	c.expect(200, "*")
	eventually(t, "a write has begun", func() bool {
		r.s.accessLog.file.mu.Lock()
		defer r.s.accessLog.file.mu.Unlock()
		return r.s.accessLog.file.writing != nil
	})
	const waiting = 100
	for range waiting {
		c.get("/old")
		c.expect(200, "*")
	}
	lines := r.accessLines()
	old := 0
	for old < waiting && lines.Scan() {
		if !strings.Contains(lines.Text(), "/old") {
			t.Fatalf("in the new file: %q", lines.Text())
		}
		old++
	}
	c.get("/new")
	c.expect(200, "*")
	if !lines.Scan() || !strings.Contains(lines.Text(), "/new") {
		t.Errorf("in the new file: %q, %v", lines.Text(), lines.Err())
	}
}

// Who wants to wait waits: no line is lost.
func TestAccessLogWaits(t *testing.T) {
	const requests = 600
	r, _ := longLines(t, 0)
	rd, wr, junk := fullPipe(t)
	r.tell(wire.ToFront{Type: wire.TypeLogs, Access: true}, wr)
	eventually(t, "the log is on", func() bool { return r.s.accessLog.needsFields() })
	c := r.dial()
	answered := make(chan int, requests)
	go func() {
		for i := range requests {
			c.get("/")
			c.expect(200, "*")
			answered <- i
		}
		close(answered)
	}()
	eventually(t, "the memory for lines is used up", func() bool {
		f := &r.s.accessLog.file
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.buf) >= accessKept
	})
	in := bufio.NewReaderSize(rd, 1<<20)
	go func() {
		for range answered {
		}
		r.s.accessLog.file.finish()
	}()
	lines, bytes := 0, 0
	for lines < requests {
		line, err := in.ReadString('\n')
		must(t, err)
		bytes += len(line)
		lines++
	}
	if bytes < junk || strings.Contains(r.log.String(), "missing") {
		t.Errorf("%d bytes, %s", bytes, r.log)
	}
}
