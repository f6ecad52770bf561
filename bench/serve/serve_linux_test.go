package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if err := AdoptOrphans(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// play starts a script as a server, which answers as soon as it has made the
// file "ready".
func play(t *testing.T, ctx context.Context, script string) (*Server, error) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = t.TempDir()
	return Start(ctx, cmd, func() error {
		_, err := os.Stat(filepath.Join(cmd.Dir, "ready"))
		return err
	})
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want %q", err, want)
	}
}

func wantNothingLeft(t *testing.T) {
	t.Helper()
	if left := remaining(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

func TestStop(t *testing.T) {
	for _, c := range []struct{ name, script, error string }{
		{"plain", "touch ready; exec sleep 60", ""},
		// A process that is not the server's child any more, and one that ignores TERM.
		{"stubborn", "(sleep 60 &); trap '' TERM; touch ready; exec sleep 60", "2 processes were killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := play(t, t.Context(), c.script)
			if err != nil {
				t.Fatal(err)
			}
			if s.Started <= 0 {
				t.Errorf("it has started in %v", s.Started)
			}
			wantError(t, s.Stop(), c.error)
			wantNothingLeft(t)
		})
	}
}

func TestStartFails(t *testing.T) {
	t.Run("ends", func(t *testing.T) {
		_, err := play(t, t.Context(), "exit 3")
		wantError(t, err, "it ended at once")
		wantNothingLeft(t)
	})
	t.Run("never answers", func(t *testing.T) {
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, enough)
		defer cancel()
		_, err := play(t, ctx, "exec sleep 60")
		if !errors.Is(err, enough) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v, want both %q and the last of ask", err, enough)
		}
		wantNothingLeft(t)
	})
	t.Run("no such program", func(t *testing.T) {
		_, err := Start(t.Context(), exec.Command("/nonexistent/server"), func() error { return nil })
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})
}

func TestIndrik(t *testing.T) {
	dir := t.TempDir()
	cmd, address, err := Indrik("bin/indrik", dir, "app = None\n", "--workers", "2")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"--bind", address, "--log-level", "error", "--workers", "2", "app:app"}; !slices.Equal(cmd.Args[1:], want) {
		t.Errorf("%q, want %q", cmd.Args[1:], want)
	}
	if here, _ := os.Getwd(); cmd.Path != filepath.Join(here, "bin/indrik") || cmd.Dir != dir {
		t.Errorf("%s in %s", cmd.Path, cmd.Dir)
	}
	if source, err := os.ReadFile(filepath.Join(dir, "app.py")); err != nil || string(source) != "app = None\n" {
		t.Errorf("app.py: %q, %v", source, err)
	}
}
