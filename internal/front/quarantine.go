package front

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/dispatch"
	"indrik/internal/metrics"
	"indrik/internal/quarantine"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// This file keeps requests away from the workers that end them, by the policy of package
// quarantine: docs/selfcare.md, section Poison requests. What a worker ran that has died is
// known here; why it has died, the master knows, and says for which deaths requests are to
// blame.

const (
	// mostDead is how many deaths wait for what the master says of them.
	mostDead = 64
	// mostShown bounds the quarantines in the status, mostPath their paths there and in the log.
	mostShown = 20
	mostPath  = 200
)

// A quarantined is who is kept away from the workers, and who may have to be.
type quarantined struct {
	watches atomic.Bool // there are suspects, or sentences
	refused atomic.Int64

	mu sync.Mutex
	// +checklocks:mu
	policy *quarantine.Policy
	// +checklocks:mu
	dead map[int][]quarantine.Suspect // by the age of the worker
	// +checklocks:mu
	ages []int // of dead, in their order
	// +checklocks:mu
	begun, dry int // quarantines so far, and those that a dry run has kept
}

func newQuarantined() quarantined {
	return quarantined{policy: quarantine.New(), dead: map[int][]quarantine.Suspect{}}
}

// Died implements [dispatch.Host].
func (h host) Died(age int, ran []dispatch.Ran) { h.died(age, ran) }

// diedWith notes what a worker ran that has died.
func (s *server) diedWith(age int, ran []dispatch.Ran) {
	if len(ran) == 0 {
		return
	}
	q := &s.quarantined
	q.mu.Lock()
	defer q.mu.Unlock()
	suspects := make([]quarantine.Suspect, len(ran))
	for i := range ran {
		suspects[i] = quarantine.Suspect{Origin: originOf(ran[i].Description), Began: ran[i].Began}
	}
	q.dead[age] = suspects
	if q.ages = append(q.ages, age); len(q.ages) > mostDead {
		delete(q.dead, q.ages[0])
		q.ages = q.ages[1:]
	}
}

// blame is called when the master has found that a worker has died of what it ran.
func (s *server) blame(age int) {
	cfg, q := s.config(), &s.quarantined
	q.mu.Lock()
	suspects := q.dead[age]
	delete(q.dead, age)
	q.ages = slices.DeleteFunc(q.ages, func(other int) bool { return other == age })
	if len(suspects) == 0 || len(cfg.quarantine.Scopes) == 0 {
		q.mu.Unlock()
		return
	}
	sentence := q.policy.Died(time.Now(), cfg.quarantine, suspects)
	q.watches.Store(true)
	switch {
	case sentence == nil:
	case sentence.Dry:
		q.dry++
	default:
		q.begun++
	}
	q.mu.Unlock()

	time.AfterFunc(cfg.quarantine.Window+time.Second, s.reviewQuarantine)
	if sentence == nil {
		return
	}
	time.AfterFunc(time.Until(sentence.Until), s.reviewQuarantine)
	what := fmt.Sprintf("%s with 503 for %.0f s: %d workers have died of them in %.1f s",
		nameOf(sentence), cfg.quarantine.For.Seconds(), sentence.Deaths, sentence.Since.Seconds())
	if sentence.Dry {
		s.log.Infof("Dry run: quarantine would answer %s", what)
		return
	}
	s.log.Warnf("Quarantine: answering %s", what)
	s.queue.Bar(s.isBarred)
}

// nameOf names the requests of a sentence for the log.
func nameOf(t *quarantine.Sentence) string {
	text := "requests"
	switch {
	case t.Scope == quarantine.Path:
	case t.Client.IsValid():
		text += " of " + t.Client.String()
	default:
		text += " of unknown clients"
	}
	if t.Scope != quarantine.Client {
		text += " to " + shortPath(t.Path)
	}
	return text
}

// shortPath returns a path as the log and the status have it.
func shortPath(path string) string {
	if len(path) > mostPath {
		path = path[:mostPath] + "…"
	}
	return strings.Trim(strconv.QuoteToASCII(path), `"`)
}

// reviewQuarantine ends what is over.
func (s *server) reviewQuarantine() {
	q, cfg := &s.quarantined, s.config()
	q.mu.Lock()
	over := q.policy.Release(time.Now(), cfg.quarantine.Window)
	q.watches.Store(q.policy.Len() > 0)
	barring := slices.ContainsFunc(q.policy.Sentences(), func(t quarantine.Sentence) bool { return !t.Dry })
	q.mu.Unlock()
	for i := range over {
		if !over[i].Dry {
			s.log.Infof("Quarantine: %s are answered again; %d were refused", nameOf(&over[i]), over[i].Refused)
		}
	}
	if !barring {
		s.queue.Bar(nil)
	}
}

// isBarred reports whether a request that waits is kept from the workers.
func (s *server) isBarred(d dispatch.Description) bool {
	q := &s.quarantined
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, barred := q.policy.Refuses(time.Now(), originOf(d)); !barred {
		return false
	}
	q.refused.Add(1)
	s.metrics.Load().Refuse(metrics.Quarantine)
	return true
}

// isQuarantined reports whether a request is kept from the workers.
func (s *server) isQuarantined(ex *exchange) bool {
	return s.quarantined.watches.Load() && s.isBarred(ex.describe())
}

// retryAfter returns in how many seconds the client of a request may try again that is
// answered with 503.
func (s *server) retryAfter(ex *exchange) int {
	q := &s.quarantined
	if !q.watches.Load() || ex.webSocket != nil {
		return 1
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	left := time.Until(q.policy.Until(time.Now(), originOf(ex.describe())))
	return max(1, int((left+time.Second-1)/time.Second))
}

// countAnswered counts a response for a request that may be suspected.
func (s *server) countAnswered(ex *exchange) {
	q := &s.quarantined
	if !q.watches.Load() || ex.heard.IsZero() || ex.status >= http.StatusInternalServerError || ex.webSocket != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.policy.Ended(originOf(ex.describe()))
}

// originOf returns where a request comes from, and where it goes: forms of a path that mean the
// same to an app are one.
func originOf(d dispatch.Description) quarantine.Origin {
	path := d.Path
	if i := strings.Index(path, "://"); i > 0 && path[0] != '/' { // absolute-form, RFC 9112 section 3.2.2
		_, rest, _ := strings.Cut(path[i+3:], "/")
		path = "/" + rest
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	return quarantine.Origin{Client: d.Client, Path: path}
}

// ownClient returns the address of the client that has sent a request, of IPv6 its network. It
// is not valid if all that is known is a proxy: then it stands for many.
func (ex *exchange) ownClient() netip.Addr {
	addr := ex.info.client
	if forwarded, ok := ex.forwardedClient(); ok {
		addr = forwarded.Addr()
	} else if !ex.info.proxied && ex.cfg.trusts(addr) {
		return netip.Addr{}
	}
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(clientPrefix); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// quarantines returns who is under quarantine, for the status.
func (s *server) quarantines() (list []status.Quarantine) {
	q := &s.quarantined
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, t := range q.policy.Sentences() {
		if len(list) == mostShown {
			break
		}
		shown := status.Quarantine{Scope: string(t.Scope), Path: shortPath(t.Path), Deaths: t.Deaths, Seconds: max(0, t.Until.Sub(now).Seconds()), Refused: t.Refused, DryRun: t.Dry}
		if t.Client.IsValid() {
			shown.Client = t.Client.String()
		}
		list = append(list, shown)
	}
	return list
}

// totals returns how many quarantines have begun, and how many a dry run has kept.
func (q *quarantined) totals() (begun, dry int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begun, q.dry
}

// quarantineSettings returns what the policy has to know of the settings.
func quarantineSettings(w *wire.FrontConfig) quarantine.Settings {
	s := quarantine.Settings{
		Deaths: max(1, w.QuarantineDeaths), Window: time.Duration(w.QuarantineWindow) * time.Second, For: time.Duration(w.QuarantineTime) * time.Second,
		Dry: slices.Contains(w.SelfcareDryRun, "quarantine") || slices.Contains(w.SelfcareDryRun, "all"),
	}
	for _, scope := range w.Quarantine {
		s.Scopes = append(s.Scopes, quarantine.Scope(scope))
	}
	return s
}
