package errlog

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func TestJSONLines(t *testing.T) {
	for format, names := range map[string][]string{
		FormatJSON: {"time", "level", "logger", "pid", "process", "message"},
		FormatECS:  {"@timestamp", "log.level", "log.logger", "process.pid", "process.name", "message", "ecs.version"},
	} {
		var out bytes.Buffer
		l := New(&out)
		l.SetFormat(format, "master")
		for _, text := range []string{"plain", "a\nb", `"quoted" \`, "<a&b>", "caf\xe9", "\x1b[0m"} {
			out.Reset()
			l.Warnf("%s", text)
			if bytes.Count(out.Bytes(), []byte("\n")) != 1 {
				t.Errorf("%q: %q is no single line", text, out.Bytes())
			}
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%q: %v", out.Bytes(), err)
			}
			want := text
			if text == "caf\xe9" {
				want = "caf\ufffd"
			}
			if len(got) != len(names) || got["message"] != want || got[names[1]] != "warning" || got[names[2]] != "gunicorn.error" ||
				got[names[3]] != float64(os.Getpid()) || got[names[4]] != "master" {
				t.Errorf("%v", got)
			}
			if _, err := time.Parse(time.RFC3339Nano, got[names[0]].(string)); err != nil {
				t.Error(err)
			}
		}
	}
	var out bytes.Buffer
	l := New(&out)
	l.SetFormat(FormatJSON, "front")
	l.SetFormat("text", "front")
	if l.Infof("x"); out.Bytes()[0] != '[' {
		t.Errorf("%s", out.Bytes())
	}
}

// What a line is about is a field of its own, with a name that is ours in ECS.
func TestDetail(t *testing.T) {
	for format, name := range map[string]string{FormatJSON: "slow_request", FormatECS: "indrik.slow_request"} {
		var out bytes.Buffer
		l := New(&out)
		l.SetFormat(format, "master")
		l.LogDetail(Warning, "slow_request", map[string]any{"path": "/<a>", "ran": 1.5}, "100 %")
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Count(out.String(), "\n") != 1 {
			t.Fatalf("%v in %q", err, out.String())
		}
		if d, _ := line[name].(map[string]any); d["path"] != "/<a>" || d["ran"] != 1.5 || line["message"] != "100 %" {
			t.Errorf("%v", line)
		}
	}
	var out bytes.Buffer
	l := New(&out)
	l.LogDetail(Warning, "slow_request", 1, "as text")
	l.LogDetail(Debug, "slow_request", 1, "not at all")
	if !strings.HasSuffix(out.String(), "[WARNING] as text\n") {
		t.Errorf("%q", out.String())
	}
}
