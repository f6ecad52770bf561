package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"indrik/internal/shlex"
)

type option struct {
	Name  string   `json:"name"`
	Flags []string `json:"flags"`
	Type  string   `json:"type"`
	Bare  string   `json:"bare"`
	Added bool     `json:"added"`
}

// outcome is what became of one command line.
type outcome struct {
	Error   *string        `json:"error"`
	Help    *string        `json:"help"`
	All     *string        `json:"all"`
	Version *string        `json:"version"`
	Shell   *string        `json:"shell"`
	Values  map[string]any `json:"values"`
	App     string         `json:"app"`
}

type splitting struct {
	Error *string  `json:"error"`
	Words []string `json:"words"`
}

func optionsOfTable() []option {
	var list []option
	list = append(list, option{optHelpAll.Name, optHelpAll.Flags, "all", "", true})
	list = append(list, option{optCompletion.Name, optCompletion.Flags, "shell", "", true})
	for i := range Table {
		s := &Table[i]
		if !s.HasFlag() {
			continue
		}
		o := option{s.Name, s.Flags, "str", s.Bare, s.Added}
		switch {
		case s.Off:
			o.Type = "false"
		case s.Kind == KindBool:
			o.Type = "true"
		case s.Kind == KindCount:
			o.Type = "count"
		case s.Kind == KindInt:
			o.Type = "int"
		case s.Kind == KindSeconds:
			o.Type = "float"
		case s.Kind == KindMode:
			o.Type = "mode"
		case s.Repeats():
			o.Type = "list"
		}
		list = append(list, o)
	}
	return list
}

// source is where random command lines come from, and how many are tried. With
// INDRIK_TEST_LONG=1 they are others each time.
func source(t *testing.T) (r *rand.Rand, n int) {
	if os.Getenv("INDRIK_TEST_LONG") != "1" {
		return rand.New(rand.NewPCG(1, 2)), 4000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 2)), 100000
}

// commandLine makes words that are near to what people write, and some that
// only argparse could have an opinion on.
func commandLine(r *rand.Rand, options []string) []string {
	values := []string{
		"4", "-1", "0", "+5", "1_000", "abc", "", "-", "022", "0x1f", "0o17", "1__0", " 7 ", "1.5", "-.5", "-5.", "-x y",
		"auto", "fish", "test:app", "127.0.0.1:80", "unix:/run/x", "A=b", "-D", "it's", "a\"b'c", "日本", "a\nb", "sync", "é\x7f", "9_",
	}
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	var words []string
	for range 1 + r.IntN(6) {
		flag := pick(options)
		for flag[1] == '-' && r.IntN(3) == 0 {
			flag = pick(options)
		}
		// Help and version end the parsing: now and then is enough.
		if (byFlag[flag] == optHelp || byFlag[flag] == optHelpAll || byFlag[flag] == optVersion || byFlag[flag] == optCompletion) && r.IntN(10) > 0 {
			continue
		}
		takes := byFlag[flag].TakesValue()
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			words = append(words, flag)
			if takes {
				words = append(words, pick(values))
			}
		case 4:
			words = append(words, flag+"="+pick(values))
		case 5: // a prefix
			if len(flag) > 4 {
				flag = flag[:4+r.IntN(len(flag)-4)]
			}
			words = append(words, flag)
			if takes {
				words = append(words, pick(values))
			}
		case 6:
			words = append(words, flag[:min(len(flag), 5)]+"="+pick(values))
		case 7: // a value attached to a short option, or a cluster
			words = append(words, pick([]string{"-w4", "-wx", "-b:80", "-Dw4", "-Dw", "-DD", "-Dx", "-D4", "-kgthread", "-eA=b", "-m022", "-t-1", "-Dc", "-w=4", "-Dvx"}))
		case 8, 9:
			words = append(words, pick(values))
		case 10:
			words = append(words, pick([]string{"--proxy-protocol", "--proxy-protocol=", "--proxy-p=v1", "--nope", "-x", "--nope=1", "-x1", "--with space", "---", "--w", "--l", "-0", "--=", "-="}))
		case 11:
			words = append(words, "--")
		}
	}
	return words
}

// referencePython is a Python whose argparse is the one to compare with: 3.10
// and 3.11 are alike; older and newer ones differ in what they make of errors
// in clusters and of a second -- .
func referencePython(t *testing.T) string {
	for _, name := range []string{"python3", "python3.11", "python3.10"} {
		err := exec.Command(name, "-c", "import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))").Run()
		if err == nil {
			return name
		}
	}
	t.Skip("no Python 3.10 or 3.11 on PATH")
	return ""
}

// A job is what argparse and shlex are asked.
type job struct {
	Options []option   `json:"options"`
	Cases   [][]string `json:"cases"`
	Texts   []string   `json:"texts"`
}

type answers struct {
	Cases []outcome   `json:"cases"`
	Texts []splitting `json:"texts"`
}

func (j *job) ask(t *testing.T) (a answers) {
	t.Helper()
	in, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd := exec.Command(referencePython(t), "testdata/argparse_reference.py")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.Bytes())
	}
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// The parser must do what argparse does with the same table.
func TestAgainstArgparse(t *testing.T) {
	r, n := source(t)
	job := job{Options: optionsOfTable()}
	for range n {
		job.Cases = append(job.Cases, withoutForeign(commandLine(r, options)))
	}
	for range n {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString([]string{"a", "b=c", " ", "  ", "\t", "\n", "'", `"`, `\`, "#x", "é", "-w"}[r.IntN(12)])
		}
		job.Texts = append(job.Texts, b.String())
	}
	reference := job.ask(t)

	failures := 0
	for i, words := range job.Cases {
		if got, want := outcomeOf(t, words), reference.Cases[i]; !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %s\nwant %s", words, asJSON(got), asJSON(want))
			if failures++; failures > 10 {
				t.FailNow()
			}
		}
	}
	for i, text := range job.Texts {
		var got splitting
		words, err := shlex.Split(text)
		if err != nil {
			got.Error = new(err.Error())
		} else if got.Words = words; words == nil {
			got.Words = []string{}
		}
		if want := reference.Texts[i]; !reflect.DeepEqual(got, want) {
			t.Errorf("%q: split into %s, shlex makes %s", text, asJSON(got), asJSON(want))
		}
	}
}

// withoutForeign leaves out the words that argparse knows nothing of.
func withoutForeign(words []string) []string {
	return slices.DeleteFunc(words, func(word string) bool {
		flag, _, _ := strings.Cut(word, "=")
		_, ok := foreignOptions[flag]
		return ok
	})
}

// Every command line that Gunicorn's own parser takes means the same here,
// abbreviations too, whatever options were added.
func TestAgainstGunicorn(t *testing.T) {
	job := job{Options: gunicornsOptions(t)}
	var flags []string
	for _, o := range job.Options {
		flags = append(flags, o.Flags...)
	}
	r, n := source(t)
	for range n {
		job.Cases = append(job.Cases, commandLine(r, flags))
	}
	for _, flag := range flags { // each prefix of each option
		for n := 3; n < len(flag); n++ {
			job.Cases = append(job.Cases, []string{flag[:n], "1"})
		}
	}
	taken := 0
	for i, want := range job.ask(t).Cases {
		if want.Error != nil {
			continue
		}
		taken++
		if got := outcomeOf(t, job.Cases[i]); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %s\nwant %s", job.Cases[i], asJSON(got), asJSON(want))
		}
	}
	if taken < n/4 {
		t.Errorf("only %d of %d command lines were taken", taken, len(job.Cases))
	}
}

// gunicornsOptions are the options of Gunicorn's own table.
func gunicornsOptions(t *testing.T) []option {
	var list []option
	for _, g := range gunicornsSettings(t) {
		if len(g.Flags) == 0 {
			continue
		}
		o := option{Name: g.Name, Flags: g.Flags, Type: "str"}
		switch g.Action {
		case "store_true":
			o.Type = "true"
		case "store_const":
			o.Type = "false"
		case "append":
			o.Type = "list"
		}
		if kind := map[string]string{"int": "int", "auto_int": "mode"}[g.Type]; kind != "" {
			o.Type = kind
		}
		if g.Nargs == "?" {
			o.Bare = g.Const.(string)
		}
		list = append(list, o)
	}
	return list
}

func outcomeOf(t *testing.T, words []string) outcome {
	l, app, err := ParseArgs("indrik", words)
	var usage *UsageError
	var completion *CompletionError
	switch {
	case errors.As(err, &completion):
		return outcome{Shell: &completion.Shell}
	case errors.Is(err, ErrHelp):
		return outcome{Help: new("")}
	case errors.Is(err, ErrHelpAll):
		return outcome{All: new("")}
	case errors.Is(err, ErrVersion):
		return outcome{Version: new("")}
	case errors.As(err, &usage):
		return outcome{Error: &usage.Text}
	case err != nil:
		t.Fatalf("%q: %v", words, err)
	}
	// Through JSON, so that numbers and lists have the same types.
	o := outcome{Values: map[string]any{}, App: app}
	if l.Values != nil {
		if err := json.Unmarshal([]byte(asJSON(l.Values)), &o.Values); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
