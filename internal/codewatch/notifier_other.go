//go:build !linux

package codewatch

import "errors"

type notifier struct{}

func newNotifier(func()) (*notifier, error) { return nil, errors.New("this system has no inotify") }

func (n *notifier) watch(map[string]bool) error { return nil }
func (n *notifier) close()                      {}
