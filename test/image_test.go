//go:build linux

package test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// An image as packaging/image has made it, unpacked.
type image struct {
	bundle string   // a directory with the root file system and the configuration that the image asks for
	health []string // the health check
}

// TestAllImage: the image serves as the first process of a container that has a read-only
// root, no capabilities, and a user that is not root.
func TestAllImage(t *testing.T) {
	t.Parallel()
	im := makeImage(t)

	t.Run("serves", func(t *testing.T) {
		t.Parallel()
		c := im.run(t)
		if got := c.Get("/"); got != "hello /usr" {
			t.Errorf("%q", got)
		}
		const none = "0000000000000000"
		rights := "10001 10001 " + strings.Repeat(none+" ", 3) + "1"
		if got, want := c.Get("/rights"), "worker "+rights+"\nfirst "+rights; got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		for _, path := range []string{"/file", "/tmp/file", "/srv/app/file", "/usr/local/bin/indrik"} {
			if got := c.Get("/write?" + path); got != "Read-only file system" && got != "Permission denied" {
				t.Errorf("%s: %s", path, got)
			}
		}
		// What goes to a temporary file elsewhere.
		expectEcho(c.Server, strings.Repeat("0123456789abcdef", 5<<16))
		orphan := c.Get("/orphan")
		harness.Eventually(t, "the orphan has ended, and its parent has asked for its code", func() bool {
			return c.Get("/state?"+orphan) == "gone"
		})
		c.expectHealth(0)

		mark := c.Log.Mark()
		c.kill("HUP")
		c.Log.ExpectFrom(t, mark, `Ready: `)
		c.expectHealth(0)

		p := c.Begin("/wait")
		c.Log.Expect(t, `^waiting for go$`)
		c.kill("TERM")
		c.Log.Expect(t, `Handling signal: term`)
		harness.Eventually(t, "it is not healthy any more", func() bool { got, _ := c.checkHealth(); return got == 1 })
		harness.Must(t, os.WriteFile(filepath.Join(c.code, "go"), nil, 0o644))
		p.Expect(200)
		c.ExpectExit(0)
	})

	// docker stop sends KILL ten seconds after TERM.
	t.Run("stops in ten seconds", func(t *testing.T) {
		t.Parallel()
		c := im.run(t, "--graceful-timeout", "6", "--timeout", "60")
		p := c.Begin("/wait")
		c.Log.Expect(t, `^waiting for go$`)
		began := time.Now()
		c.kill("TERM")
		sent := time.Now()
		c.ExpectExit(0)
		// Six seconds, and what a loaded machine adds.
		if took, least := time.Since(sent), time.Since(began); least < 5*time.Second || took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
		if r, err := p.Wait(); err == nil && r.Status < 500 {
			t.Errorf("the request that was cut off got %v", r)
		}
	})
	t.Run("is killed", func(t *testing.T) {
		t.Parallel()
		c := im.run(t, "--timeout", "60")
		p := c.Begin("/wait")
		c.Log.Expect(t, `^waiting for go$`)
		c.kill("TERM")
		c.Log.Expect(t, `Handling signal: term`)
		c.kill("KILL")
		c.ExpectExit(128 + int(syscall.SIGKILL))
		if _, err := p.Wait(); err == nil {
			t.Error("a response from the dead")
		}
	})
	t.Run("with an environment of the app", func(t *testing.T) {
		t.Parallel()
		c := im.launch(t, harness.TestFile(t, "apps/contained.py"), nil, "VIRTUAL_ENV=/srv/app/.venv")
		c.Ready()
		if got := c.Get("/"); got != "hello /srv/app/.venv" {
			t.Errorf("%q", got)
		}
		c.kill("TERM")
		c.ExpectExit(0)
	})
	t.Run("without an app", func(t *testing.T) {
		t.Parallel()
		c := im.launch(t, "", nil)
		if got := c.Exit(); got != 3 {
			t.Errorf("exit code %d, want 3", got)
		}
		c.Log.Expect(t, `Hint: 'app' is neither in /srv/app`)
	})
}

// makeImage makes and unpacks the image, of the wheel of the distribution.
func makeImage(t *testing.T) image {
	t.Helper()
	file := wheel(t)
	for _, program := range []string{"buildah", "debootstrap", "umoci", "crun"} {
		harness.NeedsProgram(t, program)
	}
	needsDebian(t)
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir := harness.TempDir(t)
	harness.Output(t, "/", nil, "cp", file, dir)
	harness.Output(t, harness.Repository, []string{"BASE=" + filepath.Join(harness.Repository, ".cache", "debian")}, "packaging/image", dir)
	single := func(pattern string) string {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		if len(found) != 1 {
			t.Fatalf("%d files are called %s", len(found), pattern)
		}
		return found[0]
	}

	im := image{bundle: filepath.Join(dir, "bundle"), health: healthOf(t, single("*.docker.tar"))}
	if want := []string{"CMD", "indrik", "healthcheck"}; !slices.Equal(im.health, want) {
		t.Fatalf("the health check is %q, want %q", im.health, want)
	}
	layout := filepath.Join(dir, "layout")
	harness.Must(t, os.Mkdir(layout, 0o755))
	harness.Output(t, dir, nil, "tar", "--extract", "--file", single("*.oci.tar"), "--directory", layout)
	version := strings.Split(filepath.Base(file), "-")[1]
	harness.Output(t, dir, nil, "umoci", "unpack", "--image", layout+":"+version, im.bundle)
	return im
}

// healthOf returns the health check of an image in an archive of Docker's.
func healthOf(t *testing.T, archive string) []string {
	t.Helper()
	f, err := os.Open(archive)
	harness.Must(t, err)
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		harness.Must(t, err)
		if strings.HasSuffix(h.Name, ".json") {
			files[h.Name], err = io.ReadAll(r)
			harness.Must(t, err)
		}
	}
	var manifests []struct{ Config string }
	harness.Must(t, json.Unmarshal(files["manifest.json"], &manifests))
	var configuration struct {
		Config struct{ Healthcheck struct{ Test []string } }
	}
	if len(manifests) != 1 || files[manifests[0].Config] == nil {
		t.Fatalf("%s has the files %q", archive, slices.Sorted(maps.Keys(files)))
	}
	harness.Must(t, json.Unmarshal(files[manifests[0].Config], &configuration))
	return configuration.Config.Healthcheck.Test
}

// A container is a server that is its first process.
type container struct {
	*harness.Server
	image image
	code  string   // the directory of the app, which the container cannot write to
	env   []string // the first process's
	state string   // the runtime's directory
}

// run starts a container with the app and waits until it answers.
func (im image) run(t *testing.T, args ...string) *container {
	t.Helper()
	c := im.launch(t, harness.TestFile(t, "apps/contained.py"), append([]string{"--workers", "2"}, args...))
	c.Ready()
	return c
}

// launch starts a container, with what the image asks for but for more arguments, variables
// and the port, as `docker run --read-only --cap-drop all --network host` would.
func (im image) launch(t *testing.T, app string, args []string, env ...string) *container {
	t.Helper()
	dir := harness.TempDir(t)
	text, err := os.ReadFile(filepath.Join(im.bundle, "config.json"))
	harness.Must(t, err)
	var config map[string]any
	harness.Must(t, json.Unmarshal(text, &config))
	section := func(name string) map[string]any { return config[name].(map[string]any) }
	list := func(m map[string]any, name string) []any { return m[name].([]any) }

	port := harness.FreePort(t)
	process := section("process")
	process["terminal"] = false
	process["capabilities"] = map[string]any{}
	for _, v := range append(env, fmt.Sprintf("INDRIK_BIND=127.0.0.1:%d", port)) {
		process["env"] = append(list(process, "env"), v)
	}
	for _, a := range args {
		process["args"] = append(list(process, "args"), a)
	}
	config["root"] = map[string]any{"path": filepath.Join(im.bundle, "rootfs"), "readonly": true}
	c := &container{image: im, code: filepath.Join(dir, "code"), state: filepath.Join(dir, "state")}
	harness.Must(t, os.Mkdir(c.code, 0o755))
	if app != "" {
		harness.Must(t, os.WriteFile(filepath.Join(c.code, "app.py"), []byte(app), 0o644))
	}
	// As python3 -m venv makes it in the stage of a Dockerfile.
	bin := filepath.Join(c.code, ".venv", "bin")
	harness.Must(t, os.MkdirAll(bin, 0o755))
	harness.Must(t, os.WriteFile(filepath.Join(c.code, ".venv", "pyvenv.cfg"), []byte("home = /usr/bin\n"), 0o644))
	harness.Must(t, os.Symlink("/usr/bin/python3", filepath.Join(bin, "python3")))
	harness.Must(t, os.Symlink("python3", filepath.Join(bin, "python")))
	// The control groups of this machine are none of the test's business.
	mounts := slices.DeleteFunc(list(config, "mounts"), func(m any) bool { return m.(map[string]any)["type"] == "cgroup" })
	config["mounts"] = append(mounts, map[string]any{"destination": "/srv/app", "type": "bind", "source": c.code, "options": []string{"bind", "ro"}})
	linux := section("linux")
	delete(linux, "resources")
	linux["namespaces"] = slices.DeleteFunc(list(linux, "namespaces"), func(n any) bool { return n.(map[string]any)["type"] == "network" })
	text, err = json.Marshal(config)
	harness.Must(t, err)
	harness.Must(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644))

	for _, v := range list(process, "env") {
		c.env = append(c.env, v.(string))
	}
	c.Server = harness.Launch(t, harness.Options{
		App: "-", Wrap: seeUnified, Binary: harness.NeedsProgram(t, "crun"), Bind: []string{}, MayLeave: true,
		Args: []string{"--root", c.state, "--cgroup-manager", "disabled", "run", "--bundle", dir, "test"},
	})
	c.ListensOn(port)
	return c
}

// seeUnified runs a command that sees control groups of version 2 alone, also on a machine
// that has both, which crun refuses.
var seeUnified = []string{"unshare", "--mount", "sh", "-euc", `mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$0" "$@"`}

// runtime calls the container's runtime.
func (c *container) runtime(command string, args ...string) *exec.Cmd {
	args = slices.Concat(seeUnified, []string{"crun", "--root", c.state, "--cgroup-manager", "disabled", command}, args)
	return exec.Command(args[0], args[1:]...)
}

// kill sends a signal to the first process.
func (c *container) kill(signal string) {
	c.T.Helper()
	if out, err := c.runtime("kill", "test", signal).CombinedOutput(); err != nil {
		c.T.Fatalf("%v: %s", err, out)
	}
}

// expectHealth runs the health check of the image inside the container, once.
func (c *container) expectHealth(code int) {
	c.T.Helper()
	if got, out := c.checkHealth(); got != code {
		c.T.Errorf("the health check ended with %d, want %d: %s", got, code, out)
	}
}

// checkHealth runs the health check, and returns what it exits with and says.
func (c *container) checkHealth() (code int, out []byte) {
	var args []string
	for _, v := range c.env {
		args = append(args, "--env", v)
	}
	cmd := c.runtime("exec", slices.Concat(args, []string{"test"}, c.image.health[1:])...)
	out, _ = cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), out
}
