package migrate

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"indrik/internal/settings"
)

// Every option of each server has a rule: those that its --help lists.
func TestEveryOptionHasARule(t *testing.T) {
	t.Parallel()
	for file, s := range map[string]*source{"uvicorn": uvicorn(), "hypercorn": hypercorn(), "granian": granian(), "uwsgi": uwsgi()} {
		text, err := os.ReadFile("testdata/" + file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(string(text)) {
			if f, _ := s.look(name); f == nil && name != "help" && name != "version" && name != "usage" {
				t.Errorf("%s: %s has no rule", s.name, name)
			}
		}
	}
}

// What the command line of Indrik takes for an option of another server is what it becomes,
// except where two servers have an option of one name.
func TestRulesAgreeWithTheCommandLine(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, s := range []*source{uvicorn(), hypercorn(), granian()} {
		for name, f := range s.byName {
			if s == hypercorn() && name == "access-log" || s == granian() && name == "log-config" {
				continue // uvicorn's is a flag, and Gunicorn's no JSON
			}
			for _, value := range []string{"3", "x:1", "auto", "on", "false", "info", "/x"} {
				args, o := []string{"--" + name}, option{name: name}
				if f.takes {
					args, o = append(args, value), option{name: name, value: value, given: true}
				}
				l, _, err := settings.ParseArgs(prog, args)
				if err != nil || len(l.Values) == 0 {
					continue
				}
				m := newMigration(s)
				m.take(o)
				bindHost(m)
				if len(m.remarks) == 0 && len(m.layer.Values) > 0 {
					compared++
					if !reflect.DeepEqual(m.layer.Values, l.Values) {
						t.Errorf("%s: %q is taken for %v, and becomes %v", s.name, args, l.Values, m.layer.Values)
					}
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d were compared", compared)
	}
}
