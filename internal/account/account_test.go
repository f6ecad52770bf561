package account

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// A fixture is an account that notes what it has cut off.
type fixture struct {
	*Account
	mu   sync.Mutex
	cuts []Cut
}

func newFixture(l Limits) *fixture {
	f := &fixture{}
	f.Account = New(func(c Cut) {
		f.mu.Lock()
		f.cuts = append(f.cuts, c)
		f.mu.Unlock()
	}, func(held int64) int64 { return held + 100 })
	f.SetLimits(l)
	return f
}

// names are those of what was cut off, once all is within the bounds.
func (f *fixture) names(t *testing.T) []string {
	t.Helper()
	for end := time.Now().Add(time.Minute); f.busy.Load() || f.again.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to an end")
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, c := range f.cuts {
		names = append(names, c.Name)
	}
	return names
}

// clientCounts returns how many clients with an address there are, and how many without.
func (f *fixture) clientCounts() (clients, nobody int) {
	a := f.Account
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.clients), len(a.nobody)
}

func (f *fixture) open(addr, name string) *Holder {
	var a netip.Addr
	if addr != "" {
		a = netip.MustParseAddr(addr)
	}
	h, _, _ := f.Open(a, name, func() {})
	return h
}

// The client that holds most loses its largest connections, and no more than it must.
func TestGreediestIsCutOff(t *testing.T) {
	f := newFixture(Limits{Memory: 1000})
	a1, a2, a3 := f.open("10.0.0.1", "a1"), f.open("10.0.0.1", "a2"), f.open("10.0.0.1", "a3")
	b, nobody := f.open("10.0.0.2", "b"), f.open("", "nobody")
	a1.Hold(100)
	a2.Hold(300)
	a3.Hold(100)
	b.Hold(400)
	nobody.Hold(100)
	if got := f.names(t); got != nil {
		t.Errorf("%v are cut off within the bound", got)
	}
	b.Hold(50) // whoever it is that grows
	if got := f.names(t); !slices.Equal(got, []string{"a2"}) {
		t.Errorf("%v are cut off", got)
	}
	if c := f.cuts[0]; c.Held != 300 || c.Total != 1050 || c.Limit != 1000 || c.Own {
		t.Errorf("%+v", c)
	}
	a2.Hold(5000) // it counts no more
	if got := f.Held(); got != 750 {
		t.Errorf("%d are held", got)
	}
	a2.Close()
	nobody.Hold(700)
	if got := f.names(t); !slices.Equal(got, []string{"a2", "nobody"}) {
		t.Errorf("%v are cut off", got)
	}
	for _, h := range []*Holder{a1, a3, b, nobody} {
		h.Close()
	}
	if clients, nobody := f.clientCounts(); f.Held() != 0 || clients != 0 || nobody != 0 {
		t.Errorf("%d are held, %d and %d clients are there", f.Held(), clients, nobody)
	}
}

// A bound of one client holds for those with an address.
func TestBoundsOfOneClient(t *testing.T) {
	f := newFixture(Limits{ClientMemory: 100, ClientConnections: 2, ClientStreams: 3})
	a, b, nobody := f.open("10.0.0.1", "a"), f.open("10.0.0.1", "b"), f.open("", "nobody")
	nobody.Hold(1000)
	a.Hold(60)
	b.Hold(30)
	b.Hold(20)
	if got := f.names(t); !slices.Equal(got, []string{"a"}) || !f.cuts[0].Own || f.cuts[0].Total != 110 {
		t.Errorf("%+v are cut off", f.cuts)
	}
	third, n, ok := f.Open(netip.MustParseAddr("10.0.0.1"), "c", nil)
	if ok || n != 3 {
		t.Errorf("a third connection: %d, %t", n, ok)
	}
	third.Close()
	a.Close()
	if _, n, ok := f.Open(netip.MustParseAddr("10.0.0.1"), "d", nil); !ok || n != 2 {
		t.Errorf("after two have ended: %d, %t", n, ok)
	}
	for i := range 4 {
		if got := b.OpenStream(); got != (i < 3) {
			t.Errorf("stream %d: %t", i+1, got)
		}
		if !nobody.OpenStream() {
			t.Errorf("stream %d of nobody", i+1)
		}
	}
	b.CloseStream()
	b.CloseStream()
	if !b.OpenStream() {
		t.Error("there is room for a stream again")
	}
}

// A PROXY header says whose connection it is, and what it holds goes with it.
func TestMove(t *testing.T) {
	f := newFixture(Limits{ClientConnections: 1})
	h := f.open("", "proxy")
	h.Hold(10)
	if n, ok := h.Move(netip.MustParseAddr("10.0.0.1"), "client"); !ok || n != 1 || h.client.held.Load() != 10 {
		t.Errorf("%d, %t, %+v", n, ok, h.client)
	}
	if _, nobody := f.clientCounts(); nobody != 0 {
		t.Errorf("%d clients without an address are left", nobody)
	}
	other := f.open("", "proxy")
	if n, ok := other.Move(netip.MustParseAddr("10.0.0.1"), "client"); ok || n != 2 {
		t.Errorf("one too many: %d, %t", n, ok)
	}
	other.Close()
	h.Close()
	if clients, _ := f.clientCounts(); f.Held() != 0 || clients != 0 {
		t.Errorf("%d are held by %d clients", f.Held(), clients)
	}
}

func TestFallen(t *testing.T) {
	f := newFixture(Limits{})
	h := f.open("", "a")
	h.Hold(100)
	h.Hold(-40)
	if f.Fallen(100) {
		t.Error("60 of 100 are more than half")
	}
	h.Hold(-30)
	if f.Fallen(101) || !f.Fallen(100) || f.Fallen(0) || f.Peak() != 30 {
		t.Errorf("30 of 100, peak %d", f.Peak())
	}
	var none *Holder
	none.Hold(1)
}

// Whatever many do at once, nothing is left at the end, and the bound holds.
func TestManyAtOnce(t *testing.T) {
	f := newFixture(Limits{Memory: 10_000, ClientMemory: 5_000})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for range 100 {
				h := f.open([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3", ""}[i%4], "x")
				for n := range int64(20) {
					h.Hold(100 * n)
				}
				h.Hold(-50)
				h.Close()
			}
		})
	}
	all.Wait()
	f.names(t)
	if clients, nobody := f.clientCounts(); f.Held() != 0 || clients != 0 || nobody != 0 {
		t.Errorf("%d are held, %d and %d clients are there", f.Held(), clients, nobody)
	}
}
