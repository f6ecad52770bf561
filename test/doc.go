// Package test starts the real binary and looks at it as an operator and as a
// client do: log lines, exit codes, processes, sockets, files, and every byte
// of every response.
//
// Each test has a server of its own, in a directory of its own, on a port of
// its own. At its end the server must have left nothing behind: no process, no
// socket, no pid file, no temporary file; package harness checks that, and
// prints the log of a server whose test failed. Tests wait for events (a line
// of the log, a response, the end of a process), never for time to pass. What
// an app does between two events is governed by gates, named pipes that it
// opens and the test releases; see apps/gate.py.
//
// Environment:
//
//	INDRIK_TEST_SERVER  the command to test instead of the binary built from this tree
//	INDRIK_TEST_RACE=0  build without the race detector
//	INDRIK_TEST_H2SPEC  the program h2spec; make blackbox builds it
//	INDRIK_TEST_ALL=1   what needs the environment of make venv-all, or programs of the system
//	INDRIK_TEST_DIST    a directory with what make dist has made
//	INDRIK_TEST_CHAOS   a duration: TestChaos takes so long for each kind of worker
//	INDRIK_TEST_SEED    a number from the log of TestChaos: the same choices again
//	GOCOVERDIR          where servers write which statements they have run; make cover sets it
//	INDRIK_TEST_SELFCARE=1m  TestSelfCareSoak, for so long; with INDRIK_TEST_LONG ten minutes
//	INDRIK_TEST_LONG=1  what takes long: crash loops of a full minute, large uploads, long waits
package test
