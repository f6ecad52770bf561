//go:build !linux

package front

import "golang.org/x/sys/unix"

const sndbufForce = unix.SO_SNDBUF
