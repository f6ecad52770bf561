package top

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
)

// Options are what [Run] needs.
type Options struct {
	Server   Server
	Interval time.Duration // between two questions for the status
	In, Out  *os.File      // the terminal
	Environ  []string
}

// ErrNoTerminal is the error of [Run] where there is no terminal that it can use.
var ErrNoTerminal = errors.New("`indrik status` shows the same once")

// frames is how often the screen is drawn in a second, if it changes. A terminal at the other
// end of a slow line must keep up.
const frames = 20

// restoreTimeout is how long the screen may take to be given back after a signal: a terminal
// that has stopped reading may take for ever.
const restoreTimeout = time.Second

// Run shows a server until the operator quits. A signal that ends the program does so once the
// terminal is as it was.
func Run(o Options) error {
	if err := usable(o); err != nil {
		return err
	}
	before, err := term.GetState(o.In.Fd())
	if err != nil {
		return fmt.Errorf("ask the terminal for its state: %w", err)
	}
	program := tea.NewProgram(NewModel(o.Server, o.Interval), tea.WithInput(o.In), tea.WithOutput(o.Out),
		tea.WithEnvironment(o.Environ), tea.WithFPS(frames), tea.WithoutSignalHandler())

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, ending()...)
	defer signal.Stop(signals)
	ended, done := make(chan os.Signal, 1), make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-done:
		case s := <-signals:
			ended <- s
			go program.Quit()
			time.Sleep(restoreTimeout)
			_ = term.Restore(o.In.Fd(), before)
			raise(s)
		}
	}()
	_, err = program.Run()
	_ = term.Restore(o.In.Fd(), before)
	select {
	case s := <-ended:
		raise(s)
	default:
	}
	return err
}

// ending returns the signals that end the program: none that it was started to ignore, as nohup
// has it ignore HUP.
func ending() []os.Signal {
	all := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
	return slices.DeleteFunc(all, signal.Ignored)
}

// usable returns why there is no terminal to show anything in.
func usable(o Options) error {
	name := ""
	for _, pair := range o.Environ {
		if value, ok := strings.CutPrefix(pair, "TERM="); ok {
			name = value
		}
	}
	switch {
	case !term.IsTerminal(o.Out.Fd()):
		return fmt.Errorf("the standard output is no terminal: %w", ErrNoTerminal)
	case !term.IsTerminal(o.In.Fd()):
		return fmt.Errorf("the standard input is no terminal: %w", ErrNoTerminal)
	case name == "" || name == "dumb":
		return fmt.Errorf("a terminal of the kind %q (TERM) cannot place text: %w", name, ErrNoTerminal)
	}
	return nil
}

// raise lets a signal end the program as if it had not been caught.
func raise(s os.Signal) {
	signal.Reset(s)
	_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
	select {}
}
