package front

import (
	"encoding/json"
	"strings"
	"testing"

	"indrik/internal/status"
)

// A status fits a message to the master, whatever the server runs.
func TestEncodeStatus(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 100, 2000} {
		f := status.Front{Loads: map[int]status.Load{}}
		for age := range workers {
			f.Loads[age] = status.Load{Running: []status.Running{{Method: "GET", Path: strings.Repeat("\x01", 120), Client: "127.0.0.1"}}}
		}
		data := encodeStatus(f)
		if len(data) > maxStatus {
			t.Errorf("%d workers: %d bytes", workers, len(data))
		}
		var got status.Front
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		listed := 0
		for _, load := range got.Loads {
			listed += len(load.Running)
		}
		if listed+got.Unlisted != workers {
			t.Errorf("%d workers: %d requests are listed and %d not", workers, listed, got.Unlisted)
		}
	}
}
