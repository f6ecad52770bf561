package master

import (
	"os"
	"time"

	"indrik/internal/recycle"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// A worker is one process that runs the app.
type worker struct {
	age   int
	pid   int // 0 until the spawner said
	proc  process
	gen   *generation
	slots int

	end    *os.File   // its end of the channel, until it is forked
	theirs []*os.File // its ends of the slots, until it is forked

	board     *os.File
	boardMem  *wire.Scoreboard
	dump      *os.File
	slotFiles []*os.File // the front's ends

	calls    *os.File // the front's end of the channel for calls, nil: it can make none
	callsEnd *os.File // its end, until it is forked

	toldTo  *frontProcess // the front that was told of it last
	untaken int           // messages about it that this front has not taken yet
	asked   bool          // the spawner, or the template, was asked to fork it

	speed string // the version of indrik-speed that it uses, once it is ready

	template *template // that was asked, nil: the spawner was
	level    int       // reforks of its generation that came before it
	warm     bool      // it has said that it has served many requests
	born     bool      // it has said that it is there

	channel    workerConn
	early      []wire.FromWorker // what it said before its pid was known
	files      int               // it has named
	broke      bool              // it broke the protocol
	breach     string            // how
	silent     bool              // nobody holds its end of the channel any more
	toldShared bool              // the log says that others have spoken on its channel

	ready     bool           // it has its app
	kind      wire.Kind      // once it is ready
	active    bool           // the front counts on it
	exhausted bool           // it has asked for a successor
	stale     string         // why a refork has it replaced, "" if none does
	recycling bool           // it is to end when it has one
	makesRoom bool           // it is to end before it has one
	cause     *recycle.Cause // why; nil: it stays
	lifetime  time.Duration  // after which it is too old; 0: never
	memory    measure
	leaving   bool // it was told to end, or is about to be
	aborted   bool
	killed    bool // by this master
	overdue   bool // it had not ended after graceful_timeout
	readyAt   time.Time
	again     *time.Timer     // the next SIGTERM
	pause     time.Duration   // before it
	deadline  *time.Timer     // of its drain
	late      bool            // a request of it is over time
	lateSince time.Time       // since when its event loop is late; zero: it is not
	lost      *wire.FromFront // what it ran when it died, nil: the front has not said
	settled   bool            // and it runs no others
	awaiting  []func(string)  // who waits for its stacks
	tracing   []func(*status.Trace)

	slowTraced time.Time // when it showed where a slow request is

	overTime []status.Running // the requests that were over time
	blocked  time.Duration    // for which its event loop had been blocked when it was over time
}

// open makes what w shares with the other processes: its scoreboard, its channel and its
// slots.
func (w *worker) open(sys *system) (err error) {
	if w.board, err = sys.board(w.slots); err != nil {
		return err
	}
	if w.boardMem, err = sys.mapBoard(w.board); err != nil {
		return err
	}
	if w.dump, err = sys.growing("indrik-stacks"); err != nil {
		return err
	}
	ours, end, err := sys.pair()
	if err != nil {
		return err
	}
	w.end = end
	if w.channel, err = sys.channel(ours); err != nil {
		return err
	}
	if w.gen.pools != nil {
		if w.calls, w.callsEnd, err = sys.pair(); err != nil {
			return err
		}
	}
	for range w.slots {
		ours, theirs, err := sys.pair()
		if err != nil {
			return err
		}
		w.slotFiles, w.theirs = append(w.slotFiles, ours), append(w.theirs, theirs)
	}
	return nil
}

// close releases all that w has.
func (w *worker) close() {
	w.closeBoard()
	w.stopTimers()
	if w.channel != nil {
		w.channel.Close()
	}
	if w.proc != nil {
		w.proc.Release()
	}
	wire.CloseAll([]*os.File{w.dump, w.end, w.calls, w.callsEnd})
	wire.CloseAll(w.theirs)
}

// closeBoard releases what w has for its requests.
func (w *worker) closeBoard() {
	if w.boardMem != nil {
		w.boardMem.Close()
	}
	wire.CloseAll([]*os.File{w.board})
	wire.CloseAll(w.slotFiles)
	w.boardMem, w.board, w.slotFiles = nil, nil, nil
}

func (w *worker) stopTimers() {
	for _, t := range []*time.Timer{w.again, w.deadline} {
		if t != nil {
			t.Stop()
		}
	}
}
