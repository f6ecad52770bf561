package oslayer

import (
	"slices"
	"testing"
)

func TestGroups(t *testing.T) {
	if got := Groups("no-such-user", 5); !slices.Equal(got, []uint32{5}) {
		t.Errorf("unknown user: %v", got)
	}
	got := Groups("root", 5)
	if got[0] != 5 || slices.Contains(got[1:], 5) {
		t.Errorf("root: %v", got)
	}
}
