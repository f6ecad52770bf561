package master

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/listen"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A candidate is a generation in the making: its config file is evaluated, the
// settings are resolved, the app is imported if it is preloaded, and its
// workers are forked. Nothing of the serving generation is touched until all
// of that has succeeded.
type candidate struct {
	m         *Master
	sp        *spawner
	reused    bool // sp serves the generation before it, too (preload_app)
	freshCode bool // because code has changed
	cfg       *settings.Config
	sizing    string // why it has as many workers as it has, if they were not told
	wrong     error  // what is wrong with the settings, when they are only looked at
	hooks     map[string]bool
	python    string        // the interpreter, for people
	file      string        // the config file that was read, for people
	begun     time.Time     // when it was begun
	certs     *certificates // nil without TLS
	gen       *generation
	listeners []*listen.Listener // from when they are bound until it takes over
	target    int                // how many workers it is to have
	change    int                // by TTIN and TTOU since it was begun
	bound     bool               // its addresses are open, and on_reload has run
	forked    bool               // its workers are being made
	over      bool               // it took over, or was given up

	resolved func() // the settings are known
	prepared func() // the spawner can fork workers
	ready    func() // all of its workers have their app
	failed   func(*failure)
}

// keepsApp tells whether a reload goes on with the app that a spawner holds.
func keepsApp(old, next *settings.Config) bool {
	if !old.PreloadApp() || !next.PreloadApp() || old.App() != next.App() {
		return false
	}
	if (old.Kind() == settings.WorkerGevent) != (next.Kind() == settings.WorkerGevent) {
		return false // a library that was patched stays so
	}
	return old.Chdir() == next.Chdir() && old.Pythonpath() == next.Pythonpath()
}

// readCertificates reads the certificate files and tells whether they are good;
// b has failed if they are not.
func (b *candidate) readCertificates() bool {
	var err error
	if b.certs, err = b.m.readCertificates(b.cfg); err != nil {
		b.fail(&failure{text: "\nError: " + err.Error(), code: exitcode.Config})
		return false
	}
	return true
}

// prepare makes the generation, and readies the spawner to fork its workers.
func (b *candidate) prepare(load bool) {
	m := b.m
	g, err := m.newGeneration()
	if err != nil {
		b.fail(lack("", err))
		return
	}
	g.cfg, g.sp, g.hooks, g.certs = b.cfg, b.sp, b.hooks, b.certs
	b.gen = g
	m.call(b.sp, wire.ToSpawner{
		Type: wire.TypePrepare, Generation: g.number, Settings: b.cfg.All(), App: b.cfg.App(), Kind: b.cfg.Kind(),
		Server: m.server(b.cfg), Load: load, StandIn: b.standIn(), Terminal: m.terminal(b.cfg),
	}, []*os.File{g.queueWorker}, func(r wire.FromSpawner) {
		if b.over {
			return
		}
		if r.Type == wire.TypeFailed {
			b.fail(failed(r))
			return
		}
		if !r.Logger {
			b.prepared()
			return
		}
		m.startLogger(b.gen, func(f *failure) {
			switch {
			case b.over:
				b.gen.logger.close()
			case f != nil:
				b.fail(f)
			default:
				b.prepared()
			}
		})
	})
}

// standIn tells whether an app that does not compile is replaced by one that shows
// why, until it does: with reload, as long as there is nothing better to serve.
func (b *candidate) standIn() bool {
	return b.cfg.Reload() && b.m.predecessor == nil && (b.m.gen == nil || b.m.gen.standIn)
}

// fork makes the workers, once the front knows their generation.
func (b *candidate) fork() {
	if !b.bound || !b.gen.taken || b.forked {
		return
	}
	b.forked = true
	for range b.target {
		if !b.m.spawn(b.gen) {
			return // b has failed
		}
	}
	b.workerReady() // there may be none to wait for
}

// workerReady is called when one more worker of b is ready.
func (b *candidate) workerReady() {
	if b.over || b.ready == nil || !b.forked {
		return
	}
	ready := 0
	for _, w := range b.m.workers {
		if w.gen == b.gen && w.ready {
			ready++
		}
	}
	if ready >= b.target {
		b.ready()
	}
}

func (b *candidate) fail(f *failure) {
	if !b.over {
		b.failed(f)
	}
}

// discard gives b up: what was made for it ends.
func (b *candidate) discard() {
	if b.over {
		return
	}
	b.over = true
	m := b.m
	if m.candidate == b {
		m.candidate = nil
	}
	if b.gen != nil {
		for _, w := range m.workers {
			if w.gen == b.gen {
				m.stop(w)
			}
		}
		b.gen.logger.close()
		m.releaseUnused(b.gen)
	}
	b.closeListeners()
	if !b.reused && b.sp != nil {
		m.dismiss(b.sp)
		m.killLater(b.sp)
	}
	m.dismissUnused()
}

// bootFailed is called when a worker could not be forked, and reports whether that was
// the end of more than this worker.
func (m *Master) bootFailed(w *worker, f *failure) bool {
	if m.candidateGeneration() == w.gen {
		m.candidate.fail(f)
		return true
	}
	if m.state != booting {
		return false
	}
	switch f.code {
	case exitcode.WorkerBoot:
		m.halt("Worker failed to boot.", exitcode.WorkerBoot)
	case exitcode.AppLoad:
		m.halt("App failed to load.", exitcode.AppLoad)
	default:
		return false
	}
	return true
}

// bootEnded is called when w has ended before it was ready, and reports whether the
// server ends for it: at the first start, with the exit code of the app. A worker that
// somebody has ended is replaced.
func (m *Master) bootEnded(w *worker, code int, sig syscall.Signal) bool {
	if m.state != booting || endedByOperator(code, sig) {
		return false
	}
	switch {
	case sig != 0:
		m.halt(fmt.Sprintf("Worker was sent %s before it was ready.", signalName(sig)), 128+int(sig))
	case code == exitcode.WorkerBoot:
		m.halt("Worker failed to boot.", code)
	case code == exitcode.AppLoad:
		m.halt("App failed to load.", code)
	default:
		if code == exitcode.OK { // of which halt says no more
			m.log.Errorf("Worker (pid:%d) exited with code 0 before it was ready.", w.pid)
		}
		m.halt(fmt.Sprintf("Worker exited with code %d before it was ready.", code), code)
	}
	return true
}

// endedByOperator reports whether a worker that was not ready ended because it was told
// to, by somebody else than this master. It then exits with 128 and the signal.
func endedByOperator(code int, sig syscall.Signal) bool {
	if sig == 0 {
		sig = syscall.Signal(code - 128)
	}
	return sig == syscall.SIGTERM || sig == syscall.SIGQUIT || sig == syscall.SIGKILL || sig == syscall.SIGHUP
}
