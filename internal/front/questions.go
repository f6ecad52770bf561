package front

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"indrik/internal/status"
	"indrik/internal/wire"
)

const (
	// masterPatience is how long the master has to say what it knows.
	masterPatience = 5 * time.Second
	// maxDocument is the size of the largest document that the master gives.
	maxDocument = 16 << 20
	// statusShare is the part of the time that asking for statuses may take: one in so many.
	statusShare = 20
	// statusPause is the longest time between two of them.
	statusPause = time.Second
)

// questions are what this process asks the master, for those who watch the server.
type questions struct {
	send func(wire.FromFront)

	mu sync.Mutex
	// +checklocks:mu
	last int
	// +checklocks:mu
	waiting map[int]chan<- masterAnswer // by the number of the question
	// +checklocks:mu
	next *statusQuestion // that is yet to be asked; nil: none

	turn chan time.Time // holds when the next status may be asked for, unless one is being
}

func newQuestions(send func(wire.FromFront)) *questions {
	q := &questions{send: send, waiting: map[int]chan<- masterAnswer{}, turn: make(chan time.Time, 1)}
	q.turn <- time.Time{}
	return q
}

// A masterAnswer is what the master says.
type masterAnswer struct {
	wire.Answer
	document []byte
}

// ask asks the master. The error is that it does not answer until ctx ends.
func (q *questions) ask(ctx context.Context, m wire.FromFront) (masterAnswer, error) {
	answer := make(chan masterAnswer, 1)
	q.mu.Lock()
	q.last++
	m.Ask = q.last
	q.waiting[m.Ask] = answer
	q.mu.Unlock()
	q.send(m)
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		q.mu.Lock()
		delete(q.waiting, m.Ask)
		q.mu.Unlock()
		return masterAnswer{}, fmt.Errorf("the master does not answer: %w", ctx.Err())
	}
}

// answered gives an answer of the master to whoever has asked.
func (q *questions) answered(m wire.ToFront, files []*os.File) error {
	defer wire.CloseAll(files)
	if m.Answer == nil || len(files) > 1 {
		return incomplete(m, nil)
	}
	a := masterAnswer{Answer: *m.Answer, document: m.Answer.Document}
	if len(files) == 1 {
		var err error
		if a.document, err = io.ReadAll(io.NewSectionReader(files[0], 0, maxDocument)); err != nil {
			return fmt.Errorf("an answer of the master: %w", err)
		}
	}
	q.mu.Lock()
	answer := q.waiting[m.Ask]
	delete(q.waiting, m.Ask)
	q.mu.Unlock()
	if answer != nil { // else nobody waits for it any more
		answer <- a
	}
	return nil
}

// A statusQuestion is asked for all who want a status at the same time.
type statusQuestion struct {
	done     chan struct{}
	document []byte
	err      error
}

// statusDocument returns the status of the whole server now, as JSON, which the caller must
// not change. The form is a [status.Status].
func (s *server) statusDocument(ctx context.Context) ([]byte, error) {
	q := s.questions
	q.mu.Lock()
	question := q.next
	if question == nil {
		question = &statusQuestion{done: make(chan struct{})}
		q.next = question
		go s.askStatus(question)
	}
	q.mu.Unlock()
	select {
	case <-question.done:
		return question.document, question.err
	case <-s.ending.Done():
		return nil, errors.New("no answers of the master are read any more")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wholeStatus returns the status of the whole server now.
func (s *server) wholeStatus(ctx context.Context) (*status.Status, error) {
	document, err := s.statusDocument(ctx)
	if err != nil {
		return nil, err
	}
	var whole status.Status
	if err := json.Unmarshal(document, &whole); err != nil {
		return nil, fmt.Errorf("the master's status: %w", err)
	}
	return &whole, nil
}

// askStatus asks the master for a status when it is time: one at a time, with pauses in
// proportion to what they cost.
func (s *server) askStatus(question *statusQuestion) {
	q := s.questions
	time.Sleep(time.Until(<-q.turn))
	q.mu.Lock()
	q.next = nil // whoever asks from now on gets a later status
	q.mu.Unlock()
	defer close(question.done)
	ctx, cancel := context.WithTimeout(context.Background(), masterPatience)
	defer cancel()
	begun := time.Now()
	a, err := q.ask(ctx, wire.FromFront{Type: wire.TypeStatus, Status: encodeStatus(s.status())})
	took := time.Since(begun)
	q.turn <- begun.Add(min(statusPause, max(10*time.Millisecond, statusShare*took)))
	switch {
	case err != nil:
		question.err = err
	case a.Error != "":
		question.err = errors.New(a.Error)
	default:
		question.document = a.document
	}
}
