package front

import (
	"os"
	"testing"

	"indrik/internal/wire"
)

// A front that takes the place of another may be told of a worker that has died
// meanwhile. It dies once, and its generation serves on.
func TestWorkerThatIsDeadAlready(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	const slots = 100
	for age := 1000; age < 1010; age++ {
		board, err := wire.NewScoreboardFile(2 * slots)
		must(t, err)
		files := []*os.File{board}
		var more []*os.File
		for range slots {
			a, b, err := wire.Pair()
			must(t, err)
			b.Close()
			c, d, err := wire.Pair()
			must(t, err)
			d.Close()
			files, more = append(files, a), append(more, c)
		}
		r.tell(wire.ToFront{Type: wire.TypeWorker, Generation: 1, Age: age}, files...)
		r.tell(wire.ToFront{Type: wire.TypeWorker, Generation: 1, Age: age, First: slots}, more...)
		r.tell(wire.ToFront{Type: wire.TypeActivate, Age: age})
	}
	w := r.worker(g, 1)
	c := r.dial()
	c.get("/")
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET / ")
	// The request may have come while the dead still counted, so that the
	// activation of the living one is to be waited for as well.
	eventually(t, "the dead are forgotten, and only they", func() bool {
		l := r.s.queue.Load()
		return l.Workers == 1 && l.Ready == 1 && l.Slots == 1
	})
}
