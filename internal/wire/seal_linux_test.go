package wire

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// reopened is f as another process gets it, who may open the file anew.
func reopened(t *testing.T, f *os.File) *os.File {
	t.Helper()
	other, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return other
}

func TestMemoryFileKeepsItsSize(t *testing.T) {
	f, err := MemoryFile("indrik-test", 8192)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, f := range []*os.File{f, reopened(t, f)} {
		for _, size := range []int64{0, 4096, 1 << 20} {
			if err := f.Truncate(size); err == nil {
				t.Errorf("it was made to have %d bytes", size)
			}
		}
		if _, err := f.WriteAt(make([]byte, 4096), 8192); err == nil {
			t.Error("something was written behind it")
		}
		for _, seals := range []int{unix.F_SEAL_WRITE, unix.F_SEAL_FUTURE_WRITE} {
			if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err == nil {
				t.Errorf("seal %#x was added", seals)
			}
		}
		if _, err := f.WriteAt([]byte("x"), 0); err != nil {
			t.Error(err)
		}
	}
}

// A hole that is made in it reads as zeros, for those that have it mapped too.
func TestHoleInBoard(t *testing.T) {
	f, err := NewScoreboardFile(1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := MapScoreboard(f)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.slot(0, scoreboardClaimed).Store(5)
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, st.Size()); err != nil {
		t.Fatal(err)
	}
	if id := b.Claimed(0); id != 0 {
		t.Errorf("claimed %d", id)
	}
	b.SetDeadline(0, 5, time.Now())
	clear(b.ResponseBuffer(0, ResponseBufferSize))
	clear(b.ResponseArena(0, 0, ResponseArenaSize))
}

func TestConstantFile(t *testing.T) {
	f, err := ConstantFile("indrik-test", []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other := reopened(t, f)
	if _, err := other.WriteAt([]byte("other"), 0); err == nil {
		t.Error("it was written to")
	}
	if mem, err := unix.Mmap(int(other.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		unix.Munmap(mem)
		t.Error("it was mapped to be written to")
	}
	if err := other.Truncate(0); err == nil {
		t.Error("it was cut")
	}
	got := make([]byte, 5)
	if n, _ := f.ReadAt(got, 0); string(got[:n]) != "text" {
		t.Errorf("it holds %q", got[:n])
	}
}

// A file of which the kernel holds a page cannot be sealed against writing for as long as it does.
func TestBusyFileIsSealed(t *testing.T) {
	f, err := unsealed("indrik-test", 8192)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("a page"), 0); err != nil {
		t.Fatal(err)
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	if _, err := unix.Splice(int(f.Fd()), new(int64), p[1], nil, 4096, 0); err != nil { // the pipe has the page itself
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); !errors.Is(err, unix.EBUSY) {
		t.Fatalf("the file is not busy: %v", err)
	}
	let := time.AfterFunc(400*time.Millisecond, func() { unix.Read(p[0], make([]byte, 4096)) })
	defer let.Stop()
	if f, err = sealed(f, unix.F_SEAL_WRITE|unix.F_SEAL_SEAL); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("something was written")
	}
}
