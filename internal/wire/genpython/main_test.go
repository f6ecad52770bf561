package main

import (
	"os"
	"testing"
)

func TestGeneratedFile(t *testing.T) {
	want, err := module("..")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../../python/indrik/protocol.py")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("python/indrik/protocol.py is not up to date: go generate ./internal/wire")
	}
}

// What is asked for by name must be there, or the module would lose a constant in silence.
func TestMissingConstant(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a.go", []byte("package wire\n\ntype Event int\n\nconst EventRequest Event = 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := module(dir); err == nil {
		t.Error("a package without the constants was taken")
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{"MaxMessage": "MAX_MESSAGE", "IDBits": "ID_BITS", "pageSize": "PAGE_SIZE", "EventID": "EVENT_ID"} {
		if have := snake(name); have != want {
			t.Errorf("snake(%q) is %q, want %q", name, have, want)
		}
	}
}
