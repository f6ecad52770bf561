package oslayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestLimit(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EMFILE: "RLIMIT_NOFILE",
		syscall.ENFILE: "fs.file-max",
		syscall.EFBIG:  "RLIMIT_FSIZE",
		syscall.ENOMEM: "memory",
		syscall.ENOSPC: "space",
		&fs.PathError{Op: "fork/exec", Path: "python", Err: syscall.EAGAIN}:       "RLIMIT_NPROC",
		fmt.Errorf("make a socket: %w", os.NewSyscallError("x", syscall.ENOBUFS)): "sockets",
	} {
		if got := Limit(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %s", err, got, want)
		}
	}
	for _, err := range []error{nil, syscall.ENOENT, errors.New("too many"), os.ErrPermission} {
		if got := Limit(err); got != "" {
			t.Errorf("%v: %q", err, got)
		}
	}
}
