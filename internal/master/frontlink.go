package master

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A frontLink is the way to the front, whichever process that is at the moment, and what
// every front is given: the listening sockets. While there is no front it sends nothing,
// since the next one is told everything.
type frontLink struct {
	base
	current   *frontProcess // nil: there is none
	started   int           // fronts so far
	backoff   backoff
	accepting bool // workers are ready, or were: the front may accept
	listeners []*listen.Listener
	lastID    int // of a listener
}

// A frontProcess is a process that holds the client connections.
type frontProcess struct {
	proc     process
	conn     controlConn
	born     time.Time
	ready    bool
	draining bool // it was told to say when nothing is left to do
	probe    *probe
	stalled  time.Duration // how long requests have waited without any that was finished
	calls    map[int]func(wire.FromFront)
	last     int // the number of the last call

	nextStatus time.Time // before that it gets none
	least      int       // that it was told last
	asleep     bool      // likewise
	commands   int       // that it waits for
}

// start starts a front.
func (l *frontLink) start(title string, cred *syscall.Credential) (dump *os.File, err error) {
	conn, theirs, err := l.controlPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	// All that can fail comes before the process, so that none is left behind.
	if dump, err = l.sys.growing("indrik-stacks"); err != nil {
		conn.Close()
		return nil, err
	}
	proc, err := l.sys.start(oslayer.Command{
		// The file this master runs, also when another has taken its place
		// on disk: both must speak the same protocol.
		Path:       oslayer.Executable(),
		Args:       []string{title},
		Env:        append(l.sys.childEnv(), wire.EnvRole+"="+wire.RoleFront, fmt.Sprintf("%s=%d", wire.EnvFront, l.started%128)),
		Files:      append(l.sys.stdio(), theirs, dump),
		Credential: cred,
		Setpgid:    true,
	})
	if err != nil {
		conn.Close()
		dump.Close()
		return nil, fmt.Errorf("cannot start the front: %w", err)
	}
	l.started++
	l.current = &frontProcess{proc: proc, conn: conn, born: l.now(), calls: map[int]func(wire.FromFront){}}
	return dump, nil
}

// credential is who the front runs as; nil: as the master.
func credential(cfg *settings.Config) *syscall.Credential {
	a := cfg.FrontAccount()
	if os.Geteuid() != 0 || a.UID == os.Geteuid() && a.GID == os.Getegid() {
		return nil
	}
	cred := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	if cfg.Initgroups() {
		cred.Groups = oslayer.Groups(a.Name, a.GID)
	}
	return cred
}

// is reports whether the front is the process pid.
func (l *frontLink) is(pid int) bool { return l.current != nil && l.current.proc.Pid() == pid }

// drop releases a front that has ended.
func (l *frontLink) drop() {
	f := l.current
	f.conn.Close()
	f.probe.stop()
	f.proc.Release()
	l.current = nil
}

// kill ends the front at once.
func (l *frontLink) kill() {
	if l.current != nil {
		l.current.proc.Signal(syscall.SIGKILL)
	}
}

// call sends a message that is answered; done gets nil once the front has carried it out,
// or why it could not. It is not called if the front ends first: the next one is
// told everything anew.
func (l *frontLink) call(msg wire.ToFront, done func(*failure), files ...*os.File) {
	l.ask(msg, func(answer wire.FromFront) {
		if answer.Type == wire.TypeOK {
			done(nil)
			return
		}
		done(lacks("Error: the front cannot take it: "+answer.Error, answer.Errno))
	}, files...)
}

// ping asks the front whether it lives; done is called with its answer.
func (l *frontLink) ping(done func()) {
	f := l.current
	l.ask(wire.ToFront{Type: wire.TypePing}, func(answer wire.FromFront) {
		f.stalled = time.Duration(answer.Stalled * float64(time.Second))
		done()
	})
}

// ask sends a message that is answered; done gets the whole answer. It is not called if
// the front ends first.
func (l *frontLink) ask(msg wire.ToFront, done func(wire.FromFront), files ...*os.File) {
	f := l.current
	f.last++
	msg.Call = f.last
	f.calls[msg.Call] = done
	if err := l.sendTo(f.conn, msg, files...); err != nil {
		answer := wire.FromFront{Type: wire.TypeFailed, Call: msg.Call, Error: err.Error(), Errno: errnoOf(err)}
		l.after(0, func() {
			if l.current == f {
				f.answered(answer)
			}
		})
	}
}

// answered gives the answer to a call to whoever made it.
func (f *frontProcess) answered(msg wire.FromFront) {
	done := f.calls[msg.Call]
	if done == nil {
		return
	}
	delete(f.calls, msg.Call)
	done(msg)
}

// send sends a message with files, which stay the caller's.
func (l *frontLink) send(msg wire.ToFront, files ...*os.File) {
	if l.current != nil {
		l.sendTo(l.current.conn, msg, files...)
	}
}

// sendTitle tells the front its title.
func (l *frontLink) sendTitle(title string) { l.send(wire.ToFront{Type: wire.TypeTitle, Title: title}) }

// sendListeners gives the front the listening sockets, if it may accept.
func (l *frontLink) sendListeners() {
	if !l.accepting {
		return
	}
	msg := wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{}}
	var files []*os.File
	for _, ln := range l.listeners {
		msg.Listeners = append(msg.Listeners, wire.Listener{ID: ln.ID, Bind: ln.Bind, Network: ln.Network})
		files = append(files, ln.File)
	}
	l.send(msg, files...)
}

// accept lets the front take connections.
func (l *frontLink) accept() {
	l.accepting = true
	l.sendListeners()
}

// drain tells the front to finish what it has, as msg says, and reports whether it will
// say when nothing is left: there may be no front, and then nothing is left already.
func (l *frontLink) drain(msg wire.ToFront) bool {
	if l.current == nil {
		return false
	}
	l.current.draining = true
	msg.Type = wire.TypeDrain
	l.send(msg)
	return true
}

// resume tells the front to serve again, instead of draining.
func (l *frontLink) resume() {
	l.current.draining = false
	l.send(wire.ToFront{Type: wire.TypeResume})
	l.sendListeners()
}

// number gives a listener the number by which the front knows it.
func (l *frontLink) number(ln *listen.Listener) {
	l.lastID++
	ln.ID = l.lastID
}

// hasSystemd reports whether the service manager has made one of the listeners.
func (l *frontLink) hasSystemd() bool {
	for _, ln := range l.listeners {
		if ln.Systemd {
			return true
		}
	}
	return false
}

// all returns the listeners that there are now.
func (l *frontLink) all() []*listen.Listener { return l.listeners }

// unlink removes the files of unix sockets.
func (l *frontLink) unlink() {
	for _, ln := range l.listeners {
		ln.Unlink()
	}
}

// stopListening closes the listeners here. The front has copies; with ours open the ports would
// stay so after it closed them.
func (l *frontLink) stopListening() {
	for _, ln := range l.listeners {
		ln.Close()
	}
}

// urls is what `Listening at:` lists. protocols has the addresses where something else than
// HTTP is spoken.
func (l *frontLink) urls(tls bool, protocols map[string]string) string {
	urls := make([]string, 0, len(l.listeners))
	for _, ln := range l.listeners {
		url := ln.URL()
		if protocol := protocols[ln.Bind]; protocol != "" {
			url = protocol + "://" + ln.Bind
		} else if rest, ok := strings.CutPrefix(url, "http:"); ok && tls {
			url = "https:" + rest
		}
		urls = append(urls, url)
	}
	return strings.Join(urls, ",")
}
