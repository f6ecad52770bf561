package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// firstPause is how long a message waits that could not be sent; it doubles with each
	// time.
	firstPause = time.Second
	// maxAnswer bounds what is read of the collector's answer, in bytes.
	maxAnswer = 64 << 10
	// saidEvery is how often the log says, at most, that what is sent is lost.
	saidEvery = time.Minute
)

// A Sender sends one signal. Any number of goroutines may call its methods.
type Sender struct {
	log     Log
	signal  Signal
	url     *url.URL
	header  http.Header
	gzip    bool
	timeout time.Duration // of one attempt
	client  *http.Client

	mu sync.Mutex
	// +checklocks:mu
	failing bool // the log has said so
	// +checklocks:mu
	lost int // items since the log said something
	// +checklocks:mu
	said time.Time
}

// A refusal is an answer of the collector that is no success.
type refusal struct {
	status int
	after  time.Duration // when it wants to be asked again; 0: it does not say
	text   string
}

func (e *refusal) Error() string {
	if e.text != "" {
		return e.text
	}
	return fmt.Sprintf("it answers %d %s", e.status, http.StatusText(e.status))
}

// Send sends a message that has so many items, and tries again until ctx ends where that may
// help. It waits; the log says what there is to say.
func (s *Sender) Send(ctx context.Context, message []byte, items int) {
	body, err := s.encode(message)
	for pause := firstPause; err == nil; pause *= 2 {
		var again time.Duration
		if again, err = s.attempt(ctx, body, pause); err == nil {
			s.succeeded()
			return
		}
		s.failed(err)
		if again > 0 && sleep(ctx, again) {
			err = nil
		}
	}
	s.Lose(items)
}

// attempt posts a body once. After an error that may pass it returns how long to wait.
func (s *Sender) attempt(ctx context.Context, body []byte, pause time.Duration) (again time.Duration, err error) {
	err = s.post(ctx, body)
	var refused *refusal
	if !errors.As(err, &refused) { // it was not answered
		return pause/2 + rand.N(pause), err
	}
	switch refused.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return max(refused.after, pause/2+rand.N(pause)), err
	}
	return 0, err
}

// sleep waits; it reports false at once if ctx will have ended by then.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Sender) encode(message []byte) ([]byte, error) {
	if !s.gzip {
		return message, nil
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(message)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func (s *Sender) post(ctx context.Context, body []byte) error {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = s.header.Clone()
	if s.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("it has not answered for %s", time.Since(begun).Round(time.Millisecond))
		}
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, which the log names already
		}
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode/100 != 2:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &refusal{status: resp.StatusCode, after: time.Duration(max(seconds, 0)) * time.Second}
	case err == nil:
		if n, text := rejected(answer); n > 0 {
			return &refusal{status: resp.StatusCode, text: fmt.Sprintf("it takes all but %d: %.200q", n, text)}
		}
	}
	return nil // what was taken is taken
}

// rejected reads an answer of the collector, which may say that it has rejected some of what
// it got, and why. The answers for all signals have the same fields:
// partial_success, 1, with the number, 1, and the text, 2.
func rejected(answer []byte) (n int64, text string) {
	_ = eachField(answer, func(number protowire.Number, _ uint64, part []byte) {
		if number != 1 {
			return
		}
		_ = eachField(part, func(number protowire.Number, value uint64, b []byte) {
			switch int(number) {
			case 1:
				n = int64(value)
			case 2:
				text = string(b)
			}
		})
	})
	return n, text
}

// eachField calls f for each number and each text in a message.
func eachField(message []byte, f func(number protowire.Number, value uint64, b []byte)) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		switch kind {
		case protowire.VarintType:
			var value uint64
			if value, n = protowire.ConsumeVarint(message); n >= 0 {
				f(number, value, nil)
			}
		case protowire.BytesType:
			var b []byte
			if b, n = protowire.ConsumeBytes(message); n >= 0 {
				f(number, 0, b)
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
	}
	return nil
}

// Lose counts items that were not sent.
func (s *Sender) Lose(items int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += items
}

// failed tells the operator when the collector begins to take nothing.
func (s *Sender) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		return
	}
	s.failing, s.said = true, time.Now()
	hint := ""
	if s.url.Port() == grpcPort {
		hint = " (" + grpcPort + " is the port for gRPC; OTLP over HTTP has 4318)"
	}
	s.log.Warnf("OpenTelemetry: %s does not take %s: %s%s. They are dropped until it does", s.url.Redacted(), s.signal.items, err, hint)
}

// succeeded tells the operator when the collector takes something again, and, seldom, that
// it is too slow for all that is there.
func (s *Sender) succeeded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch now := time.Now(); {
	case s.failing:
		s.log.Warnf("OpenTelemetry: %s takes %s again; %d were dropped", s.url.Redacted(), s.signal.items, s.lost)
		s.failing, s.lost, s.said = false, 0, now
	case s.lost > 0 && now.Sub(s.said) > saidEvery:
		s.log.Warnf("OpenTelemetry: %s takes %s too slowly: %d were dropped", s.url.Redacted(), s.signal.items, s.lost)
		s.lost, s.said = 0, now
	}
}

// Close closes the connection.
func (s *Sender) Close() { s.client.CloseIdleConnections() }
