//go:build !linux

package oslayer

func titles() {}
