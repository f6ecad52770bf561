package front

import (
	"fmt"

	"indrik/internal/canary"
	"indrik/internal/wire"
)

// tryGeneration begins or ends the trial of a new generation, as the master says.
func (s *server) tryGeneration(m wire.ToFront) error {
	if m.Generation == 0 {
		if cfg, ok := s.queue.EndTrial(m.Passed).(*config); ok {
			s.setConfig(cfg)
		}
		return nil
	}
	share := canary.Share{Of: m.Share[0], All: m.Share[1]}
	if !share.Valid() {
		return fmt.Errorf("the share of generation %d is %d of %d", m.Generation, share.Of, share.All)
	}
	s.queue.BeginTrial(m.Generation, share)
	return nil
}
