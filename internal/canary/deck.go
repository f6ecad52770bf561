package canary

import "math/rand/v2"

// A Deck deals a share exactly: of the first All draws, and of each All after these, Of are
// true, at random places. The zero Deck deals nothing.
type Deck struct {
	share   Share
	of, all int // that are left
	random  func(n int) int
}

// NewDeck returns a deck for a share. random returns a number from 0 to n−1; nil is one that
// nobody can foretell.
func NewDeck(s Share, random func(n int) int) *Deck {
	if random == nil {
		random = rand.IntN
	}
	return &Deck{share: s, random: random}
}

// Draw reports whether the next request is the new generation's.
func (d *Deck) Draw() bool {
	if d.all == 0 {
		d.of, d.all = d.share.Of, d.share.All
	}
	if d.all == 0 {
		return false
	}
	hit := d.random(d.all) < d.of
	d.all--
	if hit {
		d.of--
	}
	return hit
}
