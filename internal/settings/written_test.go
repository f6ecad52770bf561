package settings

import (
	"reflect"
	"strings"
	"testing"
)

// What a command line says is said by the lines of a config file and by another command line.
func TestWrittenLayers(t *testing.T) {
	t.Parallel()
	l, _, err := ParseArgs("indrik", strings.Fields("-w 4 -b :80 -b unix:/x -m 007 --no-sendfile --preload --host ::1 --access-logfile - -e A=b'c"))
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, a := range l.Assignments() {
		text = append(text, a.Name+" = "+a.Value)
	}
	want := []string{
		`bind = [':80', 'unix:/x', '[::1]:8000']`, `workers = 4`, `preload_app = True`, `sendfile = False`, `raw_env = ["A=b'c"]`, `umask = 0o7`, `accesslog = '-'`,
	}
	if !reflect.DeepEqual(text, want) {
		t.Errorf("%q", text)
	}
	again, _, err := ParseArgs("indrik", l.Args())
	if err != nil || !reflect.DeepEqual(again.Values, l.Values) {
		t.Errorf("%q: %v, %v", l.Args(), again.Values, err)
	}
	more, _, err := ParseArgs("indrik", strings.Fields("-w 5 -b :81"))
	if err != nil {
		t.Fatal(err)
	}
	l.Add(&more)
	if l.Values["workers"] != 5 || !reflect.DeepEqual(l.Values["bind"], []string{":80", "unix:/x", "[::1]:8000", ":81"}) {
		t.Errorf("%v", l.Values)
	}
}
