package front

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

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
		h = s.readiness()
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

// readiness returns whether connections should come to this server: there are workers, and
// the server is not about to end. It may be busy.
func (s *server) readiness() health {
	h := health{Workers: s.queue.Load().Ready}
	switch {
	case s.isDeparting() || s.isDraining():
		h.Reason = "the server is leaving"
	case h.Workers == 0:
		h.Reason = "no worker is ready"
	default:
		h.OK = true
	}
	return h
}
