package master

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// ticketPeriod is how long session tickets are encrypted with one key. It
	// bounds what can be decrypted with a key that becomes known.
	ticketPeriod = 12 * time.Hour
	// ticketLife is how long they can be decrypted with it.
	ticketLife = 3 * ticketPeriod
	// ticketRetry is how long a change of keys that must wait is put off.
	ticketRetry = time.Minute
)

// tickets are the keys of TLS session tickets, the newest first. They belong to
// the master, not to a generation or a front, and go to its successor: sessions
// are resumed whatever is reloaded, crashes or is upgraded.
type tickets struct {
	keys []ticketKey
}

type ticketKey struct {
	Key  [32]byte  `json:"key"`
	Made time.Time `json:"made"`
}

// secrets returns the keys as crypto/tls takes them. If there is none yet it makes one.
func (t *tickets) secrets(now time.Time) [][32]byte {
	if len(t.keys) == 0 {
		t.rotate(now)
	}
	keys := make([][32]byte, 0, len(t.keys))
	for _, k := range t.keys {
		keys = append(keys, k.Key)
	}
	return keys
}

// rotate makes a new key and forgets those that are too old.
func (t *tickets) rotate(now time.Time) {
	fresh := ticketKey{Made: now}
	rand.Read(fresh.Key[:]) // does not fail (crypto/rand)
	keys := []ticketKey{fresh}
	for _, k := range t.keys {
		if now.Sub(k.Made) < ticketLife {
			keys = append(keys, k)
		}
	}
	t.keys = keys
}

// due returns for how long the newest key may still be used to encrypt.
func (t *tickets) due(now time.Time) time.Duration {
	if len(t.keys) == 0 {
		return ticketPeriod // it will be made when it is needed
	}
	return max(0, t.keys[0].Made.Add(ticketPeriod).Sub(now))
}

// file returns a memory file with the keys, for a successor.
func (t *tickets) file(constant func(string, []byte) (*os.File, error)) (*os.File, error) {
	data, err := json.Marshal(t.keys)
	if err != nil {
		return nil, err
	}
	return constant("indrik-tickets", data)
}

// load reads the keys from a file that file has made.
func (t *tickets) load(f *os.File) error {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, fileSize(f)))
	if err != nil {
		return err
	}
	var keys []ticketKey
	if err := json.Unmarshal(data, &keys); err != nil {
		return fmt.Errorf("session ticket keys: %w", err)
	}
	t.keys = keys
	return nil
}

// rotateTickets changes the session ticket keys each ticketPeriod, from now on.
//
// With another master on the same sockets the keys stay, since each master must be able
// to resume sessions of the other.
func (m *Master) rotateTickets() {
	if m.tls.rotator != nil {
		m.tls.rotator.Stop()
	}
	if m.gen.certs == nil || m.state == draining || m.state == quitting {
		return
	}
	now := m.now()
	wait := m.tls.tickets.due(now)
	if wait == 0 && m.upgrader.shared() {
		wait = ticketRetry
	} else if wait == 0 {
		m.tls.tickets.rotate(now)
		for _, g := range []*generation{m.gen, m.candidateGeneration()} {
			if g != nil && g.certs != nil && g.announced {
				m.sendSecrets(g)
			}
		}
		m.log.Debugf("New session ticket key")
		wait = ticketPeriod
	}
	m.tls.rotator = m.after(wait, m.rotateTickets)
}
