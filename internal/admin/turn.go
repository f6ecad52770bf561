package admin

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"
)

const (
	// share is the part of the time of one processor that costly pages may take: one in so
	// many.
	share = 50
	// maxPause is the longest time between two of them.
	maxPause = time.Second
	// patience is how long a request waits for its turn.
	patience = 10 * time.Second
)

// A turn lets costly pages be made one at a time, with pauses between them in proportion to
// what they have cost.
type turn chan time.Time // holds from when on the next one may be made

func newTurn() turn {
	t := make(turn, 1)
	t <- time.Time{}
	return t
}

// take waits for a turn, and reports whether there was one in time.
func (t turn) take(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case from := <-t:
		select {
		case <-time.After(time.Until(from)):
			return true
		case <-ctx.Done():
			t <- from
			return false
		}
	case <-ctx.Done():
		return false
	}
}

// give lets the next one have its turn, after a page that was begun at a time.
func (t turn) give(begun time.Time) {
	now := time.Now()
	t <- now.Add(min(maxPause, (share-1)*now.Sub(begun)))
}

// handler makes a page in its turn, and sends it when it is made: a client that reads slowly
// does not hold up the next one.
func (t turn) handler(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !t.take(r.Context()) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many ask for this at once.", http.StatusServiceUnavailable)
			return
		}
		made := t.make(page, w.Header(), r)
		w.Header().Set("Content-Length", strconv.Itoa(made.body.Len()))
		w.WriteHeader(made.code)
		_, _ = w.Write(made.body.Bytes()) // the client has gone, or reads too slowly
	})
}

func (t turn) make(page http.Handler, header http.Header, r *http.Request) *made {
	begun := time.Now()
	defer func() { t.give(begun) }()
	m := &made{header: header, code: http.StatusOK}
	page.ServeHTTP(m, r)
	return m
}

// A made is a response in memory.
type made struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (m *made) Header() http.Header            { return m.header }
func (m *made) WriteHeader(code int)           { m.code = code }
func (m *made) Write(data []byte) (int, error) { return m.body.Write(data) }
