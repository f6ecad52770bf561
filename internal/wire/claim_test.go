package wire

import (
	"strings"
	"testing"
)

func TestClaim(t *testing.T) {
	claim := make([]byte, ClaimSize)
	PutClaim(claim, 5, 0x0123456789abcdef)
	end := func(claim []byte) []byte {
		return AppendBytes(AppendInt(AppendTuple(nil, 2), int64(ReplyEnd)), claim)
	}
	var m Reply
	if _, err := DecodeReply(end(claim), &m); err != nil || !m.Claimed || m.ID != 5 || m.Token != 0x0123456789abcdef {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := DecodeReply(AppendInt(AppendInt(AppendTuple(nil, 2), int64(ReplyEnd)), 5), &m); err != nil || m.Claimed {
		t.Errorf("by its id: %+v, %v", m, err)
	}
	for text, bad := range map[string][]byte{
		"no claim":      claim[:15],
		"no request id": append(append([]byte{}, claim[:8]...), 0, 0, 0, 0, 0, 0, 0, 1),
	} {
		if _, err := DecodeReply(end(bad), &m); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%x: %v", bad, err)
		}
	}
	// As it stands on the scoreboard.
	b := newBoard(t, 2)
	copy(b.w.mem[8*(scoreboardFirst+scoreboardStride):], claim)
	if id, token := b.Claim(1); id != 5 || token != 0x0123456789abcdef || b.Claimed(1) != 5 {
		t.Errorf("claim of %d with %x", id, token)
	}
}
