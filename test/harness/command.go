//go:build linux

package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// OtherServer is the command of INDRIK_TEST_SERVER, empty if there is none.
var OtherServer = strings.Fields(os.Getenv("INDRIK_TEST_SERVER"))

// coverDir is where each process of a server writes, when it ends, which statements it has
// run; empty if they do not count them. Servers that run as other users write there too.
var coverDir = os.Getenv("GOCOVERDIR")

// BinaryEnv is what each process of the built binary needs in its environment.
func BinaryEnv() []string {
	env := []string{"GORACE=atexit_sleep_ms=0"} // the race detector would have each wait a second at its end
	if coverDir != "" {
		env = append(env, "GOCOVERDIR="+coverDir)
	}
	return env
}

// ProgramName is what the program calls itself.
func ProgramName() string {
	if len(OtherServer) > 0 {
		return filepath.Base(OtherServer[0])
	}
	return "indrik"
}

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(Scratch, "indrik")
	args := []string{"build", "-o", path}
	if RaceWanted() {
		args = append(args, "-race")
	}
	if coverDir != "" {
		args = append(args, "-cover", "-coverpkg=./internal/...,./cmd/...")
	}
	cmd := exec.Command("go", append(args, "./cmd/indrik")...)
	cmd.Dir = Repository
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/indrik: %w\n%s", err, out)
	}
	os.Chmod(Scratch, 0o755) // some tests run it as another user
	return path, nil
})

// RaceWanted reports whether the binary gets the race detector: INDRIK_TEST_RACE asks for it, and
// there is a C compiler. It takes a third more processor time.
func RaceWanted() bool {
	if os.Getenv("INDRIK_TEST_RACE") != "1" {
		return false
	}
	out, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	return err == nil && strings.TrimSpace(string(out)) == "1"
}

// Command is how to run the server under test.
func Command(t testing.TB) []string {
	t.Helper()
	if len(OtherServer) > 0 {
		return OtherServer
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

// Python finds the interpreter behind python3: a version manager's wrapper
// script costs each start a good part of a second.
var Python = sync.OnceValue(func() string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return "python3"
	}
	return strings.TrimSpace(string(out))
})

// SystemPython is an interpreter that every user can run, empty if there is none.
func SystemPython() string {
	if st, err := os.Stat("/usr/bin/python3"); err == nil && st.Mode()&0o005 != 0 {
		return "/usr/bin/python3"
	}
	return ""
}

var nextPort atomic.Int32

func init() { nextPort.Store(int32(20000 + os.Getpid()%1000*12)) }

// FreePort finds a port that nobody uses, and that no other test gets before this one ends. It is
// below the range from which the kernel takes the ports of outgoing connections: otherwise the
// load of one test could take the port of the next.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 2000 {
		p := int(nextPort.Add(1))
		if p >= 32700 {
			nextPort.Store(20000)
			continue
		}
		// Tests of other processes look for ports too, and find this one free until the server
		// of this test listens there. So each port is claimed by a name (unix(7)), which goes with
		// the process whatever ends it.
		claim, err := net.ListenPacket("unixgram", fmt.Sprintf("@indrik-test-port-%d", p))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", p))
		if err != nil {
			claim.Close()
			continue
		}
		l.Close()
		t.Cleanup(func() { claim.Close() })
		return p
	}
	t.Fatal("no free port")
	return 0
}

// TempDir is like t.TempDir with a path short enough for unix sockets, and
// open to other users.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "server-")
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o755)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
