package quarantine

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

var (
	start = time.Unix(1_000_000, 0)
	alice = netip.MustParseAddr("203.0.113.1")
	bob   = netip.MustParseAddr("203.0.113.2")
	carol = netip.MustParseAddr("203.0.113.3")
	none  netip.Addr
)

func set(scopes ...Scope) Settings {
	return Settings{Scopes: scopes, Deaths: 3, Window: time.Minute, For: 30 * time.Second}
}

// ran is a request of a client to a path that was begun so long before the death.
func ran(client netip.Addr, path string, before time.Duration) Suspect {
	return Suspect{Origin{client, path}, start.Add(-before)}
}

// text writes a sentence: request 203.0.113.1 /x.
func text(s *Sentence) string {
	if s == nil {
		return ""
	}
	out := string(s.Scope)
	if s.Client.IsValid() {
		out += " " + s.Client.String()
	}
	if s.Path != "" {
		out += " " + s.Path
	}
	return out
}

func TestDied(t *testing.T) {
	poison := ran(alice, "/poison", time.Millisecond)
	for _, c := range []struct {
		name     string
		settings Settings
		deaths   [][]Suspect // one a second
		want     string      // with the last of them, and with none before
	}{
		{"off", set(), [][]Suspect{{poison}, {poison}, {poison}}, ""},
		{"too few", set(Request, Client, Path), [][]Suspect{{poison}, {poison}}, ""},
		{"one client and one path", set(Request), [][]Suspect{{poison}, {poison}, {poison}}, "request 203.0.113.1 /poison"},
		{"several requests of one kind in a worker are one", set(Request), [][]Suspect{{poison, poison, poison}, {poison}}, ""},
		{"other paths", set(Request), [][]Suspect{{poison}, {poison}, {ran(alice, "/else", 0)}}, ""},
		{"a client with other paths", set(Request, Client), [][]Suspect{{poison}, {poison}, {ran(alice, "/else", 0)}}, "client 203.0.113.1"},
		{"the narrowest counts", set(Client, Path, Request), [][]Suspect{{poison}, {poison}, {poison}}, "request 203.0.113.1 /poison"},
		{"who is not known is no client", set(Client), [][]Suspect{{ran(none, "/a", 0)}, {ran(none, "/a", 0)}, {ran(none, "/a", 0)}}, ""},
		{"but a path", set(Path), [][]Suspect{{ran(none, "/a", 0)}, {ran(none, "/a", 0)}, {ran(none, "/a", 0)}}, "path /a"},
		{"one client cannot close a path for all", set(Path), [][]Suspect{{poison}, {poison}, {poison}, {poison}, {poison}}, ""},
		{"three can", set(Path), [][]Suspect{{poison}, {ran(bob, "/poison", 0)}, {ran(carol, "/poison", 0)}}, "path /poison"},
		{"of those that were there each time the last one", set(Request), [][]Suspect{
			{ran(bob, "/stream", time.Hour), poison}, {poison, ran(bob, "/stream", time.Hour)}, {ran(bob, "/stream", time.Hour), poison},
		}, "request 203.0.113.1 /poison"},
		{"who was there more often", set(Request), [][]Suspect{
			{ran(bob, "/slow", time.Hour)}, {ran(bob, "/slow", time.Hour), poison}, {ran(bob, "/slow", time.Hour), poison},
		}, "request 203.0.113.2 /slow"},
	} {
		p := New()
		for i, suspects := range c.deaths {
			got := text(p.Died(start.Add(time.Duration(i)*time.Second), c.settings, suspects))
			if want := map[bool]string{true: c.want}[i == len(c.deaths)-1]; got != want {
				t.Errorf("%s, death %d: %q, want %q", c.name, i, got, want)
			}
		}
	}
}

func TestWindowAndTime(t *testing.T) {
	p, s, poison := New(), set(Request), ran(alice, "/poison", 0)
	origin := poison.Origin
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for _, second := range []int{0, 50, 100, 150} { // never three within a minute
		if got := p.Died(at(second), s, []Suspect{poison}); got != nil {
			t.Errorf("at %d: %+v", second, got)
		}
	}
	got := p.Died(at(160), s, []Suspect{poison})
	if got == nil || got.Deaths != 3 || got.Since != time.Minute || !got.Until.Equal(at(190)) {
		t.Fatalf("%+v", got)
	}
	for second, want := range map[int]bool{160: true, 189: true, 190: false} {
		if until, refused := p.Refuses(at(second), origin); refused != want || refused && !until.Equal(at(190)) {
			t.Errorf("at %d: %v until %v", second, refused, until)
		}
	}
	for _, other := range []Origin{{bob, "/poison"}, {alice, "/"}, {none, "/poison"}} {
		if _, refused := p.Refuses(at(170), other); refused {
			t.Errorf("%v is refused too", other)
		}
	}
	if list := p.Sentences(); len(list) != 1 || list[0].Refused != 2 {
		t.Errorf("%+v", list)
	}
	if over := p.Release(at(189), s.Window); len(over) != 0 {
		t.Errorf("released early: %+v", over)
	}
	if over := p.Release(at(190), s.Window); len(over) != 1 || p.Len() != 0 {
		t.Errorf("%+v, %d are left", over, p.Len())
	}
	if got := p.Died(at(191), s, []Suspect{poison}); got != nil {
		t.Error("it does not begin anew")
	}
}

// Workers that die of something else, under one path that nearly everybody asks for, through
// one proxy: that path stays open.
func TestBusyPathsStay(t *testing.T) {
	p, s := New(), set(Request, Path)
	for second := range 600 {
		for range 5 {
			p.Ended(Origin{none, "/"})
		}
		if second%10 == 0 {
			if got := p.Died(start.Add(time.Duration(second)*time.Second), s, []Suspect{ran(none, "/", 0)}); got != nil {
				t.Fatalf("after %d s: %+v", second, got)
			}
		}
	}
}

// An attacker lets slow requests of others die beside requests of his own: with each number of
// deaths he gets one quarantine, and that is his own.
func TestFraming(t *testing.T) {
	p, s := New(), set(Request, Client, Path)
	var victims []Suspect
	for i := range 50 {
		victims = append(victims, ran(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), "/poll", time.Duration(i+1)*time.Second))
	}
	for round := range 20 {
		for i := range s.Deaths {
			now := start.Add(time.Duration(round*s.Deaths+i) * time.Second)
			attack := Suspect{Origin{alice, "/" + strconv.Itoa(round)}, now}
			got := p.Died(now, s, append(victims, attack))
			if _, refused := p.Refuses(now, attack.Origin); refused {
				break // he is out, for a while
			}
			if got != nil && got.Client != alice {
				t.Fatalf("round %d: %+v", round, got)
			}
		}
	}
	for _, v := range victims {
		if _, refused := p.Refuses(start.Add(21*time.Second), v.Origin); refused {
			t.Errorf("%v is refused", v.Client)
		}
	}
}

// Where only the requests of one client to one path are quarantined, and the attacker changes the
// path each time, somebody else is taken for the cause: one for each number of deaths, no more.
func TestFramingCostsDeaths(t *testing.T) {
	p, s := New(), set(Request)
	var victims []Suspect
	for i := range 50 {
		victims = append(victims, ran(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), "/poll", time.Duration(i+1)*time.Second))
	}
	const deaths = 60
	quarantined := 0
	for i := range deaths {
		now := start.Add(time.Duration(i) * 100 * time.Millisecond)
		if p.Died(now, s, append(victims[:len(victims):len(victims)], Suspect{Origin{alice, strconv.Itoa(i)}, now})) != nil {
			quarantined++
		}
	}
	if quarantined > deaths/s.Deaths {
		t.Errorf("%d quarantines by %d deaths", quarantined, deaths)
	}
}

// Whatever clients send, what is remembered is bounded.
func TestBounds(t *testing.T) {
	p, s := New(), Settings{Scopes: []Scope{Request, Client, Path}, Deaths: 1, Window: time.Hour, For: time.Hour}
	for i := range 200 {
		var suspects []Suspect
		for n := range 200 {
			suspects = append(suspects, ran(netip.AddrFrom4([4]byte{10, byte(i), byte(n), 1}), fmt.Sprintf("/%d/%d", i, n), time.Duration(n)))
		}
		p.Died(start.Add(time.Duration(i)*time.Second), s, suspects)
		if p.Len() > MostKeys || len(p.order) > MostKeys {
			t.Fatalf("it remembers %d, %d", p.Len(), len(p.order))
		}
	}
	for i := range MostKeys + 300 { // each death a sentence
		p.Died(start.Add(time.Duration(i)*time.Millisecond), s, []Suspect{ran(alice, strconv.Itoa(i), 0)})
	}
	if p.Len() > MostKeys || p.sentenced > p.Len() {
		t.Errorf("it remembers %d, of which %d are sentenced", p.Len(), p.sentenced)
	}
	for range 5 * mostDeaths {
		p.Died(start, Settings{Scopes: []Scope{Request}, Deaths: 1 << 30, Window: time.Hour}, []Suspect{ran(bob, "/", 0)})
	}
	for _, e := range p.entries {
		if len(e.deaths) > mostDeaths {
			t.Errorf("%d deaths of one key", len(e.deaths))
		}
	}
	p.Release(start.Add(10*time.Hour), time.Hour)
	if p.Len() != 0 || p.sentenced != 0 || len(p.order) != 0 {
		t.Errorf("%d are left, %d sentenced, %d in order", p.Len(), p.sentenced, len(p.order))
	}
}

func TestDryRun(t *testing.T) {
	p, s := New(), set(Request)
	s.Dry = true
	begun := 0
	for i := range 20 {
		if got := p.Died(start.Add(time.Duration(i)*time.Second), s, []Suspect{ran(alice, "/x", 0)}); got != nil {
			begun++
		}
		if _, refused := p.Refuses(start.Add(time.Duration(i)*time.Second), Origin{alice, "/x"}); refused {
			t.Error("it is refused")
		}
	}
	if begun != 1 {
		t.Errorf("%d have begun", begun)
	}
}
