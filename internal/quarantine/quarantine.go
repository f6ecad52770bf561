// Package quarantine decides whose requests are kept away from the workers, since they have
// ended several: the policy of docs/selfcare.md, section Poison requests.
//
// It has no clock, and knows nothing of HTTP. [Policy.Died] is told which requests a worker ran
// that has died of itself, [Policy.Ended] which have ended well, and [Policy.Refuses] says
// whether a request is to be refused.
//
// A death does not say which request was its cause, where a worker ran many. What is the cause
// is there each time; what merely stood beside it is not. So each death counts for all that the
// worker ran, and when a count is full, only the request with the greatest one is quarantined,
// of several the one that was begun last, and the others are forgiven. So nobody gets somebody
// else's requests quarantined without ending workers by the number, and then those of one
// client at most. What ends well many times more often than it is there when a worker dies is
// not the cause either, however often that is.
//
// A Policy remembers a bounded number of keys, whatever clients send. It is not safe for
// concurrent use. Try it with go test ./internal/quarantine.
package quarantine

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"
)

const (
	// MostKeys bounds what is remembered. A death adds three for each request, and what was
	// added first is forgotten first, unless it is quarantined.
	MostKeys = 4096
	// MostSuspects bounds the requests of one death: those that were begun last.
	MostSuspects = 64
	// mostDeaths bounds what is remembered of one key.
	mostDeaths = 1000
	// Innocent is how many times more often than workers died of it a request must have ended
	// well, since the first of these deaths, to be none that they die of.
	Innocent = 10
)

// A Scope is whose requests are kept away.
type Scope string

const (
	Request Scope = "request" // of one client to one path
	Client  Scope = "client"  // of one client
	Path    Scope = "path"    // to one path
)

// scopes lists them, from narrow to wide: the narrowest that is full counts.
var scopes = [...]Scope{Request, Client, Path}

// Settings are what the operator has set.
type Settings struct {
	Scopes []Scope       // none: nobody is quarantined
	Deaths int           // after so many
	Window time.Duration // within
	For    time.Duration
	Dry    bool // only say what would be done
}

// An Origin is where a request comes from, and where it goes.
type Origin struct {
	Client netip.Addr // not valid: it is not known, and may stand for many
	Path   string
}

// A Suspect is a request that a worker ran when it died.
type Suspect struct {
	Origin
	Began time.Time
}

// A Sentence is a quarantine that begins, or that is under way.
type Sentence struct {
	Scope   Scope
	Origin                // of the last request; what the scope leaves out is not set
	Deaths  int           // that led to it
	Since   time.Duration // from the first of these to the last
	Until   time.Time
	Dry     bool
	Refused int // requests, so far
}

// A Policy remembers who was there when workers died. Make one with [New].
type Policy struct {
	seed      maphash.Seed
	entries   map[key]*entry
	order     []key // of entries that are not under a sentence, in which they came
	sentenced int
}

type key struct {
	scope  Scope
	client netip.Addr
	path   uint64
}

type entry struct {
	deaths   []death
	ended    int // requests that have ended well since the first of deaths
	sentence *Sentence
}

type death struct {
	at     time.Time
	client netip.Addr
}

// New returns a policy that knows nobody.
func New() *Policy {
	return &Policy{seed: maphash.MakeSeed(), entries: map[key]*entry{}}
}

// keyOf returns the key of an origin in a scope; false if it has none: who is not known is no
// client.
func (p *Policy) keyOf(scope Scope, o Origin) (key, bool) {
	k := key{scope: scope}
	if scope != Path {
		k.client = o.Client
	}
	if scope != Client {
		k.path = maphash.String(p.seed, o.Path)
	}
	return k, scope != Client || o.Client.IsValid()
}

// Died counts the death of a worker that ran these requests, and returns the quarantine that
// begins with it, nil if none does.
func (p *Policy) Died(now time.Time, s Settings, suspects []Suspect) *Sentence {
	p.forget(now, s.Window)
	suspects = slices.Clone(suspects)
	slices.SortStableFunc(suspects, func(a, b Suspect) int { return b.Began.Compare(a.Began) })
	suspects = suspects[:min(len(suspects), MostSuspects)]
	counted := map[key]bool{}
	for _, suspect := range suspects {
		for _, scope := range s.Scopes {
			if k, ok := p.keyOf(scope, suspect.Origin); ok && !counted[k] {
				counted[k] = true
				p.count(k, death{now, suspect.Client})
			}
		}
	}
	culprit, k := p.culprit(s, suspects)
	if culprit == nil {
		return nil
	}
	e := p.entries[k]
	sentence := &Sentence{
		Scope: k.scope, Origin: culprit.Origin, Deaths: len(e.deaths), Since: now.Sub(e.deaths[0].at), Until: now.Add(s.For), Dry: s.Dry,
	}
	if k.scope == Path {
		sentence.Client = netip.Addr{}
	}
	if k.scope == Client {
		sentence.Path = ""
	}
	for other := range counted { // forgiven; and what is sentenced begins anew
		p.drop(other)
	}
	p.entries[k] = &entry{sentence: sentence}
	p.sentenced++
	return sentence
}

// count adds a death to a key. For a path each client counts once, unless it is not known: so
// one client cannot have the path of all others quarantined.
func (p *Policy) count(k key, d death) {
	e := p.entries[k]
	if e == nil {
		p.makeRoom()
		e = &entry{}
		p.entries[k] = e
		p.order = append(p.order, k)
	}
	if e.sentence != nil {
		return // it was handed over before that
	}
	if k.scope == Path && d.client.IsValid() && slices.ContainsFunc(e.deaths, func(before death) bool { return before.client == d.client }) {
		return
	}
	if len(e.deaths) == mostDeaths {
		e.deaths = e.deaths[1:]
	}
	e.deaths = append(e.deaths, d)
}

// culprit returns the request that is to be quarantined, and its key, nil if there is none.
// The latest come first in suspects.
func (p *Policy) culprit(s Settings, suspects []Suspect) (*Suspect, key) {
	var found *Suspect
	var best key
	most := s.Deaths - 1
	for i := range suspects {
		for _, scope := range scopes {
			k, ok := p.keyOf(scope, suspects[i].Origin)
			e := p.entries[k]
			if !ok || e == nil || !slices.Contains(s.Scopes, scope) || e.sentence != nil {
				continue
			}
			if n := len(e.deaths); n > most && e.ended < Innocent*n {
				found, best, most = &suspects[i], k, n
			}
		}
	}
	return found, best
}

// Ended counts a request that has ended well.
func (p *Policy) Ended(o Origin) {
	for _, scope := range scopes {
		if k, ok := p.keyOf(scope, o); ok && p.entries[k] != nil {
			p.entries[k].ended++
		}
	}
}

// Refuses reports whether a request is to be refused, and until when. It counts as refused
// then, unless it is a dry run.
func (p *Policy) Refuses(now time.Time, o Origin) (until time.Time, refused bool) {
	if p.sentenced == 0 {
		return time.Time{}, false
	}
	for _, scope := range scopes {
		k, ok := p.keyOf(scope, o)
		if e := p.entries[k]; ok && e != nil && e.sentence != nil && !e.sentence.Dry && now.Before(e.sentence.Until) {
			e.sentence.Refused++
			return e.sentence.Until, true
		}
	}
	return time.Time{}, false
}

// Until returns until when a request is refused, the zero time if it is not.
func (p *Policy) Until(now time.Time, o Origin) (until time.Time) {
	for _, scope := range scopes {
		k, ok := p.keyOf(scope, o)
		if e := p.entries[k]; ok && e != nil && e.sentence != nil && !e.sentence.Dry && now.Before(e.sentence.Until) && e.sentence.Until.After(until) {
			until = e.sentence.Until
		}
	}
	return until
}

// Release ends what is over, and returns the sentences of it.
func (p *Policy) Release(now time.Time, window time.Duration) (over []Sentence) {
	p.forget(now, window)
	for k, e := range p.entries {
		if e.sentence != nil && !now.Before(e.sentence.Until) {
			over = append(over, *e.sentence)
			p.drop(k)
		}
	}
	return over
}

// Sentences returns who is under quarantine, the longest first.
func (p *Policy) Sentences() (list []Sentence) {
	if p.sentenced == 0 {
		return nil
	}
	for _, e := range p.entries {
		if e.sentence != nil {
			list = append(list, *e.sentence)
		}
	}
	slices.SortFunc(list, func(a, b Sentence) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Path, b.Path), a.Client.Compare(b.Client))
	})
	return list
}

// Len returns how many keys are remembered.
func (p *Policy) Len() int { return len(p.entries) }

// forget drops what is older than the window.
func (p *Policy) forget(now time.Time, window time.Duration) {
	for k, e := range p.entries {
		if e.sentence != nil {
			continue
		}
		n := 0
		for n < len(e.deaths) && now.Sub(e.deaths[n].at) > window {
			n++
		}
		if n == len(e.deaths) {
			delete(p.entries, k)
		} else if n > 0 {
			e.deaths = e.deaths[n:]
		}
	}
	p.order = slices.DeleteFunc(p.order, func(k key) bool { return p.entries[k] == nil })
}

// drop forgets a key.
func (p *Policy) drop(k key) {
	e := p.entries[k]
	if e == nil {
		return
	}
	if e.sentence != nil {
		p.sentenced--
	} else {
		p.order = slices.DeleteFunc(p.order, func(other key) bool { return other == k })
	}
	delete(p.entries, k)
}

// makeRoom forgets the key that came first, if there are too many; if all are sentenced, the
// sentence that ends first.
func (p *Policy) makeRoom() {
	for len(p.entries) >= MostKeys {
		if len(p.order) > 0 {
			p.drop(p.order[0])
			continue
		}
		var first key
		var until time.Time
		for k, e := range p.entries {
			if until.IsZero() || e.sentence.Until.Before(until) {
				first, until = k, e.sentence.Until
			}
		}
		p.drop(first)
	}
}
