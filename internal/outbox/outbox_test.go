package outbox

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// A client is the transport and the owner of an outbox. It takes what fits its window
// at once, and more as it reads.
type client struct {
	t *testing.T
	o *Outbox

	mu      sync.Mutex
	changed *sync.Cond
	window  int // bytes that are taken without waiting
	got     []byte
	pending []byte // taken by Try, not sent yet: as through TLS
	tls     bool
	noFiles bool
	heads   []string // what came with each part of a file
	aborted bool
	flushed int
	spools  int // calls of CannotSpool
	done    []bool
}

func newClient(t *testing.T, window int) *client {
	c := &client{t: t, o: new(Outbox), window: window}
	c.changed = sync.NewCond(&c.mu)
	c.o.Init(c, c)
	return c
}

func (c *client) Try(head, p []byte) ([]byte, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		return nil, nil, io.ErrClosedPipe
	}
	head, rest := c.take(head), c.take(p)
	return head, rest, nil
}

func (c *client) take(p []byte) []byte {
	n := min(len(p), c.window)
	c.got = append(c.got, p[:n]...)
	c.window -= n
	if c.tls {
		c.pending = append(c.pending, p[n:]...)
		return nil
	}
	return p[n:]
}

func (c *client) Pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) > 0
}

func (c *client) Send(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p = append(c.pending, p...)
	c.pending = nil
	for len(p) > 0 {
		for c.window == 0 && !c.aborted {
			c.changed.Wait()
		}
		if c.aborted {
			return io.ErrClosedPipe
		}
		n := min(len(p), c.window)
		c.got = append(c.got, p[:n]...)
		c.window -= n
		p = p[n:]
	}
	return nil
}

func (c *client) SendFile(head []byte, p FilePart) (int, error) {
	c.mu.Lock()
	c.heads = append(c.heads, string(head))
	c.mu.Unlock()
	b := make([]byte, min(p.Size, 32<<10))
	n, err := p.File.ReadAt(b, p.Offset)
	if n == 0 && err == io.EOF {
		return 0, nil
	}
	if n == 0 {
		return 0, err
	}
	return n, c.Send(append(bytes.Clone(head), b[:n]...))
}

func (c *client) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushed++
	return nil
}

func (c *client) TmpFile() (*os.File, error) {
	if c.noFiles {
		return nil, errors.New("no file can be made")
	}
	return os.CreateTemp(c.t.TempDir(), "")
}

func (c *client) CannotSpool(error) { c.spools++ }

func (c *client) StartWriting() { go c.o.Run() }

func (c *client) StopWriting() {}

func (c *client) ResponseDone(keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = append(c.done, keep)
}

func (c *client) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	c.changed.Broadcast()
}

// kept returns how much waits in memory and in the file.
func (c *client) kept() (memory int, spooled int64) {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	return c.o.memory, c.o.spooled
}

// read makes the client read n bytes more.
func (c *client) read(n int) {
	c.mu.Lock()
	c.window += n
	c.changed.Broadcast()
	c.mu.Unlock()
	synctest.Wait()
}

func (c *client) expect(want string) {
	c.t.Helper()
	if string(c.got) != want {
		c.t.Errorf("the client has %d bytes, not the %d it was sent", len(c.got), len(want))
	}
}

const plenty = 1 << 30

func TestResponsesFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, plenty)
		for range 2 {
			c.o.Begin(false)
			c.o.Write([]byte("some"))
			c.o.Write(nil)
			c.o.Finish(true)
		}
		c.expect("somesome")
		if len(c.done) != 2 || !c.done[0] || !c.done[1] {
			t.Errorf("done: %v", c.done)
		}
	})
}

// What a client does not take is kept in memory, then in a file, and reaches the client
// in order. The response is done when all of it is sent.
func TestSlowClient(t *testing.T) {
	for _, tls := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, 10)
			c.tls = tls
			c.o.Begin(false)
			var want strings.Builder
			part := bytes.Repeat([]byte("0123456789"), 10<<10)
			for range 2 * maxMemory / len(part) {
				c.o.Write(part)
				want.Write(part)
			}
			if memory, spooled := c.kept(); memory > maxMemory || spooled == 0 {
				t.Errorf("%d bytes in memory, %d in a file", memory, spooled)
			}
			c.o.Finish(true)
			synctest.Wait()
			if len(c.done) > 0 || !c.o.IsWriting() {
				t.Error("the response is done before the client has it")
			}
			c.read(plenty)
			c.expect(want.String())
			if len(c.done) != 1 || !c.done[0] || c.o.IsWriting() || c.o.HasFailed() {
				t.Errorf("done: %v", c.done)
			}
			if c.o.spool != nil {
				t.Error("the file is still there")
			}
		})
	}
}

// A part of a file comes after what was written before, and before what follows.
func TestFileInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tempFile(t, "0123456789")
		c := newClient(t, plenty)
		c.o.Begin(false)
		c.o.Write([]byte("before "))
		c.o.SendFile(nil, FilePart{File: f, Offset: 2, Size: 5})
		c.o.Write([]byte(" after"))
		c.o.Finish(false)
		synctest.Wait()
		c.expect("before 23456 after")
		if len(c.done) != 1 || c.done[0] {
			t.Errorf("done: %v", c.done)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file was left open: %v", err)
		}
	})
}

// What comes before a file is given to the transport with the first part of the file, whether the
// client reads or not. A file without bytes does not hold it up.
func TestHeadOfFile(t *testing.T) {
	for _, window := range []int{0, 3, 7, 10, plenty} {
		synctest.Test(t, func(t *testing.T) {
			content := strings.Repeat("0123456789", 5000)
			c := newClient(t, window)
			c.o.Begin(false)
			head := []byte("before ")
			c.o.SendFile(head, FilePart{File: tempFile(t, content), Offset: 2, Size: int64(len(content) - 2)})
			copy(head, "XXXXXXX") // it is the caller's
			synctest.Wait()
			c.o.SendFile([]byte(" then "), FilePart{File: tempFile(t, content), Size: 5})
			empty := tempFile(t, content)
			c.o.SendFile([]byte(" empty "), FilePart{File: empty})
			c.o.SendFile(nil, FilePart{File: tempFile(t, content), Size: 5})
			c.o.Finish(true)
			c.read(plenty)
			c.expect("before " + content[2:] + " then 01234 empty 01234")
			if want := []string{"before ", "", " then ", " empty "}; window == 0 && !slices.Equal(c.heads, want) {
				t.Errorf("with a window of %d the parts of files came with %q, want %q", window, c.heads, want)
			}
			if len(c.done) != 1 || !c.done[0] || c.o.Kept() != 0 {
				t.Errorf("with a window of %d: done: %v; %d bytes are kept", window, c.done, c.o.Kept())
			}
			if err := empty.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("the file was left open: %v", err)
			}
		})
	}
}

// A file system that does not answer holds up nobody but the goroutine that sends the file: not
// the worker's next message, nor what asks for the state of the response or ends it.
func TestFileSystemDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &hung{client: newClient(t, plenty), answers: make(chan struct{})}
		c.o.SetTransport(c)
		c.o.Begin(false)
		f := tempFile(t, "01234")
		c.o.SendFile([]byte("before "), FilePart{File: f, Size: 5})
		synctest.Wait()
		c.o.Write([]byte(" after"))
		if !c.o.IsWriting() || c.o.HasFailed() || c.o.Kept() != int64(len("before 01234 after")) {
			t.Errorf("%d bytes are kept", c.o.Kept())
		}
		c.o.Kill()
		c.o.Finish(true)
		close(c.answers)
		synctest.Wait()
		if len(c.done) != 1 || c.done[0] || !c.aborted {
			t.Errorf("done: %v, aborted: %v", c.done, c.aborted)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file was left open: %v", err)
		}
	})
}

// A hung client's files are in a file system that does not answer for a time.
type hung struct {
	*client
	answers chan struct{}
}

func (h *hung) SendFile(head []byte, p FilePart) (int, error) {
	<-h.answers
	return h.client.SendFile(head, p)
}

// Of a file that has become shorter the client sees that something is missing.
func TestFileBecomesShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, plenty)
		c.o.Begin(false)
		c.o.SendFile(nil, FilePart{File: tempFile(t, "01234"), Size: 10})
		c.o.Finish(true)
		synctest.Wait()
		if !c.aborted || !c.o.HasFailed() || len(c.done) != 1 || c.done[0] {
			t.Errorf("aborted: %v, done: %v", c.aborted, c.done)
		}
	})
}

func tempFile(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

// What is to be done between two writes is done between them, and not before somebody
// asks for it.
func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, plenty)
		c.o.Begin(false)
		c.o.Push(func() error { return c.Send([]byte("head ")) })
		synctest.Wait()
		c.expect("")
		c.o.Wake()
		synctest.Wait()
		c.expect("head ")
		if c.flushed != 1 {
			t.Errorf("flushed %d times", c.flushed)
		}
		c.o.Push(func() error { return io.ErrShortWrite })
		c.o.Wake()
		synctest.Wait()
		if !c.aborted || !c.o.HasFailed() {
			t.Error("a failure does not end the connection")
		}
	})
}

// Beyond the bounds the worker waits, and goes on when the client has gone.
func TestBackPressure(t *testing.T) {
	for _, gone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, 0)
			c.noFiles = true
			c.o.Begin(false)
			written := make(chan struct{})
			go func() {
				defer close(written)
				c.o.Write(make([]byte, maxMemory+1))
			}()
			synctest.Wait()
			select {
			case <-written:
				t.Fatal("the worker was not held")
			default:
			}
			if memory, _ := c.kept(); memory > maxMemory || c.spools == 0 {
				t.Errorf("%d bytes in memory, %d complaints", memory, c.spools)
			}
			if gone {
				c.o.Kill()
			} else {
				c.read(plenty)
			}
			synctest.Wait()
			<-written
			if memory, _ := c.kept(); memory != 0 || c.o.HasFailed() != gone || c.aborted != gone {
				t.Errorf("%d bytes in memory, failed: %v", memory, c.o.HasFailed())
			}
		})
	}
}

// A sender that bounds what it sends never waits.
func TestBoundedSenderIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, 0)
		c.noFiles = true
		c.o.Begin(true)
		c.o.Write(make([]byte, 2*maxBounded))
		if memory, _ := c.kept(); memory != 2*maxBounded {
			t.Errorf("%d bytes are kept", memory)
		}
		c.o.Kill()
	})
}

// The sender of a bounded response hears when little of it is left.
func TestWhenLow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, 0)
		low := 0
		c.o.Begin(true)
		c.o.WhenLow(func() { low++ })
		if low != 1 {
			t.Errorf("called %d times while nothing is kept", low)
		}
		c.o.Write(make([]byte, 2*lowMark))
		c.o.WhenLow(func() { low++ })
		synctest.Wait()
		if low != 1 {
			t.Errorf("called %d times while much is kept", low)
		}
		c.read(lowMark + pieceSize)
		if low != 2 {
			t.Errorf("called %d times in the end", low)
		}
		c.o.Kill()
	})
}

// A response that is killed is done once, and what is written later is for nobody.
func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, 0)
		c.o.Begin(false)
		c.o.Write([]byte("some"))
		c.o.SendFile(nil, FilePart{File: tempFile(t, "01234"), Size: 5})
		c.o.Kill()
		c.o.Kill()
		c.o.Write([]byte("more"))
		f := tempFile(t, "01234")
		c.o.SendFile(nil, FilePart{File: f, Size: 5})
		c.o.Finish(true)
		synctest.Wait()
		if len(c.done) != 1 || c.done[0] || !c.aborted {
			t.Errorf("done: %v, aborted: %v", c.done, c.aborted)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a file for nobody was left open: %v", err)
		}
		c.expect("")
	})
}

// The temporary file does not grow without end while a client is a little slower
// than its app.
func TestSpoolIsBounded(t *testing.T) {
	o := newClient(t, 0).o
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spoolEnd, o.spooled = maxFile-10, 5
	if o.keepInFileLocked(make([]byte, 20)) {
		t.Error("the file grew beyond its bound")
	}
	o.spooled = 0
	if !o.keepInFileLocked(make([]byte, 20)) || o.spoolEnd != 20 {
		t.Errorf("its end is at %d, after all of it was sent", o.spoolEnd)
	}
	o.spool.Close()
}

// Single bytes take about as much memory as they are.
func TestSmallPiecesAreJoined(t *testing.T) {
	var o Outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	var want []byte
	for i := range 3 * joinSize {
		want = append(want, byte(i))
		o.keepInMemoryLocked(want[i:])
	}
	if len(o.kept) != 3 || o.memory != len(want) {
		t.Errorf("%d pieces of %d bytes", len(o.kept), o.memory)
	}
	var got []byte
	for _, p := range o.kept {
		got = append(got, p.data...)
	}
	if !bytes.Equal(got, want) {
		t.Error("they are not what was written")
	}
}
