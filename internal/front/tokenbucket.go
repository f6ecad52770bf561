package front

import "time"

// A tokenBucket bounds how often something may happen: burst times at once, and rate
// times a second after that.
type tokenBucket struct {
	burst, rate int64
	spent       int64
	refilled    int64 // as [now] has it, of the last whole token that was given back
}

// refill gives back what has grown since the last call.
func (b *tokenBucket) refill(t int64) {
	step := int64(time.Second) / b.rate
	if n := (t - b.refilled) / step; n > 0 {
		b.refilled += n * step
		b.refund(n)
	}
}

// take takes one token, and reports whether there was one.
func (b *tokenBucket) take(t int64) bool {
	b.refill(t)
	b.spent++
	return b.spent <= b.burst
}

// refund gives n tokens back.
func (b *tokenBucket) refund(n int64) { b.spent = max(0, b.spent-n) }

// spend takes n tokens, also where there are fewer, and returns how long it takes until
// the missing ones have grown again.
func (b *tokenBucket) spend(t int64, n int) time.Duration {
	b.refill(t)
	b.spent += int64(n)
	return time.Duration(max(0, b.spent-b.burst)) * time.Second / time.Duration(b.rate)
}
