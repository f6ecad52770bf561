package master

import (
	"encoding/json"
	"net/http"
	"time"

	"indrik/internal/wire"
)

// This file answers the questions of the front, for those who watch the server at the admin
// address.

const (
	// maxDocument is the size of a document that fits a control message with all else in it.
	maxDocument = 100 << 10
	// statusShare is the part of the master's time that the statuses for a front may take: one
	// in so many, but at least one each statusPause. An honest front asks less often.
	statusShare = 10
	statusPause = time.Second / 2
)

// answerFront answers a question of the front f.
func (m *Master) answerFront(f *frontProcess, ask int, a wire.Answer) {
	if m.front.current != f {
		return
	}
	if len(a.Document) <= maxDocument {
		m.front.send(wire.ToFront{Type: wire.TypeAnswer, Ask: ask, Answer: &a})
		return
	}
	file, err := m.sys.constant("indrik-document", a.Document)
	if err != nil {
		m.front.send(wire.ToFront{Type: wire.TypeAnswer, Ask: ask, Answer: &wire.Answer{
			Error: lack("the answer is large", err).line(), Code: http.StatusServiceUnavailable,
		}})
		return
	}
	defer file.Close()
	a.Document = nil
	m.front.send(wire.ToFront{Type: wire.TypeAnswer, Ask: ask, Answer: &a}, file)
}

// statusForFront answers the front, which has said what it knows, with the whole status.
func (m *Master) statusForFront(f *frontProcess, msg wire.FromFront) {
	now := m.now()
	if now.Before(f.nextStatus) {
		m.answerFront(f, msg.Ask, wire.Answer{Error: "The status is asked for too often", Code: http.StatusTooManyRequests})
		return
	}
	data, err := json.Marshal(m.status(decodeFrontStatus(msg.Status)))
	if err != nil {
		panic("master: status: " + err.Error()) // its fields have a form in JSON
	}
	m.answerFront(f, msg.Ask, wire.Answer{Document: data})
	f.nextStatus = now.Add(min(statusPause, max(time.Millisecond, statusShare*m.now().Sub(now))))
}
