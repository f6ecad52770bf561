package listen

import "golang.org/x/sys/unix"

func socket(domain int) (int, error) {
	return unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// replace makes to a close-on-exec duplicate of from.
func replace(from, to int) error { return unix.Dup3(from, to, unix.O_CLOEXEC) }
