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

// Main is the whole life of a front. It returns the exit code of the process.
// The master's control socket is taken over, and the file into which the stacks of all
// goroutines are written when the master asks.
func Main(control, dump *os.File) int {
	// The master commands this process. What a terminal or a service manager
	// sends to every process of the service is for the master to answer.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU,
		syscall.SIGXFSZ) // what RLIMIT_FSIZE forbids is an error then
	// The workers need processors, too. Were there more threads here than half of
	// them, most would but wake, find nothing to steal from each other, and sleep.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}

	// It has the TLS keys. Where this system cannot keep others from them, so it is.
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
	s.accessLog.file.close()
	s.outlets.Close()
	conn.Flush()
	return 0
}

// writeStacks writes the stacks of all goroutines to a file whenever the master asks for
// them: equal ones once, with their number, since there are as many as connections.
func writeStacks(dump *os.File) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, oslayer.SignalDump)
	for range asked {
		_ = pprof.Lookup("goroutine").WriteTo(dump, 1)
	}
}
