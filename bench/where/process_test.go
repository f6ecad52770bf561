package main

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	stat := "7 (a ) worker) S 1 7 7 0 -1 4194560 1 2 3 4 250 31 0 0 20 0 1 0 100 1000 10\n"
	status := "Name:\tworker\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n"
	sched := "worker (7, #threads: 1)\n---\nse.nr_migrations   :      12\nnr_switches     :   695\n"
	u, err := parse([]byte(stat), []byte("2811000000 92000000 700\n"), []byte(status), []byte(sched))
	if err != nil {
		t.Fatal(err)
	}
	want := usage{2500 * time.Millisecond, 310 * time.Millisecond, 2811 * time.Millisecond, 92 * time.Millisecond, 700, 150, 545, 12}
	if u != want {
		t.Errorf("got  %+v\nwant %+v", u, want)
	}
	if _, err := parse([]byte("7 (worker) S"), nil, nil, nil); err == nil {
		t.Error("a line that was cut off is no error")
	}
	if _, err := parse([]byte(stat), []byte("1 2 3"), nil, nil); err == nil {
		t.Error("a status without switches is no error")
	}
}

// What this process does is seen in what is read of it.
func TestRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc of Linux")
	}
	before, err := read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; {
		after, err := read(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		d := after.minus(before)
		if d.ran > 0 && d.user+d.system > 0 && d.turns > 0 {
			return
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("nothing was counted: %+v", d)
		}
	}
}

func TestCallsOf(t *testing.T) {
	text := `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 45.10    0.012345           5      2300           write
 30.00    0.010000           5      1900       950 recvmsg
------ ----------- ----------- --------- --------- ----------------
100.00    0.022345                  4200       950 total
`
	calls, err := callsOf(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 2 || calls["write"] != 2300 || calls["recvmsg"] != 1900 {
		t.Errorf("got %v", calls)
	}
	if _, err := callsOf("strace: Process 7 attached\n"); err == nil {
		t.Error("a text without calls is no error")
	}
}
