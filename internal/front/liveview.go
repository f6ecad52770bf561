package front

import (
	"context"
	"os"
	"time"

	"indrik/internal/liveview"
	"indrik/internal/metrics"
	"indrik/internal/version"
)

// newView returns what shows the server in a browser, with the figures that the metrics have.
func (s *server) newView() *liveview.View {
	bounds := metrics.Bounds()
	return liveview.New(liveview.Source{
		Version: version.Version, Front: os.Getpid(),
		Status:  s.statusDocument,
		Actions: s.admin.takesCommands.Load,
		Counts: func() liveview.Counts {
			t := s.gatherer.Totals()
			queue, _, _ := s.queue.Status(time.Now())
			return liveview.Counts{
				Responses: t.Responses,
				Duration:  liveview.Histogram{Bounds: bounds, Counts: t.Duration},
				Wait:      liveview.Histogram{Bounds: bounds, Counts: t.Wait},
				Queue:     queue.Length, Running: max(t.InFlight-queue.Length, 0),
				Used: t.Used, Capacity: t.Capacity, Connections: s.connectionCount(),
			}
		},
	})
}

// connectionCount returns how many connections of clients there are.
func (s *server) connectionCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// beginView has the view take samples from now on, until this process ends. A reload that
// takes the admin address away does not end that.
func (s *server) beginView() {
	s.admin.watch.Do(func() { go s.admin.view.Run(context.Background()) })
}
