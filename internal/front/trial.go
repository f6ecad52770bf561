package front

import (
	"fmt"

	"indrik/internal/canary"
	"indrik/internal/wire"
)

// tryGeneration begins or ends the trial of a new generation, as the master says.
func (s *server) tryGeneration(m wire.ToFront) error {
	share := canary.Share{Of: m.Share[0], All: m.Share[1]}
	if m.Handover { // it is another server that is tried
		s.share.set(share)
		s.queue.BeginTrial(0, canary.Share{})
		return nil
	}
	if m.Generation == 0 {
		s.share.set(canary.Share{})
		if cfg, ok := s.queue.EndTrial(m.Passed).(*config); ok {
			s.setConfig(cfg)
		}
		s.pools.Serves(s.queue.Served())
		return nil
	}
	if !share.Valid() {
		return fmt.Errorf("the share of generation %d is %d of %d", m.Generation, share.Of, share.All)
	}
	s.queue.BeginTrial(m.Generation, share)
	return nil
}
