package appmetrics

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxGone bounds how many files of ended processes wait to be condensed, if that fails.
const maxGone = 500

// Ended takes note that the process pid has ended. What counts only as long as it lives is gone
// at once; the rest is yet to be condensed.
func (d *Directory) Ended(pid int) {
	for _, u := range d.users {
		for _, n := range namesOf(pid) {
			var st unix.Stat_t
			if unix.Fstatat(int(u.dir.Fd()), n.String(), &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
				d.end(u, n)
			}
		}
	}
}

// end takes note that the process of a file has ended.
func (d *Directory) end(u *user, n Name) {
	at := place{u, n.kind()}
	switch {
	case n.isLive():
		_ = u.remove(n.String())
	case d.noted[File{n, u}]:
	case n.keepsProcess():
		d.noted[File{n, u}] = true
		if d.kept = append(d.kept, File{n, u}); len(d.kept) > keptGauges {
			d.drop(d.kept[0])
			d.kept = d.kept[1:]
		}
	default:
		d.noted[File{n, u}] = true
		if d.gone[at] = append(d.gone[at], n); len(d.gone[at]) > maxGone {
			d.drop(File{d.gone[at][0], u})
			d.gone[at] = d.gone[at][1:]
		}
	}
}

// drop removes a file of an ended process.
func (d *Directory) drop(f File) {
	if d.isBack(f) {
		return
	}
	delete(d.noted, f)
	_ = f.user.remove(f.Name.String())
}

// isBack reports whether there is a new process with the pid of one that has ended, which may go
// on with the file. It is then one of those that live.
func (d *Directory) isBack(f File) bool {
	if f.Name.hasEnded() {
		return false
	}
	delete(d.noted, f)
	return true
}

// hasEnded reports whether the name is that of a process that is not there. An app may have
// other names for its processes, even numbers: see isUnused.
func (n Name) hasEnded() bool {
	pid, err := strconv.Atoi(n.Process)
	return err == nil && pid > 0 && unix.Kill(pid, 0) == unix.ESRCH
}

// A Condensation makes one file of several: what a [Condenser] makes of Files is to be written
// to Out, which is empty. Finish or Abandon ends it.
type Condensation struct {
	Name  Name
	Out   *os.File
	Files []*os.File

	at      place
	sources []Name
}

// draft is the name of a file that is being written.
const draft = "condensing"

// Condensation returns what is to be condensed next, nil if there is nothing. There must be only
// one at a time.
func (d *Directory) Condensation() (*Condensation, error) {
	for at := range d.gone {
		d.gone[at] = slices.DeleteFunc(d.gone[at], func(n Name) bool { return d.isBack(File{n, at.user}) })
		if len(d.gone[at]) < condenseAt {
			continue
		}
		names := d.gone[at][:min(len(d.gone[at]), maxCondensed)]
		c := &Condensation{Name: names[0], at: at, sources: slices.Clone(names)}
		c.Name.Process = ended
		_ = at.user.remove(draft)
		out, err := openAt(at.user.dir, draft, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		c.Out = out
		if err := out.Chown(at.user.uid, -1); err != nil {
			c.Abandon()
			return nil, err
		}
		for _, n := range append([]Name{c.Name}, names...) {
			if f := at.user.open(n); f != nil {
				c.Files = append(c.Files, f)
			}
		}
		return c, nil
	}
	return nil, nil
}

// Finish puts what was written in the place of the files that it was made of. Whoever lists the
// directory in between, as the library's own collector does in the app, finds some values twice:
// there is no way to rename one file and remove others in one step.
func (d *Directory) Finish(c *Condensation) error {
	c.close()
	fd := int(c.at.user.dir.Fd())
	if err := unix.Renameat(fd, draft, fd, c.Name.String()); err != nil {
		return &os.PathError{Op: "rename", Path: c.Out.Name(), Err: err}
	}
	for _, n := range c.sources {
		d.drop(File{n, c.at.user})
	}
	d.gone[c.at] = slices.DeleteFunc(d.gone[c.at], func(n Name) bool { return slices.Contains(c.sources, n) })
	return nil
}

// Abandon leaves everything as it was.
func (c *Condensation) Abandon() {
	c.close()
	_ = c.at.user.remove(draft)
}

func (c *Condensation) close() {
	c.Out.Close()
	for _, f := range c.Files {
		f.Close()
	}
}
