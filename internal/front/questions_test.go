package front

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

// All who ask for the status at the same time get the same answer of the master, which may be
// in a file; who asks later gets a later one.
func TestStatusOfTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []int
		s := newServer(errlog.New(os.Stderr), 0, func(m wire.FromFront) { asked = append(asked, m.Ask) })
		answer := func(target int) {
			document, err := json.Marshal(map[string]any{"target": target, "app": strings.Repeat("x", 200<<10)})
			if err != nil {
				t.Fatal(err)
			}
			file, err := wire.ConstantFile("document", document)
			if err != nil {
				t.Fatal(err)
			}
			s.carryOut(wire.ToFront{Type: wire.TypeAnswer, Ask: asked[len(asked)-1], Answer: &wire.Answer{}}, []*os.File{file})
		}
		answers := make(chan int, 6)
		ask := func() {
			whole, err := s.wholeStatus(t.Context())
			if err != nil || len(whole.App) != 200<<10 {
				t.Errorf("%v, %v", whole, err)
				return
			}
			answers <- whole.Target
		}
		go ask()
		synctest.Wait()
		for range 5 {
			go ask()
			synctest.Wait()
		}
		answer(1)
		time.Sleep(statusPause)
		synctest.Wait()
		answer(2)
		synctest.Wait()
		close(answers)
		var got []int
		for n := range answers {
			got = append(got, n)
		}
		if want := []int{1, 2, 2, 2, 2, 2}; !slices.Equal(got, want) || len(asked) != 2 {
			t.Errorf("the answers are %v, to %d questions", got, len(asked))
		}
	})
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
	s.questions.mu.Lock()
	if n := len(s.questions.waiting); n > 0 {
		t.Errorf("%d questions wait", n)
	}
	s.questions.mu.Unlock()
	s.carryOut(wire.ToFront{Type: wire.TypeAnswer, Ask: 99, Answer: &wire.Answer{}}, nil)
	if err := s.do(wire.ToFront{Type: wire.TypeAnswer, Ask: 1}, nil); err == nil {
		t.Error("an answer that says nothing is taken")
	}
}
