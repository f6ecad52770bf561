package serve

import (
	"os"
	"slices"
	"syscall"
	"time"

	"indrik/bench/proctree"
)

// remaining returns the processes below this one, children before parents, less
// those that have ended, which it reaps. After AdoptOrphans whatever a server
// leaves behind is among them.
func remaining() []int {
	table, err := proctree.Read("/proc")
	if err != nil {
		return nil
	}
	var alive []int
	for _, pid := range slices.Backward(table.Below(os.Getpid())) {
		// It fails with ECHILD for one that is not a child of this one itself.
		if done, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); done != pid {
			alive = append(alive, pid)
		}
	}
	return alive
}

// EndAll kills every process below this one, and returns how many there were.
func EndAll() int {
	killed := make(map[int]bool)
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		alive := remaining()
		if len(alive) == 0 {
			break
		}
		for _, pid := range alive {
			if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
				killed[pid] = true
			}
		}
	}
	return len(killed)
}
