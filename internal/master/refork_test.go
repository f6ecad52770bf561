package master

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/wire"
)

// forked are the workers that live and that a template has forked.
func (w *world) forked() (of []*fakeWorker) {
	for _, worker := range w.live() {
		if worker.mother != nil && !worker.promoted {
			of = append(of, worker)
		}
	}
	return of
}

// warmUp has the oldest worker say that it has served many requests, and waits until the
// server has done what it does then.
func (w *world) warmUp() *fakeWorker {
	worker := w.live()[0]
	worker.say(wire.FromWorker{Type: wire.TypeWarm})
	w.pass(5 * time.Second)
	return worker
}

// A warm worker becomes a template, which forks all others anew; those are children of the
// master. A reload ends it.
func TestRefork(t *testing.T) {
	inWorld(t, []string{"--refork-after", "100"}, func(w *world) {
		w.hooks = append(w.hooks, "child_exit")
		if after := w.spawner().told(wire.TypeSpawn)[0].WarmAfter; after != 100 {
			t.Errorf("a worker is warm after %d requests", after)
		}
		template := w.warmUp()
		if n := len(w.forked()); n != 2 || len(w.m.pool.workers) != 2 || !template.promoted {
			t.Fatalf("%d workers of the template, %d in all", n, len(w.m.pool.workers))
		}
		s := w.m.status(nil)
		if s.Template == nil || s.Template.PID != template.proc.pid || s.Template.Forked != 2 || s.Reforks != 1 || s.FailedReforks != 0 {
			t.Errorf("%+v, %d, %d", s.Template, s.Reforks, s.FailedReforks)
		}
		w.expectLog("forks the workers from now on")
		w.forked()[0].die(signaled(syscall.SIGSEGV))
		w.pass(2 * time.Second)
		if n := len(w.forked()); n != 2 {
			t.Errorf("%d workers after a death", n)
		}
		if after := w.m.warmAfter(w.m.gen); after != 100*warmer {
			t.Errorf("the next workers are warm after %d requests", after)
		}
		w.signal(syscall.SIGHUP)
		w.pass(10 * time.Second)
		w.expectWorkers(2)
		if len(w.forked()) != 0 || !template.proc.gone || len(w.m.refork.templates) != 0 {
			t.Error("the template outlives its generation")
		}
	})
}

// A worker that starts at the moment when another one becomes the template is forked anew as well.
func TestReforkWhileAWorkerStarts(t *testing.T) {
	inWorld(t, []string{"--refork-after", "100"}, func(w *world) {
		template := w.live()[0]
		template.template = "slow"
		w.warmUp()
		w.stuck = true
		w.live()[1].die(signaled(syscall.SIGSEGV))
		w.pass(2 * time.Second)
		w.stuck = false
		workers := w.live()
		starting := workers[len(workers)-1]
		template.say(wire.FromWorker{Type: wire.TypePromoted})
		w.pass(time.Second)
		starting.ready()
		w.pass(5 * time.Second)
		if n := len(w.forked()); n != 2 || len(w.m.pool.workers) != 2 {
			t.Errorf("%d workers of the template, %d in all", n, len(w.m.pool.workers))
		}
	})
}

// What goes wrong with a template leaves the server with workers that the spawner forks.
func TestReforkFails(t *testing.T) {
	for how, says := range map[string]string{
		"refuses": "does not become a template: it has threads",
		"dies":    "does not become a template: it ended",
		"silent":  "",
	} {
		inWorld(t, []string{"--refork-after", "100", "--graceful-timeout", "5"}, func(w *world) {
			w.live()[0].template = how
			w.warmUp()
			w.pass(20 * time.Second)
			w.expectWorkers(2)
			w.expectState(running)
			if len(w.forked()) != 0 || len(w.m.refork.templates) != 0 || w.m.refork.chosen != nil {
				t.Errorf("%s: there is a template", how)
			}
			if says != "" {
				w.expectLog(says)
			}
			before := len(w.workers)
			w.warmUp() // of the next one nobody asks it
			if len(w.workers) != before && how != "silent" {
				t.Errorf("%s: it is tried again", how)
			}
		})
	}
}

// A template that ends, hangs or lies is replaced by the spawner.
func TestTemplateBreaks(t *testing.T) {
	for what, c := range map[string]struct {
		breaks func(w *world, template *fakeWorker)
		says   string
	}{
		"ends":  {func(w *world, template *fakeWorker) { template.die(signaled(syscall.SIGKILL)) }, "was sent SIGKILL: the spawner forks the next workers"},
		"hangs": {func(w *world, template *fakeWorker) { template.template = "silent" }, "has not forked a worker within 10s"},
		"says what a worker says": {func(w *world, template *fakeWorker) {
			template.say(wire.FromWorker{Type: wire.TypeReady})
		}, "what no template sends: `ready`"},
		"has forked what nobody asked for": {func(w *world, template *fakeWorker) {
			template.say(wire.FromWorker{Type: wire.TypeForked, Age: 99})
		}, "what no template sends: `forked`"},
		"breaks the protocol": {func(w *world, template *fakeWorker) {
			template.channel.tell(fromWorker{Breach: "garbage", Sender: template.proc.pid})
		}, "it sent the master garbage"},
		"gives a channel to a process that it has not forked": {func(w *world, template *fakeWorker) {
			template.template = "lies"
		}, "which has the channel of a new worker, is"},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			inWorld(t, []string{"--refork-after", "100"}, func(w *world) {
				template := w.warmUp()
				c.breaks(w, template)
				w.forked()[0].die(signaled(syscall.SIGSEGV))
				w.pass(2 * time.Minute)
				w.expectLog(c.says)
				if len(w.m.pool.workers) != 2 {
					t.Errorf("%d workers", len(w.m.pool.workers))
				}
				w.expectState(running)
				if !template.proc.gone || len(w.m.refork.templates) != 0 || w.m.gen.template != nil {
					t.Error("the template is still there")
				}
			})
		})
	}
}

// A template that cannot fork now may do so later.
func TestTemplateCannotFork(t *testing.T) {
	inWorld(t, []string{"--refork-after", "100"}, func(w *world) {
		template := w.warmUp()
		template.template = "fails"
		w.forked()[0].die(signaled(syscall.SIGSEGV))
		w.pass(10 * time.Second)
		w.expectLog("Cannot start a worker: no room")
		template.template = ""
		w.pass(time.Minute)
		if len(w.forked()) != 2 {
			t.Error("it is not asked again")
		}
	})
}

// The server ends with its template.
func TestEndWithTemplate(t *testing.T) {
	inWorld(t, []string{"--refork-after", "100"}, func(w *world) {
		template := w.warmUp()
		w.signal(syscall.SIGTERM)
		w.pass(10 * time.Second)
		if !template.proc.gone || !w.m.ending.over {
			t.Errorf("the template is gone: %v, the server: %v", template.proc.gone, w.m.ending.over)
		}
	})
}

// A worker that says what only a template may say is ended.
func TestUnaskedTemplate(t *testing.T) {
	for _, typ := range []string{wire.TypePromoted, wire.TypeRefused, wire.TypeForked, wire.TypeFailed, wire.TypeBorn, wire.TypeWarm} {
		inWorld(t, nil, func(w *world) {
			w.live()[0].say(wire.FromWorker{Type: typ})
			w.pass(time.Minute)
			w.expectLog("it sent the master `" + typ + "`")
			w.expectWorkers(2)
		})
	}
}
