package master

import (
	"os"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

// A loop runs functions one at a time, in order. It is all that a part of the master
// knows of the master's goroutine.
type loop interface {
	// post runs f soon. Any goroutine may call it except the loop's own.
	post(f func())
	// after runs f after d, unless the timer is stopped before.
	after(d time.Duration, f func()) *time.Timer
}

// An eventLoop is the loop of a master: see Master.run.
type eventLoop struct {
	sys    *system
	events chan func()
}

func (l *eventLoop) post(f func()) { l.events <- f }

func (l *eventLoop) after(d time.Duration, f func()) *time.Timer {
	return l.sys.after(d, func() { l.post(f) })
}

// A base is what every part of the master has of the process around it.
type base struct {
	loop
	sys *system
	log *errlog.Log
}

// now returns the time by the clock of the system.
func (b *base) now() time.Time { return b.sys.now() }

// sendTo sends a message with files, which stay the caller's. It logs an error, such as
// the want of descriptors, before it returns it.
func (b *base) sendTo(conn controlConn, msg any, files ...*os.File) error {
	err := conn.SendKeeping(msg, files...)
	if err != nil {
		b.log.Errorf("A message to another process was not sent: %s", err)
	}
	return err
}

// controlPair makes a control channel: the master's connection, and the other end.
func (b *base) controlPair() (controlConn, *os.File, error) {
	ours, theirs, err := b.sys.pair()
	if err != nil {
		return nil, nil, err
	}
	conn, err := b.sys.connect(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// receive reads conn in a goroutine until its end, which comes when no process holds the
// other end any more. The loop runs act for each message, and end at the end; either may
// be nil.
func receive[T any](l loop, conn controlConn, act func(T), end func()) {
	go func() {
		defer conn.Close()
		for {
			var msg T
			files, err := conn.Recv(&msg)
			wire.CloseAll(files) // nobody sends the master any
			if err != nil {
				break
			}
			if act != nil {
				l.post(func() { act(msg) })
			}
		}
		if end != nil {
			l.post(end)
		}
	}()
}
