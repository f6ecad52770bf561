package front

import (
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"

	"indrik/internal/errlog"
	"indrik/internal/oslayer"
	"indrik/internal/wire"
)

// Main runs a front, and returns the exit code of the process. It takes over the master's
// control socket, and the file to which the stacks of all goroutines are written when the
// master asks.
func Main(control, dump *os.File) int {
	// The master commands this process, and answers the signals that a terminal or a
	// service manager sends to every process of the service.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU,
		syscall.SIGXFSZ) // what RLIMIT_FSIZE forbids is an error then
	// The workers need processors, too. With more threads than half the processors, most
	// would only wake up, find no work to steal and go back to sleep.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}

	// This process has the TLS keys. Some systems cannot keep others from reading them.
	_ = oslayer.Conceal()
	syscall.CloseOnExec(int(dump.Fd()))
	go writeStacks(dump)

	number, _ := strconv.Atoi(os.Getenv(wire.EnvFront))
	conn, err := wire.NewConn(control)
	if err != nil {
		return 1
	}
	oslayer.SetTitle(os.Args[0])
	s := newServer(errlog.New(os.Stderr), number, func(m wire.FromFront) { conn.Send(m) })
	s.collector.Store(newCollector(os.Getenv))
	s.sendMaster(wire.FromFront{Type: wire.TypeReady})
	s.obey(conn)
	s.accessLog.file.finish()
	s.sinks.Close()
	s.stopTelemetry()
	conn.Flush()
	return 0
}

// writeStacks writes the stacks of all goroutines to a file whenever the master asks for
// them. Equal stacks are written once, with their number: there are as many goroutines as
// connections.
func writeStacks(dump *os.File) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, oslayer.SignalDump)
	for range asked {
		_ = pprof.Lookup("goroutine").WriteTo(dump, 1)
	}
}
