//go:build !linux

package wire

import (
	"errors"
	"os"
)

func sharedReadOnly(string, int) (f, reader *os.File, mem []byte, err error) {
	return nil, nil, nil, errors.ErrUnsupported
}

func reserve(*os.File, int64, int64) error { return errors.ErrUnsupported }

// ReadOnly opens a file anew, to be read only.
func ReadOnly(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// MemoryFile makes a file of the given size without a name: an unlinked
// temporary file, the nearest to memfd_create(2) that other systems have.
// There are no seals: a worker can cut it under the feet of those who map it.
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

// ConstantFile makes a file like [MemoryFile] with a content that is not meant to change.
func ConstantFile(name string, content []byte) (*os.File, error) {
	f, err := MemoryFile(name, 0)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// GrowingFile makes an empty file like [MemoryFile] that may grow and shrink.
func GrowingFile(name string) (*os.File, error) { return MemoryFile(name, 0) }
