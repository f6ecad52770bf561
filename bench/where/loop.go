package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// This file is about the time that the app itself takes.

// callsIn sums up what the processes in a directory have counted, see bench/apps/timed.py.
func callsIn(dir string) (calls int, took time.Duration, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		n, d, e := readCalls(name)
		calls, took, err = calls+n, took+d, errors.Join(err, e)
	}
	return calls, took, err
}

func readCalls(name string) (calls int, took time.Duration, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, err
	}
	if len(b) < 16 {
		return 0, 0, fmt.Errorf("%s has %d bytes", name, len(b))
	}
	return int(binary.NativeEndian.Uint64(b)), time.Duration(binary.NativeEndian.Uint64(b[8:])), nil
}

// printLoops prints what a call of the app takes in a loop, beside what it took in the workers.
func (o *options) printLoops(w *workload, full *result) error {
	fmt.Print("| the app | µs a call |\n|---|---:|\n")
	for _, beside := range []struct{ name, python string }{
		{"in a loop, the other processors idle", ""},
		{"in a loop, one of them adding numbers", "while True: sum(range(1000))"},
		{"in a loop, one of them in the same loop", "import runpy; runpy.run_path('timed.py', run_name='__main__')"},
	} {
		took, err := o.loop(w, beside.python)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.1f |\n", beside.name, took)
	}
	fmt.Printf("| in the workers, at saturation | %.1f |\n\n", full.perCall())
	return nil
}

// loop returns the microseconds that a call of the app takes in a loop on the first processor.
// beside is what the last one runs meanwhile.
func (o *options) loop(w *workload, beside string) (float64, error) {
	seconds := fmt.Sprint(o.length.Seconds())
	if beside != "" {
		// argv of the program: it outlasts the loop, and is ended then.
		burner := o.command(w, runtime.NumCPU()-1, "-c", beside, fmt.Sprint(10*o.length.Seconds()))
		if err := burner.Start(); err != nil {
			return 0, err
		}
		defer func() {
			_ = burner.Process.Kill()
			_ = burner.Wait()
		}()
	}
	var out strings.Builder
	cmd := o.command(w, 0, "timed.py", seconds)
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("the loop: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(out.String()))
	return float64(n) / 1000, err
}

// command is Python on one processor.
func (o *options) command(w *workload, processor int, args ...string) *exec.Cmd {
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(processor), o.python}, args...)...)
	cmd.Dir, cmd.Stderr = o.apps, os.Stderr
	cmd.Env = append(os.Environ(), "BENCH_TIMED="+w.app, "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}
