package wire

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"testing"
	"unicode/utf8"
)

// What is no UTF-8 comes back as it was, wherever it is in a message.
func TestBytesSurviveJSON(t *testing.T) {
	for _, s := range []string{
		"", "plain", "\xff", "caf\xe9", "\xe2\x82", "a\x80b\xffc", "\U0001F600\xff", "\ufffd", "\ufffd\xff",
		"\U0010dc80", "\U0010ffff\xfe", "\\udcff", "\\\xff", "\xed\xb3\xbf", // the last: U+DCFF as if it were a character
	} {
		in := ToSpawner{
			Type: "configure", Chdir: s, Settings: map[string]any{
				"text": s, "list": []string{s, "x"}, "map": map[string]string{s: s}, "any": []any{s, 1.0, nil, true},
			},
			Args: []any{s}, Server: &Server{Address: []string{s}},
		}
		data, err := marshal(in)
		if err != nil || !utf8.Valid(data) || !json.Valid(data) {
			t.Fatalf("%q: %s, %v", s, data, err)
		}
		var out ToSpawner
		if err := unmarshal(data, &out); err != nil {
			t.Fatal(err)
		}
		if s == "\U0010dc80" { // a private character comes back as a byte: nobody has it in a name
			continue
		}
		if out.Chdir != s || out.Settings["text"] != s || out.Server.Address[0] != s || out.Args[0] != s {
			t.Errorf("%q came back as %q", s, out.Chdir)
		}
		if got := out.Settings["map"].(map[string]any); got[s] != s {
			t.Errorf("%q: map %q", s, got)
		}
		if got := out.Settings["any"]; !reflect.DeepEqual(got, []any{s, 1.0, nil, true}) {
			t.Errorf("%q: list %q", s, got)
		}
		if in.Chdir != s {
			t.Errorf("the message that was sent has changed: %q", in.Chdir)
		}
	}
}

// Python writes and reads the same.
func TestBytesSurvivePython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	const echo = `
import json, os, sys
message = json.loads(sys.argv[1])
text = os.fsencode(message["chdir"])
sys.stdout.write(json.dumps({"type": text.hex(), "error": os.fsdecode(text), "files": [os.fsdecode(text)]}))
`
	const name = "caf\xe9/\xff/\xc3\xa9/\U0001F600"
	data, err := marshal(ToSpawner{Chdir: name})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-X", "utf8", "-c", echo, string(data))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var back FromSpawner
	if err := unmarshal(out, &back); err != nil {
		t.Fatal(err)
	}
	if back.Error != name || len(back.Files) != 1 || back.Files[0] != name {
		t.Errorf("%s: %q, %q", out, back.Error, back.Files)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{"error":"\udcff"}`, `{"error":"\ud83d\ude00"}`, `{"error":"\ud83d\udc80\udc80"}`, `{"error":"\\udc80"}`, `{"error":"\`, `{"error":"\u`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var plain, ours FromSpawner
		want := json.Unmarshal(data, &plain)
		if got := unmarshal(data, &ours); (got == nil) != (want == nil) {
			t.Errorf("%q: %v, json says %v", data, got, want)
		}
	})
}
