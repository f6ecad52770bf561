package master

import (
	"fmt"
	"math"
	"time"

	"indrik/internal/autoscale"
	"indrik/internal/capacity"
	"indrik/internal/settings"
)

// This file is what the machine has to say to the number of workers: by the kernel's word alone.

const (
	// memoryShare is how much of the memory may be in use once there are more workers.
	memoryShare = 0.9
	// memoryEvery is how often the memory of the workers is read, while they are so busy that
	// there may soon be more of them, and memoryKnown for how long that holds.
	memoryEvery = 5 * time.Second
	memoryKnown = 30 * time.Second
	// longSpan is how far apart two readings of processor time may be: they would say little
	// of now.
	longSpan = 10 * time.Second
	// cpusEvery is how often it is asked how many processors there are. A quota can change.
	cpusEvery = 10 * time.Second
)

// A memoryMeter is what is known of the memory that one more worker would take.
type memoryMeter struct {
	at      time.Time // of the last reading
	begun   time.Time // when it, or the next one, was begun
	reading bool
	workers int          // that were ready then
	each    int64        // bytes of each, on average; 0: not known
	system  capacity.Use // of all processes
}

// readWorkerMemory reads the memory of the workers in a goroutine of its own, if it is time for
// that: a process can have the kernel wait with the answer.
func (m *Master) readWorkerMemory() {
	s := &m.scale.memory
	if now := m.now(); s.reading || now.Sub(s.begun) < memoryEvery || m.scale.known.Busy < autoscale.AimBusy*m.scale.known.Capacity && len(m.scale.known.Loops) == 0 {
		return
	}
	s.begun, s.reading = m.now(), true
	var pids []int
	for _, w := range m.pool.workers {
		if w.ready && !w.leaving {
			pids = append(pids, w.pid)
		}
	}
	go func() {
		use := m.sys.memoryUse()
		var sum int64
		for _, pid := range pids {
			sum += m.sys.pss(pid)
		}
		m.post(func() {
			s.at, s.reading, s.system = m.now(), false, use
			s.workers, s.each = len(pids), sum/int64(max(1, len(pids)))
		})
	}()
}

// room returns how many more workers than target the memory has room for, if they are like those
// that there are; nil: that is not known. Those that were not ready when it was read count as
// if they took nothing then.
func (s *memoryMeter) room(now time.Time, target int) func() autoscale.Room {
	if s.each <= 0 || s.system.Limit <= 0 || now.Sub(s.at) > memoryKnown {
		return nil
	}
	free := int64(memoryShare*float64(s.system.Limit)) - s.system.Used
	return func() autoscale.Room {
		return autoscale.Room{
			Workers: max(0, s.workers+int(min(free/s.each, math.MaxInt32))-target),
			Why: fmt.Sprintf("memory: a worker takes %d MiB (PSS), and %d MiB of %d MiB are in use",
				s.each>>20, s.system.Used>>20, s.system.Limit>>20),
		}
	}
}

// A cpuMeter says how much of the processors the processes of the server use.
type cpuMeter struct {
	at    time.Time
	used  map[int]time.Duration // by pid
	share float64               // of what the server may use; 0: not known
	cpus  float64               // that it may use
	asked time.Time             // when that was asked for
}

// read returns the processors that each worker has used since the last time, by pid.
func (c *cpuMeter) read(m *Master, now time.Time) map[int]float64 {
	used, rates := map[int]time.Duration{}, map[int]float64{}
	passed := now.Sub(c.at)
	known := passed > 0 && passed < longSpan
	var total float64
	note := func(pid int) {
		used[pid] = m.sys.cpu(pid)
		before, ok := c.used[pid]
		if !ok || !known {
			return
		}
		rates[pid] = max(0, (used[pid]-before).Seconds()/passed.Seconds())
		total += rates[pid]
	}
	for _, w := range m.pool.workers {
		if w.pid != 0 {
			note(w.pid)
		}
	}
	if f := m.front.current; f != nil {
		note(f.proc.Pid())
	}
	c.at, c.used, c.share = now, used, 0
	if now.Sub(c.asked) >= cpusEvery {
		c.asked, c.cpus = now, m.sys.machine().CPUs
	}
	if known && c.cpus > 0 {
		c.share = total / c.cpus
	}
	return rates
}

// sizedRange returns cfg with the most workers that the machine is good for, and why, where cfg
// leaves that to it.
func sizedRange(cfg *settings.Config, machine capacity.Machine) (*settings.Config, string) {
	r, ok := cfg.WorkerRange()
	if !ok || !r.MostAuto {
		return cfg, ""
	}
	n, why := machine.Workers(isConcurrent(cfg))
	return cfg.WithMostWorkers(n), why
}
