package wire

import (
	"errors"
	"os"
	"strconv"

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

// sealTries is how often a file is sealed that is busy, each time for some 160 ms.
const sealTries = 20

// sealed forbids changes of a memory file for good. After an error f is closed. A file cannot be
// sealed against writing (F_SEAL_WRITE) while the kernel itself holds one of its pages, as it does
// now and then on a busy machine: fcntl(2) waits for that, but not for long, and says EBUSY.
func sealed(f *os.File, seals int) (*os.File, error) {
	var err error
	for range sealTries {
		if _, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	return f, nil
}

// sharedReadOnly makes a memory file that this process alone can write to, by the mapping
// that it returns, and what others get to read it: the file itself, or another descriptor of
// it.
func sharedReadOnly(name string, size int) (f, reader *os.File, mem []byte, err error) {
	if f, err = unsealed(name, size); err != nil {
		return nil, nil, nil, err
	}
	fd := int(f.Fd())
	fail := func(call string, err error) error {
		f.Close()
		if mem != nil {
			unix.Munmap(mem)
		}
		return os.NewSyscallError(call, err)
	}
	if mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, nil, nil, fail("mmap", err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals|unix.F_SEAL_FUTURE_WRITE); err == nil {
		return f, f, mem, nil
	}
	// A kernel before 5.1: a worker that is the same user can yet open the file anew.
	if _, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, nil, nil, fail("fcntl", err)
	}
	if err = f.Chmod(0o400); err != nil {
		return nil, nil, nil, fail("fchmod", err)
	}
	if reader, err = ReadOnly(f); err != nil {
		return nil, nil, nil, fail("open", err)
	}
	return f, reader, mem, nil
}

// reserve gives a part of a memory file memory. To run out of it is an error here, and a
// signal where the memory is used.
func reserve(f *os.File, offset, size int64) error {
	return unix.Fallocate(int(f.Fd()), 0, offset, size)
}

// ReadOnly opens a file anew, to be read only.
func ReadOnly(f *os.File) (*os.File, error) {
	return os.Open("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
}
