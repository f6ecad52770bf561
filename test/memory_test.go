//go:build linux

package test

import (
	"bytes"
	"compress/flate"
	"testing"
	"time"

	"indrik/test/harness"
)

// Clients that make the server hold more than it may are closed, the log says who, and
// the memory comes back.
func TestMemoryOfClients(t *testing.T) {
	t.Parallel()
	const message, clients, limit = 4 << 20, 20, 16 << 20
	s := harness.Start(t, sockets("--limit-memory", "16777216"))
	front := s.Role("front")[0].PID
	before := harness.ResidentKiB(front)
	var payload bytes.Buffer
	deflate, err := flate.NewWriter(&payload, flate.NoCompression)
	harness.Must(t, err)
	_, err = deflate.Write(make([]byte, message))
	harness.Must(t, err)
	harness.Must(t, deflate.Flush())
	// A compressed message whose end does not come.
	frame := append([]byte{0xc2, 0xff, 0, 0, 0, 0, 0, 0xf0, 0, 0, 0, 0, 0, 0}, payload.Bytes()...)
	var all []*harness.WebSocket
	for range clients {
		ws := s.WebSocket("/echo", "Sec-WebSocket-Extensions: permessage-deflate")
		all = append(all, ws)
		ws.SetDeadline(time.Now().Add(5 * time.Second))
		ws.Write(frame) // it may be cut off meanwhile
	}
	s.Log.Expect(t, `\[WARNING\] Closing a connection of ip=127\.0\.0\.1, for which \d+ KiB are held: clients hold \d+ KiB, more than limit_memory allows`)
	s.Get("/sent")
	most := harness.ResidentKiB(front)
	t.Logf("%d KiB before, %d while they were there", before, most)
	if grown := most - before; !harness.RaceWanted() && grown > 6*limit>>10 {
		t.Errorf("the front has grown by %d KiB", grown)
	}
	for _, ws := range all {
		ws.Close()
	}
	if !harness.RaceWanted() {
		harness.Eventually(t, "the memory comes back", func() bool { return harness.ResidentKiB(front) < before+20<<10 })
	}
	s.Terminate()
}
