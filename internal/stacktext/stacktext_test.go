package stacktext

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	got := Parse(`Thread 0x00007f2c3e1c0740 [pool-1] (most recent call first):
  File "/srv/shop/views.py", line 7 in report
  ...
Current thread 0x0000000000000010 (most recent call first, approximate line numbers):
Request 16777218 (most recent call first):
  File "/srv/shop/app.py", line 3 in app
Task Task-9 of request 16777218 (most recent call first):
Thread 0x0000000000000020 of request 5 (most recent call first):
3 more are not shown
`)
	want := []Stack{
		{What: "Thread 0x00007f2c3e1c0740 [pool-1]", Thread: 0x7f2c3e1c0740, Calls: []string{`File "/srv/shop/views.py", line 7 in report`, "..."}},
		{What: "Current thread 0x0000000000000010", Thread: 0x10},
		{What: "Request 16777218", Request: 16777218, Calls: []string{`File "/srv/shop/app.py", line 3 in app`}},
		{What: "Task Task-9 of request 16777218", Request: 16777218},
		{What: "Thread 0x0000000000000020 of request 5", Thread: 0x20, Request: 5},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSection(t *testing.T) {
	text := "Thread 0x1\nStacks 3\nolder\nEnd of stacks 3\nStacks 4\nRequest 1\nEnd of stacks 4\nStacks 5\nhalf"
	for number, want := range map[int]string{3: "older\n", 4: "Request 1\n"} {
		if part, complete := Section(text, number); part != want || !complete {
			t.Errorf("%d: %q, %v", number, part, complete)
		}
	}
	for _, number := range []int{5, 6} {
		if part, complete := Section(text, number); complete {
			t.Errorf("%d: %q is complete", number, part)
		}
	}
}

// Whatever a worker has written, what comes of it is bounded and harmless.
func FuzzParse(f *testing.F) {
	f.Add("Thread 0x1 (most recent call first):\n  File \"\x1b]0;x\x07\u202e\u009b1m\u2028\", line 1 in f\r\n")
	f.Add("Request 99999999999999999999 (most recent call first)\n  \xff\x00\n")
	f.Add(strings.Repeat("Task a of request 1 (most recent call first):\n", 600))
	f.Add("Thread 0x1 (most recent call first):\n" + strings.Repeat("  x\n", 200) + "  " + strings.Repeat("y", 1000))
	f.Fuzz(func(t *testing.T, text string) {
		harmless := func(s string) {
			if !utf8.ValidString(s) {
				t.Errorf("%q is no UTF-8", s)
			}
			for _, r := range s {
				if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x2028 {
					t.Errorf("%q has %U", s, r)
				}
			}
		}
		all := Parse(text)
		if len(all) > maxStacks {
			t.Errorf("%d stacks", len(all))
		}
		for _, s := range all {
			harmless(s.What)
			if len(s.Calls) > maxCalls {
				t.Errorf("%d calls", len(s.Calls))
			}
			for _, c := range s.Calls {
				harmless(c)
				if len(c) > 4*maxLine {
					t.Errorf("a line of %d bytes", len(c))
				}
			}
		}
		harmless(strings.ReplaceAll(Clean(text), "\n", ""))
		Section(text, 1)
	})
}
