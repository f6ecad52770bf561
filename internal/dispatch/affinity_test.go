package dispatch

import (
	"net/netip"
	"testing"
)

func TestHomesAreBounded(t *testing.T) {
	var h homes
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	h.set(addr(0), 1)
	for i := 1; i < maxHomes+100; i++ {
		h.set(addr(i), 2)
		if i%1000 == 0 && h.get(addr(0)) != 1 {
			t.Fatal("an address that comes again and again was forgotten")
		}
	}
	if len(h.byAddr) != maxHomes || h.order.Len() != maxHomes || h.get(addr(1)) != 0 || h.get(addr(maxHomes)) != 2 {
		t.Errorf("%d, %d are remembered", len(h.byAddr), h.order.Len())
	}
}
