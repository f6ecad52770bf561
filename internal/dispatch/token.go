package dispatch

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"indrik/internal/wire"
)

// A tokenMaker makes the tokens of requests: 64 bits that nobody can guess, and that stand
// in the message of the request alone. All workers of a generation may read the queue and
// know which ids are in use, so an id proves nothing; who knows the token has had the
// message.
//
// The token is the number of the request, encrypted by a key that this process alone has.
// So it costs no more than random bits would, and that of a request which is long over can
// still be told from one that was never given to anybody.
type tokenMaker struct {
	block cipher.Block
	b     [aes.BlockSize]byte // scratch
}

func newTokenMaker() *tokenMaker {
	key := make([]byte, 16)
	rand.Read(key) // never fails: see its documentation
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the size of the key is one of AES
	}
	return &tokenMaker{block: block}
}

// of is the token of the request with a number.
func (t *tokenMaker) of(number uint64) uint64 {
	binary.NativeEndian.PutUint64(t.b[:], number)
	binary.NativeEndian.PutUint64(t.b[8:], 0)
	t.block.Encrypt(t.b[:], t.b[:])
	return binary.NativeEndian.Uint64(t.b[:])
}

// tokenOfLocked returns the token of the last request that was given the id.
// +checklocks:q.mu
func (q *Queue) tokenOfLocked(id uint32) uint64 {
	round := q.round
	if id&idMask > q.lastID {
		round--
	}
	return q.tokens.of(round<<wire.IDBits | uint64(id&idMask))
}
