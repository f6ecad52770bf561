//go:build linux

package test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// This file calls pools from each kind of worker: apps/pooled.py.

// A poolCall is what apps/pooled.py is asked for.
type poolCall struct {
	App     string         `json:"app,omitempty"`
	Action  string         `json:"action"`
	Args    []any          `json:"args,omitempty"`
	Kwargs  map[string]any `json:"kwargs,omitempty"`
	Timeout float64        `json:"timeout,omitempty"` // seconds
}

func (c poolCall) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // it is made of what JSON has
	}
	return string(text)
}

// A poolAnswer is what became of a call.
type poolAnswer struct {
	Result  any
	Error   string // the class
	Message string
	Details map[string]any
	Took    float64 // seconds, of an error
}

func readPoolAnswer(t *testing.T, r *harness.Response) (a poolAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), &a); r.Status != 200 || err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return a
}

func callPool(t *testing.T, s *harness.Server, c poolCall) poolAnswer {
	t.Helper()
	r, err := s.Request("POST", "/call", c.String())
	harness.Must(t, err)
	return readPoolAnswer(t, r)
}

// beginCall sends a call, whose answer is read later.
func beginCall(t *testing.T, s *harness.Server, c poolCall) *harness.Client {
	t.Helper()
	client := s.Client()
	client.Send(t, harness.FormatRequest("POST", "/call", c.String()))
	return client
}

// expect fails unless the call ended so.
func (a poolAnswer) expect(t *testing.T, class string, words ...string) {
	t.Helper()
	said := fmt.Sprint(a.Message, a.Details)
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not in %s", word, said)
		}
	}
	if a.Error != class {
		t.Errorf("%s %s, want %s", a.Error, said, class)
	}
}

// poolArgs make a pool of so many workers and threads.
func poolArgs(workers, threads int, more ...string) []string {
	args := []string{"--dirty-app", "pooled:Pooled", "--dirty-workers", fmt.Sprint(workers), "--dirty-threads", fmt.Sprint(threads)}
	return append(args, more...)
}

// forEachCaller runs a test with each kind of worker as the caller.
func forEachCaller(t *testing.T, args []string, test func(t *testing.T, s *harness.Server)) {
	t.Helper()
	forCallers(t, []string{"sync", "gthread", "gevent", "asgi"}, args, test)
}

// forCallers runs a test with these kinds of workers as the caller.
func forCallers(t *testing.T, kinds, args []string, test func(t *testing.T, s *harness.Server)) {
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		if !slices.Contains(kinds, k.Name) {
			t.SkipNow()
		}
		t.Parallel()
		s := harness.Start(t, k.Options(t, "pooled:app", args...))
		test(t, s)
		s.Terminate()
	})
	t.Run("asgi", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, harness.Options{App: "pooled:asgi", Args: args})
		test(t, s)
		s.Terminate()
	})
}

func TestPoolCalls(t *testing.T) {
	t.Parallel()
	forEachCaller(t, poolArgs(2, 1), func(t *testing.T, s *harness.Server) {
		args := []any{nil, true, -1.0, 1.5, "é", []any{"a", []any{}}, map[string]any{"k": "v"}}
		a := callPool(t, s, poolCall{Action: "echo", Args: args, Kwargs: map[string]any{"a": 1.0}})
		if want := []any{args, map[string]any{"a": 1.0}}; !reflect.DeepEqual(a.Result, want) {
			t.Errorf("%v, want %v", a, want)
		}
		for _, size := range []int{16, 64 << 10, 64<<10 + 16, 5 << 20} {
			want := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Repeat("0123456789abcdef", size/16))))
			a := callPool(t, s, poolCall{Action: "blob", Args: []any{size}})
			got, _ := a.Result.(map[string]any)
			if got["sha256"] != want {
				t.Errorf("%d bytes came as %v", size, a)
			}
		}
		nested, _ := callPool(t, s, poolCall{Action: "nested"}).Result.([]any)
		if len(nested) != 2 || nested[0] == nested[1] {
			t.Errorf("a call from a worker of the pool, which is busy with it: %v", nested)
		}

		// What goes wrong is told, and harms nothing else.
		workers := s.Role("dirty-worker")
		callPool(t, s, poolCall{Action: "fail"}).expect(t, "DirtyAppError", "on purpose", `raise ValueError("on purpose")`, "pooled.py", "exception:ValueError")
		callPool(t, s, poolCall{Action: "leave"}).expect(t, "DirtyAppError", "SystemExit")
		callPool(t, s, poolCall{Action: "unfit"}).expect(t, "DirtyResultError", "Unsupported type for TLV encoding: set (at ['a'][0])")
		callPool(t, s, poolCall{Action: "nothing"}).expect(t, "DirtyActionNotFoundError", "Unknown action: nothing")
		callPool(t, s, poolCall{Action: "_private"}).expect(t, "DirtyActionNotFoundError", "Unknown action: _private")
		callPool(t, s, poolCall{Action: "who", Args: []any{1}}).expect(t, "DirtyAppError", "takes 1 positional argument")
		callPool(t, s, poolCall{App: "other:App", Action: "who"}).expect(t, "DirtyAppNotFoundError", "other:App")
		callPool(t, s, poolCall{Action: "parts", Args: []any{3, 8}}).expect(t, "DirtyError", "stream()")
		if after := s.Role("dirty-worker"); !reflect.DeepEqual(pidsOf(after), pidsOf(workers)) {
			t.Errorf("the workers were %v, and are %v", workers, after)
		}
	})
}

func pidsOf(procs []harness.Proc) []int {
	var pids []int
	for _, p := range procs {
		pids = append(pids, p.PID)
	}
	return pids
}

// A call that its caller does not wait for any longer is cancelled where that is possible.
func TestPoolDeadline(t *testing.T) {
	t.Parallel()
	forEachCaller(t, poolArgs(1, 1), func(t *testing.T, s *harness.Server) {
		for action, says := range map[string]string{"hang": "hung", "watch": "watched"} {
			mark := s.Log.Mark()
			a := callPool(t, s, poolCall{Action: action, Timeout: 2}) // it has begun long before
			a.expect(t, "DirtyTimeoutError", "timeout:2")
			if a.Took < 2 {
				t.Errorf("%s is over after %v s", action, a.Took)
			}
			s.Log.ExpectFrom(t, mark, says)
			// And the worker takes the next call.
			if a := callPool(t, s, poolCall{Action: "echo"}); a.Error != "" {
				t.Errorf("%v", a)
			}
		}
	})
}

// So it is when the pool has a limit of its own.
func TestPoolTimeout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(1, 1, "--dirty-timeout", "3")})
	callPool(t, s, poolCall{Action: "hang"}).expect(t, "DirtyTimeoutError", "timeout:3")
	s.Log.Expect(t, "hung")
	if a := callPool(t, s, poolCall{Action: "echo"}); a.Error != "" {
		t.Errorf("%v", a)
	}
	s.Terminate()
}

// TestPoolDeadlineWhileWaiting: a call that never got a worker does not run later.
func TestPoolDeadlineWhileWaiting(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Args: poolArgs(1, 1, "--threads", "4"), Gates: []string{"one"}})
	first := beginCall(t, s, poolCall{Action: "wait", Args: []any{"one"}})
	s.Gates["one"].Entered()
	callPool(t, s, poolCall{Action: "hang", Timeout: 0.2}).expect(t, "DirtyTimeoutError", "timeout:0.2")
	s.Gates["one"].Release()
	if a := readPoolAnswer(t, first.Receive(t, "POST")); a.Error != "" {
		t.Errorf("%v", a)
	}
	if a := callPool(t, s, poolCall{Action: "echo"}); a.Error != "" {
		t.Errorf("%v", a)
	}
	if s.Log.Count("hanging") != 0 {
		t.Error("a call ran for which nobody waited")
	}
	s.Terminate()
}

func TestPoolFull(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:app", Gates: []string{"one"}, Args: poolArgs(1, 1, "--threads", "8", "--dirty-queue-limit", "2")})
	running := beginCall(t, s, poolCall{Action: "wait", Args: []any{"one"}})
	s.Gates["one"].Entered()
	// Of those that come now two wait, and the others are refused.
	answers := make(chan poolAnswer, 5)
	for range 5 {
		c := beginCall(t, s, poolCall{Action: "echo"})
		go func() {
			var a poolAnswer
			r, err := harness.ReadResponse(c.Reader, "POST")
			if err == nil {
				err = json.Unmarshal([]byte(r.Body), &a)
			}
			if err != nil {
				a = poolAnswer{Error: err.Error()}
			}
			answers <- a
		}()
	}
	for range 3 {
		(<-answers).expect(t, "DirtyPoolFullError", "2 calls wait", "pool:dirty", "app_path:pooled:Pooled")
	}
	s.Gates["one"].Release()
	for range 2 {
		if a := <-answers; a.Error != "" {
			t.Errorf("a call that waited: %v", a)
		}
	}
	if a := readPoolAnswer(t, running.Receive(t, "POST")); a.Error != "" {
		t.Errorf("%v", a)
	}
	s.Terminate()
}

// A worker that dies fails the call that it ran, and no other.
func TestPoolWorkerDies(t *testing.T) {
	t.Parallel()
	gates := []string{"one", "two"}
	s := harness.Start(t, harness.Options{App: "pooled:app", Gates: gates, Args: poolArgs(2, 1, "--threads", "8")})
	calls := map[string]*harness.Client{}
	var victim int
	for _, gate := range gates {
		calls[gate] = beginCall(t, s, poolCall{Action: "wait", Args: []any{gate}})
		s.Gates[gate].Entered()
		if gate == "one" {
			// It has the gate open when open(2) returns, which is a little later.
			harness.Eventually(t, "a worker has the gate open", func() bool {
				for _, p := range s.Role("dirty-worker") {
					if harness.Holds(p.PID, s.Path("gates/one")) {
						victim = p.PID
					}
				}
				return victim != 0
			})
		}
	}
	waiting := beginCall(t, s, poolCall{Action: "who"})
	harness.Kill(t, victim, syscall.SIGKILL)
	readPoolAnswer(t, calls["one"].Receive(t, "POST")).expect(t, "DirtyWorkerError", fmt.Sprintf("worker_id:%d", victim))
	if a := readPoolAnswer(t, waiting.Receive(t, "POST")); a.Error != "" || a.Result == float64(victim) {
		t.Errorf("the call that waited: %v", a)
	}
	s.Gates["two"].Release()
	if a := readPoolAnswer(t, calls["two"].Receive(t, "POST")); a.Error != "" {
		t.Errorf("the call of the other worker: %v", a)
	}
	s.Terminate()
}

// Large arguments and results go by shared memory.
func TestPoolLargeValues(t *testing.T) {
	t.Parallel()
	const size = 96 << 20
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Repeat("0123456789abcdef", size/16))))
	for _, app := range []string{"pooled:app", "pooled:asgi"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: app, Args: poolArgs(2, 1)})
			a := callPool(t, s, poolCall{Action: "blob", Args: []any{size}})
			if got, _ := a.Result.(map[string]any); got["sha256"] != want {
				t.Errorf("the result: %v", a)
			}
			if a := callPool(t, s, poolCall{Action: "blob_digest", Args: []any{size}}); a.Result != want {
				t.Errorf("the argument: %v", a)
			}
			s.Terminate()
		})
	}
}

func TestPoolStash(t *testing.T) {
	t.Parallel()
	forEachCaller(t, poolArgs(1, 1, "--stash-limit", "100000"), func(t *testing.T, s *harness.Server) {
		stash := func(op string, args ...any) poolAnswer {
			t.Helper()
			order, err := json.Marshal(map[string]any{"op": op, "args": args})
			harness.Must(t, err)
			r, err := s.Request("POST", "/stash", string(order))
			harness.Must(t, err)
			return readPoolAnswer(t, r)
		}
		for _, step := range []struct {
			op   string
			args []any
			want any
		}{
			{"tables", nil, []any{"declared"}},
			{"get", []any{"t", "k", "none"}, "none"},
			{"exists", []any{"t"}, false},
			{"put", []any{"t", "k", map[string]any{"a": []any{1.0, nil}}}, nil},
			{"put", []any{"t", 1, "number"}, nil},
			{"put", []any{"t", "1", "text"}, nil},
			{"get", []any{"t", "k"}, map[string]any{"a": []any{1.0, nil}}},
			{"get", []any{"t", 1}, "number"},
			{"get", []any{"t", "1"}, "text"},
			{"keys", []any{"t", "k*"}, []any{"k"}},
			{"info", []any{"t"}, map[string]any{"table": "t", "size": 3.0}},
			{"exists", []any{"t", "k"}, true},
			{"exists", []any{"t", "l"}, false},
			{"delete", []any{"t", "k"}, true},
			{"delete", []any{"t", "k"}, false},
			{"ensure", []any{"u"}, nil},
			{"clear", []any{"t"}, nil},
			{"info", []any{"t"}, map[string]any{"table": "t", "size": 0.0}},
			{"delete_table", []any{"t"}, true},
			{"delete_table", []any{"t"}, false},
			{"keys", []any{"t"}, []any{}},
		} {
			if a := stash(step.op, step.args...); a.Error != "" || !reflect.DeepEqual(a.Result, step.want) {
				t.Errorf("%s%v: %v, want %v", step.op, step.args, a, step.want)
			}
		}
		stash("info", "t").expect(t, "StashTableNotFoundError", "t")
		stash("put", "t", "large", strings.Repeat("x", 200000)).expect(t, "StashFullError", "limit:100000")
		// It outlives workers.
		stash("put", "t", "kept", 1)
		s.Reload(1)
		if a := stash("get", "t", "kept"); a.Result != 1.0 {
			t.Errorf("after a reload: %v", a)
		}
	})
}
