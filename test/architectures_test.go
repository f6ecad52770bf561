//go:build linux

package test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// An architecture other than that of this machine, for which wheels are built.
type architecture struct {
	goarch  string
	debian  string // Debian's name for it
	qemu    string // QEMU's name; empty if the kernel of x86-64 runs it
	machine string // what Python's platform.machine says
	order   string // of bytes, sys.byteorder
	usual   bool   // whether make test-all tests it too, not make nightly alone
}

var architectures = []architecture{
	{"386", "i386", "", "x86_64", "little", true}, // the kernel's machine, not the program's
	{"arm", "armhf", "arm", "armv7l", "little", false},
	{"arm64", "arm64", "aarch64", "aarch64", "little", false},
	{"ppc64le", "ppc64el", "ppc64le", "ppc64le", "little", false},
	{"s390x", "s390x", "s390x", "s390x", "big", true},
}

// TestAllArchitectures: the server serves on each architecture for which there are wheels,
// with the Python that Debian has for it, under the emulation of QEMU where the processor is
// another.
func TestAllArchitectures(t *testing.T) {
	t.Parallel()
	harness.NeedsAll(t)
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for _, a := range architectures {
		t.Run(a.goarch, func(t *testing.T) {
			if !a.usual && os.Getenv("INDRIK_TEST_LONG") == "" {
				t.Skip("make nightly runs it")
			}
			if a.qemu != "" {
				if _, err := exec.LookPath("qemu-" + a.qemu + "-static"); err != nil {
					t.Skip("needs qemu-user-static")
				}
			}
			root := foreignRoot(t, a)
			a.binary(t) // before two ask for it at once
			t.Run("wsgi", func(t *testing.T) {
				t.Parallel()
				s := a.start(t, root, "machine:app", "--workers", "2")
				bits := map[bool]string{true: "32", false: "64"}[a.goarch == "386" || a.goarch == "arm"]
				if got, want := s.Get("/"), a.machine+" "+a.order+" "+bits; got != want {
					t.Errorf("it runs on %q, want %q", got, want)
				}
				expectEcho(s, strings.Repeat("0123456789abcdef", 1<<16)) // through shared memory
				mark := s.Log.Mark()
				s.Signal(syscall.SIGHUP)
				s.Log.ExpectFrom(t, mark, `Hang up: `)
				s.Log.ExpectFrom(t, mark, `Ready: `)
				expectEcho(s, "after the reload")
				s.Terminate()
			})
			t.Run("asgi", func(t *testing.T) {
				t.Parallel()
				s := a.start(t, root, "machine:coroutine", "--workers", "1")
				if got := s.Get("/"); got != a.machine {
					t.Errorf("it runs on %q, want %q", got, a.machine)
				}
				expectEcho(s, strings.Repeat("0123456789abcdef", 1<<13))
				ws := s.WebSocket("/")
				ws.SendFrame(harness.Fin|harness.OpText, "hello")
				ws.ExpectMessage(harness.OpText, "hello")
				ws.SendFrame(harness.Fin|harness.OpClose, "\x03\xe8")
				s.Terminate()
			})
		})
	}
}

func expectEcho(s *harness.Server, body string) {
	s.T.Helper()
	r, err := s.Request("POST", "/", body)
	if err != nil || r.Status != 200 || r.Body != body {
		s.T.Errorf("a body of %d bytes came back as %v, %v", len(body), r, err)
	}
}

// start runs the server inside the root of an architecture, in namespaces of its own: QEMU is
// made known to the kernel in them alone.
func (a architecture) start(t *testing.T, root, app string, args ...string) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Options{
		App: app, Args: append([]string{"--chdir", "/srv"}, args...),
		Files: map[string]string{"machine.py": harness.TestFile(t, "apps/machine.py")}, Env: []string{"TMPDIR=/tmp"}, Python: "/usr/bin/python3",
		Wrap:   []string{"unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", enterForeign, a.qemu, root, a.binary(t)},
		Binary: "/usr/bin/indrik", MayLeave: true,
	})
}

// enterForeign is a shell script that runs a command in a root of another architecture. Its
// arguments are QEMU's name of that, the root, the server's binary, and the command. Debian's
// description of the programs that QEMU runs is in /usr/share/binfmts. The kernel has one list
// of such programs for each user namespace from Linux 6.7 on; before that a namespace sees
// that of the machine, which the installation of qemu-user-static has filled.
const enterForeign = `
qemu=$0 root=$1 binary=$2
shift 2
if [ -n "$qemu" ] && mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null; then
	field() { sed -n "s/^$1 //p" "/usr/share/binfmts/qemu-$qemu"; }
	printf ':indrik-%s:M::%s:%s:%s:F' "$qemu" "$(field magic)" "$(field mask)" "$(command -v "qemu-$qemu-static")" \
		>/proc/sys/fs/binfmt_misc/register
fi
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$PWD" "$root/srv"
mount --bind "$binary" "$root/usr/bin/indrik"
mount -t tmpfs tmpfs "$root/tmp"
exec chroot "$root" "$@"
`

// binary builds the server for an architecture, as make dist does.
func (a architecture) binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(harness.Scratch, "indrik-"+a.goarch)
	if _, err := os.Stat(path); err != nil {
		harness.Output(t, harness.Repository, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + a.goarch, "GOARM=7"},
			"go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/indrik")
	}
	return path
}

// foreignRoot returns a directory with the Python that Debian has for an architecture, and
// what that needs. It is kept in .cache. Packages are unpacked, not configured, since their
// scripts would have to be emulated.
func foreignRoot(t *testing.T, a architecture) string {
	t.Helper()
	root := filepath.Join(harness.Repository, ".cache", "debian-"+a.debian)
	if _, err := os.Stat(root); err == nil {
		return root
	}
	needsDebian(t)
	unfinished := filepath.Join(harness.TempDir(t), "root")
	harness.Output(t, "/", nil, "sh", "-euc", unpackForeign, a.debian, unfinished)
	python, err := elf.Open(filepath.Join(unfinished, "usr/bin/python3"))
	harness.Must(t, err)
	python.Close()
	harness.Output(t, "/", nil, "mv", "-T", unfinished, root)
	return root
}

// unpackForeign is a shell script that takes packages from the mirrors that apt knows, with
// lists and state of its own. Its arguments are Debian's name of the architecture and the
// directory to fill.
const unpackForeign = `
arch=$0 root=$1
state=$root.apt
mkdir -p "$root" "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status"
apt() {
	apt-get -q -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Install-Recommends=false \
		-o Acquire::Languages=none -o APT::Sandbox::User=root -o Dir::State="$state" -o Dir::State::lists="$state/lists" \
		-o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" "$@"
}
apt update || echo "a list is missing; going on with the others"
apt install --yes --download-only python3
for package in "$state"/cache/archives/*.deb; do dpkg-deb --extract "$package" "$root"; done
mkdir -p "$root/proc" "$root/dev" "$root/srv" "$root/tmp"
: >"$root/usr/bin/indrik"
rm -r "$state"
`
