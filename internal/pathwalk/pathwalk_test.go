package pathwalk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user who has nothing.
const nobody = 65534

// asRoot makes a directory of root's, with one of somebody else's in it, and a file that
// is root's alone.
func asRoot(t *testing.T) (dir, theirs, secret string) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs root on Linux")
	}
	dir = t.TempDir()
	theirs = filepath.Join(dir, "theirs")
	secret = filepath.Join(dir, "secret")
	must(t, os.Mkdir(theirs, 0o755))
	must(t, os.Chown(theirs, nobody, nobody))
	must(t, os.WriteFile(secret, []byte("root's"), 0o600))
	return dir, theirs, secret
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// theirLink is a symbolic link that somebody else has made.
func theirLink(t *testing.T, to, path string) string {
	t.Helper()
	must(t, os.Symlink(to, path))
	must(t, os.Lchown(path, nobody, nobody))
	return path
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for i, created := range []bool{true, false} {
		f, made, err := Append(path)
		must(t, err)
		if made != created {
			t.Errorf("%d: created is %v", i, made)
		}
		_, err = io.WriteString(f, "line\n")
		must(t, err)
		f.Close()
	}
	if b, _ := os.ReadFile(path); string(b) != "line\nline\n" {
		t.Errorf("the file has %q", b)
	}
	if _, _, err := Append(filepath.Join(path, "x")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	if _, _, err := Append(filepath.Join(filepath.Dir(path), "none", "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
}

// What those who may write to a directory put in the place of a file is not opened.
func TestWhatOthersMade(t *testing.T) {
	dir, theirs, secret := asRoot(t)
	rootLink := filepath.Join(dir, "link")
	must(t, os.Symlink(secret, rootLink))
	hard, hardLink := filepath.Join(theirs, "hard"), filepath.Join(theirs, "hardlink")
	must(t, os.Link(secret, hard))
	must(t, os.Link(rootLink, hardLink))
	theirLink(t, dir, filepath.Join(theirs, "sub"))
	theirLink(t, "loop", filepath.Join(theirs, "loop"))
	for _, path := range []string{
		theirLink(t, secret, filepath.Join(theirs, "a.log")),
		theirLink(t, filepath.Join(dir, "new"), filepath.Join(theirs, "b.log")),
		filepath.Join(theirs, "sub", "secret"),
		filepath.Join(theirs, "sub", "new"),
		filepath.Join(theirs, "loop"),
		hard, hardLink,
	} {
		var link *LinkError
		if f, _, err := Append(path); !errors.As(err, &link) || !errors.Is(err, unix.ELOOP) {
			t.Errorf("%s: %v, %v", path, f, err)
		}
		if b, err := ReadSmall(path); !errors.As(err, &link) {
			t.Errorf("%s was read: %q, %v", path, b, err)
		}
		if err := Connect(path, func(string) error { return nil }); !errors.As(err, &link) {
			t.Errorf("%s: connected, %v", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file was made where a link led to")
	}
	if b, _ := os.ReadFile(secret); string(b) != "root's" {
		t.Errorf("the file that is root's has %q", b)
	}
}

// What root or the system made is followed, wherever it leads.
func TestWhatRootMade(t *testing.T) {
	dir, theirs, _ := asRoot(t)
	must(t, os.Symlink("theirs", filepath.Join(dir, "logs")))
	must(t, os.Symlink(filepath.Join(dir, "logs", "..", "real.log"), filepath.Join(theirs, "root.log")))
	for _, path := range []string{
		filepath.Join(dir, "logs", "x.log"), filepath.Join(theirs, "root.log"), filepath.Join(theirs, ".", "..", "theirs//y.log"),
	} {
		f, created, err := Append(path)
		if err != nil || !created {
			t.Errorf("%s: created %v, %v", path, created, err)
			continue
		}
		f.Close()
		if f, created, err = Append(path); err != nil || created {
			t.Errorf("%s again: created %v, %v", path, created, err)
			continue
		}
		f.Close()
	}
	for _, name := range []string{filepath.Join(theirs, "x.log"), filepath.Join(dir, "real.log"), filepath.Join(theirs, "y.log")} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

// Containers send logs to /dev/stdout, which leads to a pipe without a name.
func TestLinksOfTheKernel(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	fd := filepath.Join("/proc/self/fd", strings.TrimPrefix(filepath.Base(descriptor(w, "")), "/"))
	link := filepath.Join(t.TempDir(), "stdout")
	must(t, os.Symlink(fd, link))
	for _, path := range []string{fd, link, "/dev/null"} {
		f, created, err := Append(path)
		if err != nil || created {
			t.Fatalf("%s: created %v, %v", path, created, err)
		}
		f.Close()
	}
}

func TestGive(t *testing.T) {
	_, theirs, secret := asRoot(t)
	dir, name, err := Parent(filepath.Join(theirs, "s"))
	must(t, err)
	defer dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(theirs, name)}))
	must(t, dir.Give(name, unix.S_IFSOCK, nobody, -1))
	var st unix.Stat_t
	must(t, unix.Lstat(filepath.Join(theirs, name), &st))
	if st.Uid != nobody || st.Gid != 0 {
		t.Errorf("the socket is of %d:%d", st.Uid, st.Gid)
	}
	theirLink(t, secret, filepath.Join(theirs, "link"))
	must(t, os.Link(secret, filepath.Join(theirs, "hard")))
	for _, name := range []string{"link", "hard", "none", "s"} {
		if err := dir.Give(name, unix.S_IFSOCK, nobody, nobody); err == nil {
			t.Errorf("%s was given away", name)
		}
	}
	must(t, unix.Stat(secret, &st))
	if st.Uid != 0 {
		t.Errorf("the file that is root's is of %d", st.Uid)
	}
}

// A path leads to where it led when it was looked up.
func TestJoin(t *testing.T) {
	dir, theirs, _ := asRoot(t)
	d, name, err := Parent(filepath.Join(theirs, "x"))
	must(t, err)
	defer d.Close()
	must(t, os.Rename(theirs, theirs+".1"))
	must(t, os.Symlink(dir, theirs))
	must(t, os.WriteFile(d.Join(name), []byte("x"), 0o600))
	if _, err := os.Stat(filepath.Join(theirs+".1", "x")); err != nil {
		t.Error(err)
	}
}

func TestReadSmallDoesNotWait(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, unix.Mkfifo(pipe, 0o600))
	if _, err := ReadSmall(pipe); err == nil {
		t.Error("a pipe was read")
	}
}
