package migrate

import (
	"os"
	"strings"
	"testing"
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
