//go:build !linux

package pathwalk

import (
	"os"
	"path/filepath"
)

// walks reports whether this system walks.
const walks = false

const oPath = 0

func descriptor(_ *os.File, path string) string { return path }

// Find returns the directory that a file is in, or is to be in, and its name there.
func Find(path string) (*Dir, string, error) {
	return &Dir{path: filepath.Dir(path)}, filepath.Base(path), nil
}

// Parent is Find here.
func Parent(path string) (*Dir, string, error) { return Find(path) }

func open(path string, flags int) (*os.File, error) { return os.OpenFile(path, flags, 0) }

func create(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, 0o644)
}

// Give gives what name is in a directory to a user and a group, −1: as it is.
func (d *Dir) Give(name string, _ uint32, uid, gid int) error {
	return os.Lchown(d.Join(name), uid, gid)
}
