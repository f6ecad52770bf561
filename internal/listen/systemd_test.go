package listen

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The test binary plays the service that systemd starts.
func TestMain(m *testing.M) {
	if os.Getenv("INDRIK_TEST_SYSTEMD") != "" {
		fmt.Print(activated())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func activated() string {
	if os.Getenv("LISTEN_PID") == "own" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	files, err := SystemdFDs(os.Getenv, os.Unsetenv, os.Getpid())
	if err != nil {
		return err.Error()
	}
	out := ""
	for _, f := range files {
		l, err := Adopt(f)
		if err != nil {
			return err.Error()
		}
		if err := l.Listen(5); err != nil {
			return err.Error()
		}
		nl, err := net.FileListener(l.File)
		if err != nil {
			return err.Error()
		}
		c, err := nl.Accept()
		if err != nil {
			return err.Error()
		}
		c.Write([]byte("hello"))
		c.Close()
		out += l.Bind + " "
	}
	return out + os.Getenv("LISTEN_PID") + os.Getenv("LISTEN_FDS") + os.Getenv("LISTEN_FDNAMES")
}

func TestSystemd(t *testing.T) {
	a, b := open(t, "127.0.0.1:0"), open(t, "unix:"+t.TempDir()+"/x.sock")
	var conns []net.Conn
	for _, l := range []*Listener{a, b} {
		c, err := net.Dial(l.Network, target(l))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"INDRIK_TEST_SYSTEMD=1", "LISTEN_PID=own", "LISTEN_FDS=2", "LISTEN_FDNAMES=a:b"}
	cmd.ExtraFiles = []*os.File{a.File, b.File}
	out, err := cmd.Output() // the runtime writes to standard error under -cover
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), a.Bind+" "+b.Bind+" "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range conns {
		if b, err := io.ReadAll(c); string(b) != "hello" {
			t.Errorf("served %q, %v", b, err)
		}
	}
	if _, err := os.Stat(b.Path); err != nil {
		t.Error("the socket file of the service manager is gone")
	}
}

func TestSystemdEnvironment(t *testing.T) {
	for _, c := range []struct{ pid, fds, err string }{
		{"", "", ""},
		{"", "2", ""},
		{"17", "", ""},
		{"18", "2", ""}, // another process
		{"x", "2", "LISTEN_PID=x is not a number"},
		{"17", "x", "LISTEN_FDS=x is not a number of descriptors"},
		{"17", "-1", "LISTEN_FDS=-1 is not a number of descriptors"},
		{"17", "99999", "LISTEN_FDS=99999 is not a number of descriptors"},
		{"17", "1000", "descriptor "},
		{"17", "0", ""},
	} {
		env := map[string]string{"LISTEN_PID": c.pid, "LISTEN_FDS": c.fds}
		unsetenv := func(name string) error { delete(env, name); return nil }
		files, err := SystemdFDs(func(name string) string { return env[name] }, unsetenv, 17)
		if len(files) != 0 {
			t.Errorf("%+v: %d files", c, len(files))
		}
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err)) {
			t.Errorf("%+v: %v", c, err)
		}
		if kept := env["LISTEN_PID"] != ""; c.pid == "18" && !kept || c.fds == "0" && kept {
			t.Errorf("%+v: environment %v", c, env)
		}
	}
}
