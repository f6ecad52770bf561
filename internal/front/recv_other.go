//go:build !linux

package front

const recvFlags = 0
