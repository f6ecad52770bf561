//go:build !linux

package main

import (
	"errors"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func adoptOrphans() error {
	return errors.New("this system has neither epoll nor Linux's /proc: the bench needs both")
}
