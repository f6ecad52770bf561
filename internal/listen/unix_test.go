package listen

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	l := open(t, "unix:"+path)
	if l.Network != Unix || l.Path != path || l.Bind != "unix:"+path || l.URL() != l.Bind || !l.Owned {
		t.Errorf("%+v", l)
	}
	properties(t, l)
	serve(t, l)
	l.Unlink()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the socket file is still there")
	}
	l.Unlink()
}

func TestUnixMode(t *testing.T) {
	dir := t.TempDir()
	before := unix.Umask(0o022)
	defer unix.Umask(before)
	for umask, want := range map[int]fs.FileMode{0: 0o777, 0o022: 0o755, 0o117: 0o660, 0o777: 0} {
		o := defaults
		o.Umask = umask
		if os.Getuid() == 0 {
			o.UID, o.GID = 65534, 12345
		}
		path := filepath.Join(dir, "x.sock")
		l, err := Open(Address{Network: Unix, Path: path}, o)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != want || st.Mode().Type() != fs.ModeSocket {
			t.Errorf("umask %o: mode %s", umask, st.Mode())
		}
		sys := st.Sys().(*syscall.Stat_t)
		if os.Getuid() == 0 && (sys.Uid != 65534 || sys.Gid != 12345) {
			t.Errorf("owner %d:%d", sys.Uid, sys.Gid)
		}
		l.Unlink()
		l.Close()
	}
	if now := unix.Umask(0o022); now != 0o022 {
		t.Errorf("the umask of the process became %o", now)
	}
}

func TestUnixForbiddenOwner(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may give files away")
	}
	path := filepath.Join(t.TempDir(), "x.sock")
	_, err := Open(Address{Network: Unix, Path: path}, Options{Backlog: 1, UID: 0, GID: -1})
	if !errors.Is(err, syscall.EPERM) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the socket file was left behind")
	}
}

func TestUnixStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	first := open(t, "unix:"+path)
	first.Close() // as after SIGKILL: the file is left
	second := open(t, "unix:"+path)
	serve(t, second)
}

func TestUnixLive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	first := open(t, "unix:"+path)
	_, err := Open(parse(t, "unix:"+path), defaults)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}

	// The probe came in as a connection that is at its end.
	nl, err := net.FileListener(first.File)
	if err != nil {
		t.Fatal(err)
	}
	nl.(*net.UnixListener).SetUnlinkOnClose(false)
	defer nl.Close()
	c, err := nl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the probe is still connected")
	}
	c.Close()
	serve(t, first)
}

// A server that is too busy to accept the probe is not dead.
func TestUnixLiveWithFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	first := open(t, "unix:"+path)
	if err := first.Listen(0); err != nil {
		t.Fatal(err)
	}
	for probe(path) == nil {
	}
	if _, err := Open(parse(t, "unix:"+path), defaults); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

func TestUnixOtherFiles(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{plain, dir} {
		_, err := Open(parse(t, "unix:"+path), defaults)
		var not *NotSocketError
		if !errors.As(err, &not) || !errors.Is(err, syscall.ENOTSOCK) {
			t.Errorf("%s: %v", path, err)
		}
		if got, want := PythonError(err), "'"+path+"' is not a socket"; got != want {
			t.Errorf("in Python's words: %s", got)
		}
	}
	if b, _ := os.ReadFile(plain); string(b) != "precious" {
		t.Error("the file was touched")
	}

	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "dgram"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	if _, err := Open(parse(t, "unix:"+dir+"/dgram"), defaults); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a socket of another type: %v", err)
	}

	if _, err := Open(parse(t, "unix:"+dir+"/none/x"), defaults); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	_, err = Open(parse(t, "unix:"+dir+"/"+strings.Repeat("x", 120)), defaults)
	if err == nil || PythonError(err) != "AF_UNIX path too long" {
		t.Errorf("a long path: %v", err)
	}
}

// What stops must not take away the file of what has started meanwhile.
func TestUnlinkOnlyOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	first := open(t, "unix:"+path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second := open(t, "unix:"+path)
	first.Unlink()
	first.Close()
	serve(t, second)
}

func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	l := open(t, "unix:x.sock")
	if l.Bind != "unix:x.sock" {
		t.Errorf("bind %s", l.Bind)
	}
	t.Chdir(t.TempDir())
	l.Unlink()
	if _, err := os.Lstat(filepath.Join(dir, "x.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the socket file is still there")
	}
}

// Of several masters that find the same stale socket one gets the place.
func TestUnixRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	for range 20 {
		stale := open(t, "unix:"+path)
		stale.Close()
		var wg sync.WaitGroup
		listeners := make([]*Listener, 4)
		for i := range listeners {
			wg.Go(func() {
				l, err := Open(Address{Network: Unix, Path: path}, defaults)
				if err != nil && !errors.Is(err, syscall.EADDRINUSE) {
					t.Error(err)
				}
				listeners[i] = l
			})
		}
		wg.Wait()
		won := 0
		for _, l := range listeners {
			if l != nil {
				won++
				l.Unlink()
				l.Close()
			}
		}
		if won != 1 {
			t.Fatalf("%d listeners", won)
		}
	}
}
