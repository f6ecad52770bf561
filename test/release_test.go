//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestAllRelease: a release is made of the commit of a version alone, and of it whole.
func TestAllRelease(t *testing.T) {
	t.Parallel()
	if os.Getenv("INDRIK_TEST_DIST") == "" {
		t.Skip("needs the tools of make dist; make test-all runs it")
	}
	clone := filepath.Join(harness.TempDir(t), "clone")
	if out, err := exec.Command("git", "clone", "--quiet", harness.Repository, clone).CombinedOutput(); err != nil {
		t.Skipf("there is no history to clone: %s", out)
	}
	// What is being worked on is what is tested.
	harness.Output(t, "/", nil, "cp", filepath.Join(harness.Repository, "packaging", "release"), filepath.Join(clone, "packaging", "release"))
	git := func(args ...string) {
		t.Helper()
		harness.Output(t, clone, nil, append([]string{"git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"}, args...)...)
	}
	release := func() (string, error) {
		cmd := exec.Command("packaging/release")
		cmd.Dir = clone
		cmd.Env = append(os.Environ(), "WHEELS=linux/amd64", "PACKAGES=amd64",
			"PYTHON="+filepath.Join(harness.Repository, ".cache/venv-dist/bin/python"),
			"NFPM="+filepath.Join(harness.Repository, ".cache/bin/nfpm"), "CYCLONEDX="+filepath.Join(harness.Repository, ".cache/bin/cyclonedx-gomod"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	expectRefused := func(why string) {
		t.Helper()
		if out, err := release(); err == nil || !strings.Contains(out, "release: refused: "+why) {
			t.Errorf("%v, want: refused: %s\n%s", err, why, out)
		}
		if _, err := os.Stat(filepath.Join(clone, "dist")); err == nil {
			t.Error("it was built")
		}
	}

	changelog := filepath.Join(clone, "CHANGELOG.md")
	text, err := os.ReadFile(changelog)
	harness.Must(t, err)
	undated := regexp.MustCompile(`(?m)^## .*$`).ReplaceAllString(string(text), "## Unreleased") + "- one more\n"
	harness.Must(t, os.WriteFile(changelog, []byte(undated), 0o644))
	expectRefused("the tree has changes that are not in the commit")
	git("add", "--all")
	git("commit", "--quiet", "--message=work")
	harness.Must(t, os.WriteFile(filepath.Join(clone, "new.go"), nil, 0o644))
	expectRefused("the tree has changes that are not in the commit")
	harness.Must(t, os.Remove(filepath.Join(clone, "new.go")))

	version := filepath.Join(clone, "internal", "version", "version.go")
	source, err := os.ReadFile(version)
	harness.Must(t, err)
	source = regexp.MustCompile(`Version = ".*"`).ReplaceAll(source, []byte(`Version = "9.8.7"`))
	harness.Must(t, os.WriteFile(version, source, 0o644))
	git("commit", "--quiet", "--all", "--message=version")
	expectRefused("the commit has no tag, and that of its version is v9.8.7")
	git("tag", "v9.8.6")
	expectRefused("the tag of version 9.8.7 is v9.8.7, and the commit has v9.8.6")
	git("tag", "v9.8.7")
	expectRefused("CHANGELOG.md has no section of 9.8.7")
	harness.Must(t, os.WriteFile(changelog, []byte(strings.Replace(undated, "## Unreleased", "## 9.8.7 - 2026-11-29", 1)), 0o644))
	git("commit", "--quiet", "--all", "--message=date")
	git("tag", "--force", "v9.8.7")

	out, err := release()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, step := range []string{"version 9.8.7", "builds it again", "compares the bytes", "checks the checksums", "the same twice", "git push origin v9.8.7"} {
		if !strings.Contains(out, step) {
			t.Errorf("it did not say %q:\n%s", step, out)
		}
	}
	for _, pattern := range []string{"indrik-9.8.7-*.whl", "indrik-9.8.7.tar.gz", "indrik_9.8.7*_amd64.deb", "indrik-9.8.7*.x86_64.rpm", "indrik-9.8.7.cdx.json", "SHA256SUMS"} {
		if found, _ := filepath.Glob(filepath.Join(clone, "dist", pattern)); len(found) != 1 {
			t.Errorf("%d files in dist are called %s", len(found), pattern)
		}
	}
}
