package wire

import (
	"os"

	"golang.org/x/sys/unix"
)

// MemoryFile makes a file of the given size that lives in memory and has no
// name (memfd_create(2)): nothing in /dev/shm to run full or to be left behind.
// Its size is sealed: whoever has the file cannot cut it under the feet of a process
// that maps it, nor make it take more memory (fcntl(2), F_ADD_SEALS).
func MemoryFile(name string, size int) (*os.File, error) {
	f, err := unsealed(name, size)
	if err != nil {
		return nil, err
	}
	return sealed(f, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
}

// ConstantFile makes a file like [MemoryFile], whose content nobody can change.
func ConstantFile(name string, content []byte) (*os.File, error) {
	f, err := unsealed(name, len(content))
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		f.Close()
		return nil, err
	}
	return sealed(f, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
}

// GrowingFile makes an empty file like [MemoryFile] that may grow and shrink. It must not
// be mapped, and whoever reads it must bound what is read.
func GrowingFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func unsealed(name string, size int) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("ftruncate", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// sealed forbids changes of a memory file for good. After an error f is closed.
func sealed(f *os.File, seals int) (*os.File, error) {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	return f, nil
}

// reserve gives a part of a memory file memory.
func reserve(f *os.File, offset, size int64) error {
	return unix.Fallocate(int(f.Fd()), 0, offset, size)
}

// release takes it again.
func release(f *os.File, offset, size int64) {
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, size)
}
