package front

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

// All who ask for the status at the same time get the same answer of the master, which may be
// in a file; who asks later gets a later one.
func TestStatusOfTheServer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	hold := make(chan bool)
	var s *server
	s = newServer(errlog.New(os.Stderr), 0, func(m wire.FromFront) {
		n := asked.Add(1)
		go func() {
			<-hold
			document, err := json.Marshal(map[string]any{"target": n, "app": strings.Repeat("x", 200<<10)})
			if err != nil {
				t.Error(err)
			}
			file, err := wire.ConstantFile("document", document)
			if err != nil {
				t.Error(err)
			}
			s.carryOut(wire.ToFront{Type: wire.TypeAnswer, Ask: m.Ask, Answer: &wire.Answer{}}, []*os.File{file})
		}()
	})
	targets := make(chan int, 8)
	ask := func() {
		whole, err := s.wholeStatus(t.Context())
		if err != nil || len(whole.App) != 200<<10 {
			t.Errorf("%v, %v", whole, err)
			return
		}
		targets <- whole.Target
	}
	go ask()
	for asked.Load() == 0 { // it is on its way
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		go ask()
	}
	hold <- true
	if n := <-targets; n != 1 {
		t.Errorf("the first one gets answer %d", n)
	}
	hold <- true
	for range 5 {
		if n := <-targets; n != 2 {
			t.Errorf("a later one gets answer %d", n)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the master was asked %d times", n)
	}
}

// A master that refuses, or does not answer, is told of; answers to nobody are dropped.
func TestQuestionsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	var s *server
	s = newServer(errlog.New(os.Stderr), 0, func(m wire.FromFront) {
		if m.Type == wire.TypeStatus {
			go s.carryOut(wire.ToFront{Type: wire.TypeAnswer, Ask: m.Ask, Answer: &wire.Answer{Error: "too often", Code: 429}}, nil)
		}
	})
	if _, err := s.statusDocument(t.Context()); err == nil || err.Error() != "too often" {
		t.Errorf("a master that refuses: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.questions.ask(ctx, wire.FromFront{Type: "silence"}); err == nil || !strings.Contains(err.Error(), "the master does not answer") {
		t.Errorf("a master that is silent: %v", err)
	}
	if n := len(s.questions.waiting); n > 0 {
		t.Errorf("%d questions wait", n)
	}
	for _, m := range []wire.ToFront{{Ask: 1, Answer: &wire.Answer{}}, {Ask: 99}} {
		s.carryOut(m, nil)
	}
}
