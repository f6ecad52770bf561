package status

import (
	"strings"
	"testing"
)

func TestPoolText(t *testing.T) {
	s := Status{Front: &Front{
		Pools: []Pool{{
			Name: "gpu", Waiting: 2, Limit: 10, Oldest: 1.5, Calls: map[string]int{"done": 7, "died": 1},
			Workers: []PoolWorker{{
				PID: 11, Age: 3, State: "ready", Apps: []string{"ml:Model"}, Slots: 2, Busy: 1, Calls: 7,
				Running: []PoolCall{{App: "ml:Model", Action: "pre\x1bdict", Seconds: 2}},
			}},
		}},
		Stash: &Stash{Tables: 1, Keys: 2, Bytes: 300, Limit: 1000},
	}}
	var b strings.Builder
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Pool gpu: 2 of 10 calls waiting, the oldest for 1.5 s; 7 done, 1 died\n",
		"  worker 3 (pid 11) is ready: 1 of 2 busy, 7 answered; ml:Model\n",
		"Stash: 2 keys in 1 tables, 300 of 1000 bytes\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a worker writes to the terminal")
	}
}
