package datagram

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// receiver hands out one end of a pipe at each dial, nil for an error.
type receiver struct {
	ends  []net.Conn
	dials int
}

func (r *receiver) dial() (net.Conn, error) {
	r.dials++
	if len(r.ends) == 0 || r.ends[0] == nil {
		if len(r.ends) > 0 {
			r.ends = r.ends[1:]
		}
		return nil, errors.New("refused")
	}
	end := r.ends[0]
	r.ends = r.ends[1:]
	return end, nil
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
		t.Errorf("read %q, %v, want %q", buf, err, want)
	}
}

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := New((&receiver{ends: []net.Conn{ours}}).dial, func(err error) { t.Errorf("%s", err) })
		c.Send([]byte("one"))
		c.Send([]byte("two"))
		read(t, theirs, "onetwo")
		c.Close()
		c.Close()
		c.Send([]byte("late"))
		if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("after Close: %v", err)
		}
		var none *Sender
		none.Send(nil)
		none.Close()
	})
}

func TestConnectsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		d, e := net.Pipe()
		r := &receiver{ends: []net.Conn{a, d}}
		c := New(r.dial, func(err error) { t.Errorf("%s", err) })
		c.Send([]byte("one"))
		read(t, b, "one")
		b.Close()
		c.Send([]byte("two")) // finds the first connection broken
		read(t, e, "two")
		c.Close()
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		r := &receiver{ends: []net.Conn{nil, nil, a}}
		failures := 0
		c := New(r.dial, func(error) { failures++ })
		for range 10 {
			c.Send([]byte("lost"))
		}
		time.Sleep(pause)
		c.Send([]byte("lost too"))
		time.Sleep(pause)
		c.Send([]byte("kept"))
		read(t, b, "kept")
		c.Close()
		if failures != 1 || r.dials != 3 {
			t.Errorf("%d reports, %d connections; want 1, 3", failures, r.dials)
		}
	})
}

// A receiver that does not read holds nobody up, and costs bounded memory.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, _ := net.Pipe()
		c := New((&receiver{ends: []net.Conn{ours}}).dial, func(error) {})
		start := time.Now()
		for range 3 * waiting {
			c.Send([]byte("x"))
		}
		if time.Since(start) != 0 {
			t.Error("Send has waited")
		}
		c.Close()
		if took := time.Since(start); took > 2*patience {
			t.Errorf("the end took %s", took)
		}
		time.Sleep(time.Hour) // until every packet had its turn
	})
}
