package front

import (
	"bytes"
	"encoding/json"
	"fmt"

	"indrik/internal/http1"
	"indrik/internal/wire"
)

// A health is the answer of a URL below health_path, as JSON.
type health struct {
	OK      bool   `json:"ok"`
	Reason  string `json:"reason,omitempty"` // why it is not OK
	Workers int    `json:"workers"`          // how many are ready
}

// answerHealth answers a request below health_path; it reports false for any other request.
// No worker takes part in it: a server whose workers are all busy is as healthy as before.
func (s *server) answerHealth(ex *exchange) bool {
	name, below := bytes.CutPrefix(ex.req.Path, ex.cfg.healthPath)
	if !below {
		return false
	}
	var h health
	switch string(name) {
	case "/livez":
		h = health{OK: true, Workers: s.queue.Load().Ready}
	case "/readyz":
		h = s.readiness()
	case "/startupz":
		load := s.queue.Load()
		h.Workers, h.OK = load.Ready, load.HasServed
		if !h.OK {
			h.Reason = "the first workers are not ready yet"
		}
	default:
		return false
	}
	status := "200 OK"
	switch method := string(ex.req.Method); {
	case method != "GET" && method != "HEAD":
		h, status = health{Reason: "only GET and HEAD are answered here"}, "405 Method Not Allowed"
	case !h.OK:
		status = "503 Service Unavailable"
	}
	body, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("front: health: %s", err)) // its fields have a form in JSON
	}
	ex.Release()
	ex.respond(&wire.Reply{
		Kind: wire.ReplyResponse, Status: []byte(status), Body: append(body, '\n'),
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
