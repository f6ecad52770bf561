//go:build linux

package test

import (
	"os"
	"testing"

	"indrik/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
