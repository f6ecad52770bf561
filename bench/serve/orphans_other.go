//go:build !linux

package serve

import (
	"errors"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func AdoptOrphans() error {
	return errors.New("this system has neither epoll nor Linux's /proc: the bench needs both")
}
