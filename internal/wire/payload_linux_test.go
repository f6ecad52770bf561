package wire

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCheckPayload(t *testing.T) {
	content := []byte("what an action has returned")
	size := int64(len(content))
	good, err := ConstantFile("payload", content)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	if err := CheckPayload(good, size); err != nil {
		t.Error(err)
	}
	if data, err := ReadPayload(good, size); err != nil || string(data) != string(content) {
		t.Errorf("%q, %v", data, err)
	}
	writable, err := MemoryFile("payload", len(content)) // its size is sealed, its content is not
	if err != nil {
		t.Fatal(err)
	}
	defer writable.Close()
	growing, err := GrowingFile("payload")
	if err != nil {
		t.Fatal(err)
	}
	defer growing.Close()
	disk, err := os.Create(filepath.Join(t.TempDir(), "payload"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for name, c := range map[string]struct {
		file *os.File
		size int64
	}{
		"another size":         {good, size + 1},
		"content that changes": {writable, size},
		"size that changes":    {growing, 0},
		"a file of a disk":     {disk, 0},
		"a pipe":               {r, 0},
	} {
		if err := CheckPayload(c.file, c.size); err == nil {
			t.Errorf("%s is taken for a payload", name)
		}
	}
}
