package front

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// A health is the answer of a URL below health_path, as JSON.
type health struct {
	OK      bool   `json:"ok"`
	Reason  string `json:"reason,omitempty"` // why it is not OK
	Workers int    `json:"workers"`          // how many are ready
}

// health returns the answer to a question about the health of the server: livez, readyz or
// startupz. It reports false for any other. No worker takes part in it: a server whose workers
// are all busy is as healthy as before.
func (s *server) health(question string) (h health, known bool) {
	switch question {
	case "livez":
		h = health{OK: true, Workers: s.queue.Load().Ready}
	case "readyz":
		h = s.isReady()
	case "startupz":
		load := s.queue.Load()
		h.Workers, h.OK = load.Ready, load.HasServed
		if !h.OK {
			h.Reason = "the first workers are not ready yet"
		}
	default:
		return h, false
	}
	return h, true
}

// encode returns the body and the code of an answer.
func (h health) encode() (body []byte, code int) {
	body, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("front: health: %s", err)) // its fields have a form in JSON
	}
	if !h.OK {
		return append(body, '\n'), http.StatusServiceUnavailable
	}
	return append(body, '\n'), http.StatusOK
}

// answerHealth answers a request below health_path; it reports false for any other request.
func (s *server) answerHealth(ex *exchange) bool {
	name, below := bytes.CutPrefix(ex.req.Path, ex.cfg.healthPath)
	if !below || len(name) == 0 || name[0] != '/' {
		return false
	}
	h, known := s.health(string(name[1:]))
	if !known {
		return false
	}
	body, code := h.encode()
	if method := string(ex.req.Method); method != "GET" && method != "HEAD" {
		body, _ = health{Reason: "only GET and HEAD are answered here"}.encode()
		code = http.StatusMethodNotAllowed
	}
	ex.Release()
	ex.respond(&wire.Reply{
		Kind: wire.ReplyResponse, Status: fmt.Appendf(nil, "%d %s", code, http.StatusText(code)), Body: body,
		Headers: []http1.Field{
			{Name: []byte("Content-Type"), Value: []byte("application/json")},
			{Name: []byte("Cache-Control"), Value: []byte("no-store")},
		},
	})
	return true
}

// probePatience is how long the queue has to come to a probe. It takes microseconds.
const probePatience = time.Second

// A readiness is what is known of how ready the server is, besides what the queue says.
type readiness struct {
	least  atomic.Int32 // workers that have to be ready, as the master says
	asleep atomic.Bool  // there need be none: the first request has them made

	mu sync.Mutex
	// +checklocks:mu
	probe *queueProbe // that is on its way; nil: none
}

// A queueProbe is an entry in the queue, for all who ask for the readiness meanwhile.
type queueProbe struct {
	done chan struct{}
	load dispatch.Load
}

// ask returns the load of the queue once that has come to an entry, and reports whether it
// has in time.
func (r *readiness) ask(q *dispatch.Queue) (dispatch.Load, bool) {
	r.mu.Lock()
	p := r.probe
	if p == nil {
		p = &queueProbe{done: make(chan struct{})}
		r.probe = p
		go q.Probe(func(l dispatch.Load) {
			r.mu.Lock()
			r.probe = nil
			r.mu.Unlock()
			p.load = l
			close(p.done)
		})
	}
	r.mu.Unlock()
	late := time.NewTimer(probePatience)
	defer late.Stop()
	select {
	case <-p.done:
		return p.load, true
	case <-late.C:
		return dispatch.Load{}, false
	}
}

// isReady returns whether connections should come to this server: the queue works, enough
// workers take from it, and the server is not about to end. It may be busy.
func (s *server) isReady() health {
	load, ok := s.readiness.ask(s.queue)
	h := health{Workers: load.Ready}
	least := max(1, int(s.readiness.least.Load()))
	switch {
	case !ok:
		h.Reason = fmt.Sprintf("the queue has not come to a probe within %s", probePatience)
	case s.isDeparting() || s.isDraining():
		h.Reason = "the server is leaving"
	case s.readiness.asleep.Load():
		h.OK = true
	case load.Ready == 0:
		h.Reason = "no worker is ready"
	case load.Able == 0:
		h.Reason = "the queue of the workers is broken"
	case load.Able < least:
		h.Reason = fmt.Sprintf("%d of the workers are ready, and it takes %d", load.Able, least)
	default:
		h.OK = true
	}
	return h
}
