package master

import (
	"testing"

	"indrik/internal/wire"
)

// A worker can be ready before its spawner has answered that it was forked. When
// the spawner dies in between, the worker is known, and must be retired like any
// other later on: retire passes over those that are leaving already.
func TestSpawnerDiesAfterTheWorkerSpoke(t *testing.T) {
	lost := wire.FromSpawner{Type: wire.TypeFailed, Stage: "spawner", Error: "was sent SIGKILL"}
	known, unknown := &worker{age: 1, pid: 4148, ready: true}, &worker{age: 2}
	m := &Master{workers: map[int]*worker{1: known, 2: unknown}}
	m.spawnAnswered(known, lost)
	m.spawnAnswered(unknown, lost)
	if known.leaving {
		t.Error("a worker that is known to be there is taken for one that is leaving")
	}
	if !unknown.leaving {
		t.Error("a worker of which nothing is known would be kept when it turns up")
	}
}
