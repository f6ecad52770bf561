//go:build !linux

package wire

import (
	"errors"
	"os"
)

func reserve(*os.File, int64, int64) error { return errors.ErrUnsupported }

func release(*os.File, int64, int64) {}

// MemoryFile makes a file of the given size without a name: an unlinked
// temporary file, the nearest to memfd_create(2) that other systems have.
func MemoryFile(name string, size int) (*os.File, error) {
	f, err := os.CreateTemp("", name+"-")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name())
	if err := f.Truncate(int64(size)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
