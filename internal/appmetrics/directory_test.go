package appmetrics

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// theirs makes a directory with that of this user in it.
func theirs(t *testing.T) (d *Directory, own string) {
	t.Helper()
	d, err := Make(t.TempDir())
	must(t, err)
	t.Cleanup(func() { d.Remove() })
	must(t, d.Admit(os.Geteuid()))
	must(t, d.Admit(os.Geteuid()))
	return d, filepath.Join(d.Path(), strconv.Itoa(os.Geteuid()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file with one counter, or one gauge.
func write(t *testing.T, dir string, n Name, v float64) {
	t.Helper()
	key := `["a", "a_total", {}, ""]`
	if n.Type == Gauge {
		key = `["g_` + n.Mode + `", "g_` + n.Mode + `", {}, ""]`
	}
	must(t, os.WriteFile(filepath.Join(dir, n.String()), used(value(key, v)), 0o600))
}

// add adds up what a directory has, as one line for each series.
func add(t *testing.T, d *Directory) (sums []string) {
	t.Helper()
	files, _ := d.Files()
	m := NewMerger(func(text string) { t.Errorf("problem: %s", text) })
	for _, file := range files {
		f := file.Open()
		if f == nil {
			continue
		}
		data, err := ReadUsed(f)
		must(t, err)
		must(t, m.Add(file.Name, data))
		f.Close()
	}
	for _, f := range m.Families() {
		for _, s := range f.Series {
			sums = append(sums, fmt.Sprintf("%s%v %v", f.Name, s.Labels, s.Value))
		}
	}
	return sums
}

// condense condenses all there is to condense.
func condense(t *testing.T, d *Directory) {
	t.Helper()
	for {
		c, err := d.Condensation()
		must(t, err)
		if c == nil {
			return
		}
		var files [][]byte
		for _, f := range c.Files {
			data, err := ReadUsed(f)
			must(t, err)
			files = append(files, data)
		}
		_, err = c.Out.Write(condensed(t, c.Name, files...))
		must(t, err)
		must(t, d.Finish(c))
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRecycledProcessesLeaveTheirSums(t *testing.T) {
	d, dir := theirs(t)
	const first, last = 1<<30 + 1, 1<<30 + 300 // no process has such a pid
	for pid := first; pid <= last; pid++ {
		p := strconv.Itoa(pid)
		write(t, dir, Name{Counter, "", p}, 1)
		for _, mode := range gaugeModes {
			if strings.HasSuffix(mode, "mostrecent") {
				continue // without a time they say nothing
			}
			write(t, dir, Name{Gauge, mode, p}, float64(pid-first))
		}
		d.Ended(pid)
		condense(t, d)
		if n := len(names(t, dir)); n > 5*condenseAt+keptGauges {
			t.Fatalf("after %d processes there are %d files: %q", pid-first+1, n, names(t, dir))
		}
	}
	want := []string{"a_total[] 300"}
	for pid := last - keptGauges + 1; pid <= last; pid++ {
		want = append(want, fmt.Sprintf("g_all[{pid %d}] %d", pid, pid-first))
	}
	want = append(want, "g_max[] 299", "g_min[] 0", "g_sum[] "+strconv.Itoa(299*300/2))
	if got := add(t, d); !slices.Equal(got, want) {
		t.Errorf("the sums are %q, not %q", got, want)
	}
	if len(d.noted) > 100 || len(d.kept) > keptGauges {
		t.Errorf("%d files are noted, %d kept", len(d.noted), len(d.kept))
	}
	must(t, d.Remove())
	if _, err := os.Stat(d.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Remove: %v", err)
	}
}

// A condensation that failed, or that the app has disturbed, costs no values.
func TestCondensationThatFails(t *testing.T) {
	d, dir := theirs(t)
	for pid := range condenseAt {
		write(t, dir, Name{Counter, "", strconv.Itoa(1<<30 + pid)}, 1)
		d.Ended(1<<30 + pid)
	}
	c, err := d.Condensation()
	must(t, err)
	c.Abandon()
	must(t, os.Mkdir(filepath.Join(dir, draft), 0o700))
	if c, err := d.Condensation(); c != nil || !errors.Is(err, os.ErrExist) {
		t.Errorf("with a directory in the way: %v, %v", c, err)
	}
	must(t, os.Remove(filepath.Join(dir, draft)))
	if c, err = d.Condensation(); err != nil || c == nil {
		t.Fatalf("again: %v, %v", c, err)
	}
	must(t, os.Remove(filepath.Join(dir, draft)))
	if err := d.Finish(c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was written is gone: %v", err)
	}
	if got := add(t, d); !slices.Equal(got, []string{"a_total[] 8"}) {
		t.Errorf("the sums are %q", got)
	}
	condense(t, d)
	if got := add(t, d); !slices.Equal(got, []string{"a_total[] 8"}) || len(names(t, dir)) != 1 {
		t.Errorf("condensed: %q in %q", got, names(t, dir))
	}
}

// A pid may be taken again before the files of the process that had it are condensed: the new
// process goes on with them.
func TestPidThatIsTakenAgain(t *testing.T) {
	d, dir := theirs(t)
	again := strconv.Itoa(os.Getpid())
	write(t, dir, Name{Counter, "", again}, 1)
	write(t, dir, Name{Gauge, "all", again}, 1)
	d.Ended(os.Getpid())
	for pid := range keptGauges + condenseAt {
		write(t, dir, Name{Counter, "", strconv.Itoa(1<<30 + pid)}, 1)
		write(t, dir, Name{Gauge, "all", strconv.Itoa(1<<30 + pid)}, 1)
		d.Ended(1<<30 + pid)
		condense(t, d)
	}
	for _, file := range []string{"counter_" + again + ".db", "gauge_all_" + again + ".db"} {
		if !slices.Contains(names(t, dir), file) {
			t.Errorf("%s is gone", file)
		}
	}
	if got := add(t, d); got[0] != fmt.Sprintf("a_total[] %d", keptGauges+condenseAt+1) {
		t.Errorf("the sums are %q", got)
	}
	if len(d.noted) != keptGauges+len(d.gone[place{d.users[0], "counter"}]) {
		t.Errorf("%d files are noted", len(d.noted))
	}
}

// If nothing can be condensed, the files of ended processes are still bounded.
func TestFilesOfEndedProcessesAreBounded(t *testing.T) {
	d, dir := theirs(t)
	for pid := range maxGone + 50 {
		write(t, dir, Name{Counter, "", strconv.Itoa(1<<30 + pid)}, 1)
		d.Ended(1<<30 + pid)
	}
	if n := len(names(t, dir)); n != maxGone || len(d.noted) != maxGone {
		t.Errorf("%d files, %d noted", n, len(d.noted))
	}
}

// What is no file of the user is not opened, and nothing waits.
func TestOpensOnlyFilesOfTheUser(t *testing.T) {
	d, dir := theirs(t)
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, used(value(`["secret", "secret_total", {}, ""]`, 1)), 0o600))
	must(t, os.Symlink(secret, filepath.Join(dir, "counter_1.db")))
	must(t, unix.Mkfifo(filepath.Join(dir, "counter_2.db"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "counter_3.db"), 0o700))
	must(t, os.Symlink("/dev/tty", filepath.Join(dir, "counter_4.db")))
	if os.Geteuid() == 0 {
		must(t, os.Link(secret, filepath.Join(dir, "counter_5.db")))
		must(t, os.Chown(secret, 65534, 65534))
	}
	must(t, os.WriteFile(filepath.Join(dir, "other.txt"), nil, 0o600))
	write(t, dir, Name{Counter, "", "self"}, 1)
	if got := add(t, d); !slices.Equal(got, []string{"a_total[] 1"}) {
		t.Errorf("the sums are %q", got)
	}
	if err := d.Remove(); err == nil {
		t.Error("Remove says nothing of the directory that remains")
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error(err)
	}
}

// A lease would make whoever opens the file wait for its holder (fcntl(2)).
func TestWaitsForNoLease(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs leases")
	}
	d, dir := theirs(t)
	write(t, dir, Name{Counter, "", "1"}, 1)
	holder := exec.Command("python3", "-c", `
import fcntl, sys
f = open(sys.argv[1])
fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)
fcntl.fcntl(f, fcntl.F_SETSIG, 0)
import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)
print("held", flush=True)
sys.stdin.read()
`, filepath.Join(dir, "counter_1.db"))
	in, err := holder.StdinPipe()
	must(t, err)
	out, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	defer func() { in.Close(); holder.Wait() }()
	if n, err := out.Read(make([]byte, 16)); n == 0 {
		t.Skipf("no lease can be had: %v", err)
	}
	if got := add(t, d); len(got) != 0 {
		t.Errorf("the sums are %q", got)
	}
}

func TestNumberOfFilesIsBounded(t *testing.T) {
	d, dir := theirs(t)
	for i := range MaxFiles + 1 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("counter_x%d.db", i)), nil, 0o600))
	}
	if files, whole := d.Files(); len(files) != MaxFiles || whole {
		t.Errorf("%d files, whole is %v", len(files), whole)
	}
}

// Processes that a worker has started end without anybody telling; names that are no pids, and
// files that somebody has open, stay as they are.
func TestProcessesOfWorkers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	d, dir := theirs(t)
	for i := range condenseAt {
		p := strconv.Itoa(1<<30 + i)
		write(t, dir, Name{Counter, "", p}, 1)
		write(t, dir, Name{Gauge, "livesum", p}, 1)
	}
	write(t, dir, Name{Counter, "", strconv.Itoa(os.Getpid())}, 1)
	write(t, dir, Name{Counter, "", "worker-1"}, 1)
	open, err := os.OpenFile(filepath.Join(dir, "counter_1073741900.db"), os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	defer open.Close()
	if f, err := os.Open(filepath.Join(dir, "counter_worker-1.db")); err != nil || !isUnused(f) {
		t.Skipf("no lease can be had: %v", err)
	}
	for range 2 {
		if got := add(t, d); !slices.Equal(got, []string{"a_total[] 10"}) {
			t.Errorf("the sums are %q", got)
		}
	}
	condense(t, d)
	want := []string{"counter_1073741900.db", "counter_" + strconv.Itoa(os.Getpid()) + ".db", "counter_ended.db", "counter_worker-1.db"}
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("the files are %q", got)
	}
	if got := add(t, d); !slices.Equal(got, []string{"a_total[] 10"}) {
		t.Errorf("condensed the sums are %q", got)
	}
}

// A server that was killed leaves its directory to the next one; one that runs keeps it.
func TestRemovesWhatWasLeft(t *testing.T) {
	parent := t.TempDir()
	first, err := Make(parent)
	must(t, err)
	must(t, first.Admit(os.Geteuid()))
	write(t, filepath.Join(first.Path(), strconv.Itoa(os.Geteuid())), Name{Counter, "", "1"}, 1)
	second, err := Make(parent)
	must(t, err)
	if got := names(t, parent); len(got) != 2 {
		t.Errorf("with two servers there are %q", got)
	}
	for _, u := range first.users {
		u.dir.Close()
	}
	first.base.Close() // as if it had been killed
	must(t, os.Mkdir(filepath.Join(parent, prefix), 0o700))
	must(t, os.Symlink(t.TempDir(), filepath.Join(parent, prefix+"link")))
	third, err := Make(parent)
	must(t, err)
	want := []string{filepath.Base(second.Path()), filepath.Base(third.Path()), prefix + "link"}
	slices.Sort(want)
	if got := names(t, parent); !slices.Equal(got, want) {
		t.Errorf("there are %q, not %q", got, want)
	}
	must(t, second.Remove())
	must(t, third.Remove())
}

func TestMakeTakesTheFirstParentThatCanBeHad(t *testing.T) {
	parent := t.TempDir()
	d, err := Make(filepath.Join(parent, "none"), parent)
	must(t, err)
	if filepath.Dir(d.Path()) != parent {
		t.Errorf("it is %s", d.Path())
	}
	must(t, d.Remove())
	if _, err := Make(filepath.Join(parent, "none"), "/proc"); !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "\n") {
		t.Errorf("without a parent: %v", err)
	}
}

// Each user has a directory of its own; another one sees neither names nor files.
func TestUsersAreKeptApart(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	d, _ := theirs(t)
	must(t, d.Admit(65534))
	for p := filepath.Dir(d.Path()); p != "/"; p = filepath.Dir(p) {
		must(t, os.Chmod(p, 0o755))
	}
	as := func(uid int, script string) string {
		out, _ := exec.Command("setpriv", "--reuid", strconv.Itoa(uid), "--clear-groups", "sh", "-c", script).CombinedOutput()
		return string(out)
	}
	if out := as(65534, "echo x > "+d.Path()+"/65534/counter_7.db && echo done"); out != "done\n" {
		t.Errorf("in its own directory: %s", out)
	}
	for _, script := range []string{"ls %s", "ls %s/0", "echo x > %s/0/x", "echo x > %s/x", "mv %s/0 %s/1", "rmdir %s/65534"} {
		if out := as(65534, strings.ReplaceAll(script, "%s", d.Path())); !strings.Contains(out, "denied") {
			t.Errorf("%s: %s", script, out)
		}
	}
	must(t, os.WriteFile(filepath.Join(d.Path(), "65534", "counter_8.db"), nil, 0o600)) // root's
	files, _ := d.Files()
	for _, file := range files {
		f := file.Open()
		if (f != nil) != (file.Name.Process == "7") {
			t.Errorf("%s: %v", file.Name, f)
		}
		if f != nil {
			f.Close()
		}
	}
	if len(files) != 2 {
		t.Errorf("the files are %v", files)
	}
}
