package main

import (
	"os"
	"strings"
	"testing"
)

// profile has a package of two files; what one binary did not run another one did.
const profile = `mode: set
indrik/test/cover/main.go:31.2,33.3 2 0
indrik/test/cover/main.go:31.2,33.3 2 1
indrik/test/cover/main.go:21.13,26.24 5 1
indrik/test/cover/profile.go:40.10,42.3 1 0
indrik/internal/other/other.go:1.2,3.4 4 0
`

func TestReport(t *testing.T) {
	blocks, err := read(strings.NewReader(profile))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report(&out, blocks, floors{"test/cover": 87.5}); err != nil {
		t.Error(err)
	}
	want := "internal/other                0 of      4 statements    0.0 %\n" +
		"test/cover                    7 of      8 statements   87.5 %\n" +
		"all                           7 of     12 statements   58.3 %\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	err = report(&out, blocks, floors{"test/cover": 88, "internal/other": 0, "internal/missing": 1})
	if err == nil || err.Error() != "internal/missing has 0.0 %, not 1 %; test/cover has 87.5 %, not 88 %" {
		t.Error(err)
	}
}

func TestBadProfile(t *testing.T) {
	for _, text := range []string{"mode: set\nnonsense\n", "a.go:1.2,3.4 5\n", "a.go\n"} {
		if blocks, err := read(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v", text, blocks)
		}
	}
}

func TestUncovered(t *testing.T) {
	t.Chdir(t.TempDir())
	const source = "package p\n\nfunc f() {\n\tif g() {\n\t\th()\n\t}\n}\n\nvar x = func() { h() }\n"
	if err := os.WriteFile("p.go", []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	blocks := []block{
		{file: "p.go", from: 3, to: 4, statements: 1, ran: true},
		{file: "p.go", from: 4, to: 6, statements: 1},
		{file: "p.go", from: 9, to: 9, statements: 1},
	}
	if err := list("uncovered", blocks); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("uncovered")
	if want := "p.go:4-6\tf\t1\th()\np.go:9-9\t-\t1\tvar x = func() { h() }\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestFloors(t *testing.T) {
	f := floors{}
	if err := f.Set("internal/master=85"); err != nil || f["internal/master"] != 85 {
		t.Errorf("%v, %v", f, err)
	}
	if err := f.Set("internal/master"); err == nil {
		t.Error("a floor without a figure is taken")
	}
}
