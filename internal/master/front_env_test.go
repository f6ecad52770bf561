package master

import (
	"testing"

	"indrik/internal/settings"
	"indrik/internal/wire"
)

// What the processes tell each other by the environment is no setting.
func TestEnvironmentIsReserved(t *testing.T) {
	for _, name := range []string{
		envPid, envFD, envOrigin, envLink, envUpgrade, envPeer, envTickets, envTrial, envDaemon, wire.EnvRole, wire.EnvFront,
	} {
		if !settings.Reserved(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
}
