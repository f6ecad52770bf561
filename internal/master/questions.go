package master

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
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
	// maxCommands is how many commands a front may wait for, and commandPatience for how long.
	maxCommands     = 8
	commandPatience = 10 * time.Minute
	// maxError is the size of an error that an answer has. What matters of a traceback is at
	// its end.
	maxError = 64 << 10
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
	f.nextStatus = now.Add(usageWait + statusPause) // until it has its answer
	m.withUsage(func() {
		begun := m.now()
		data, err := json.Marshal(m.status(decodeFrontStatus(msg.Status)))
		if err != nil {
			panic("master: status: " + err.Error()) // its fields have a form in JSON
		}
		m.answerFront(f, msg.Ask, wire.Answer{Document: data})
		f.nextStatus = begun.Add(min(statusPause, max(time.Millisecond, statusShare*m.now().Sub(begun))))
	})
}

// commandFromFront carries out a command of a client of the front, if that has given the
// token: the front itself may not give commands.
func (m *Master) commandFromFront(f *frontProcess, msg wire.FromFront) {
	refuse := func(code int, err error) {
		m.answerFront(f, msg.Ask, wire.Answer{Error: err.Error(), Code: code})
	}
	by := commander{"Admin address", clientName(msg.Client)}
	switch {
	case m.admin.token == nil:
		refuse(http.StatusForbidden, errNoToken)
	case m.admin.wrong.answers >= wrongMost:
		refuse(http.StatusTooManyRequests, errTooManyTries)
	case !m.admin.token.is(msg.Token):
		m.wrongToken(by.who, func() { refuse(http.StatusUnauthorized, errWrongToken) })
	case f.commands >= maxCommands || len(msg.Words) == 0:
		refuse(http.StatusServiceUnavailable, fmt.Errorf("%d commands are being carried out: wait for them", f.commands))
	case m.isForPredecessor(msg.Words):
		m.log.Infof("%s: %s (%s), for the server before this one", by.way, msg.Words[0], by.who)
		m.upgrader.predecessor.conn.Send(linkMessage{Type: wire.TypeCommand, Words: msg.Words})
		m.answerFront(f, msg.Ask, wire.Answer{Document: json.RawMessage(`{"status":"told the server before this one"}`)})
	default:
		m.runForFront(f, msg, by)
	}
}

// clientName returns a client of the admin address for the log: what a front says of it is an
// address, or nothing.
func clientName(s string) string {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.String()
	}
	return "a unix socket"
}

// isForPredecessor reports whether a command is one that ends one of the servers of an
// upgrade, while this one answers at the address of both: then it is for the older one, as it
// is before the successor answers.
func (m *Master) isForPredecessor(words []string) bool {
	return m.upgrader.predecessor != nil && m.admin.listener == m.admin.inherited && (words[0] == "rollback" || words[0] == "shutdown")
}

// runForFront carries out a command, and answers the front when it is done.
func (m *Master) runForFront(f *frontProcess, msg wire.FromFront, by commander) {
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	f.commands++
	over := false
	end := func() {
		if !over {
			over = true
			f.commands--
			cancel()
		}
	}
	m.after(commandPatience, end)
	m.command(ctx, by, msg.Words, func(data any, err error) {
		end()
		if err != nil {
			reason := err.Error()
			m.answerFront(f, msg.Ask, wire.Answer{Error: reason[max(0, len(reason)-maxError):], Code: http.StatusConflict})
			return
		}
		document, err := json.Marshal(data)
		if err != nil {
			panic("master: command: " + err.Error()) // what commands answer has a form in JSON
		}
		m.answerFront(f, msg.Ask, wire.Answer{Document: document})
	})
}

// commandFromSuccessor carries out a command that a client has given the successor.
func (m *Master) commandFromSuccessor(l *link, words []string) {
	by := commander{"Admin address", fmt.Sprintf("successor:%d", l.pid)}
	m.command(context.Background(), by, words, func(_ any, err error) {
		if err != nil {
			m.log.Errorf("%s: %s: %s", by.way, words[0], err)
		}
	})
}
