//go:build !linux

package oslayer

func limitedProcesses() string { return "" }
