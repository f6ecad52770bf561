package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"indrik/internal/control"
	"indrik/internal/exitcode"
	"indrik/internal/oslayer"
	"indrik/internal/settings"
	"indrik/internal/status"
)

// A subcommand is a command to a running server, over its control socket.
type subcommand struct {
	settings.Subcommand
	run func(ctx context.Context, c *call) error
}

// runs are what the sub-commands do, except for those that need no control socket.
var runs = map[string]func(ctx context.Context, c *call) error{
	"status": showStatus, "top": showTop, "reload": reload, "refork": refork, "reopen": reopen, "scale": scale, "worker": killWorker,
	"trace": trace, "upgrade": upgrade, "drain": drain, "rollback": rollback, "stop": stop,
}

// subcommandOf returns the sub-command that a command line begins with, nil if it begins with
// none. Its first argument alone decides, and only the bare word: status:app is an app.
func subcommandOf(argv []string) *subcommand {
	if len(argv) < 2 {
		return nil
	}
	for _, s := range settings.Subcommands {
		if run := runs[s.Name]; run != nil && s.Name == argv[1] {
			return &subcommand{s, run}
		}
	}
	return nil
}

// A call is a sub-command that is carried out.
type call struct {
	*subcommand
	args     []string
	json     bool
	quick    bool
	canary   bool
	slow     float64       // seconds; below 0: not given
	interval time.Duration // of top
	server   server
	client   *control.Client
	environ  []string
	stdout   io.Writer
}

// errUsage reports a command line that the message before it has explained.
var errUsage = errors.New("usage")

// command carries out a sub-command and returns the exit code: 0 only if it is done.
func (s *subcommand) command(args, environ []string, stdout, stderr io.Writer) int {
	err := s.tryCommand(args, environ, stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitcode.OK
	case errors.Is(err, errUsage):
		return exitcode.Usage
	}
	fmt.Fprintf(stderr, "indrik %s: %s\n", s.Name, status.Printable(err.Error()))
	if _, statErr := os.Stat(s.Name + ".py"); statErr == nil {
		fmt.Fprintf(stderr, "To serve the app in %s.py, name it: indrik %s:app\n", s.Name, s.Name)
	}
	return exitcode.Config
}

func (s *subcommand) tryCommand(args, environ []string, stdout, stderr io.Writer) error {
	c := &call{subcommand: s, stdout: stdout, environ: environ, slow: -1}
	flags := flag.NewFlagSet("indrik "+s.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "Usage: indrik %s\n%s%s\n\n", strings.TrimSpace(s.Name+" "+s.Args+" [OPTIONS]"), strings.ToUpper(s.Doc[:1]), s.Doc[1:])
		flags.PrintDefaults()
	}
	var timeout time.Duration
	flags.StringVar(&c.server.socket, "s", "", "the control `socket` of the server (default $INDRIK_CONTROL_SOCKET)")
	flags.StringVar(&c.server.pidfile, "p", "", "the `file` with the pid of the server, instead of its socket")
	if s.Name == "top" {
		flags.DurationVar(&c.interval, "interval", time.Second, "how often to look, from 100ms on")
	} else {
		flags.DurationVar(&timeout, "timeout", 0, "how long to wait at most, such as 90s (default: as long as it takes)")
	}
	if s.Name == "status" || s.Name == "trace" {
		flags.BoolVar(&c.json, "json", false, "print JSON")
	}
	if s.Name == "trace" {
		flags.Func("slow", "only of requests that have run for so many `seconds`", c.setSlow)
	}
	if s.Name == "reload" {
		flags.BoolVar(&c.canary, "canary", false, "try the new workers on a share of the requests first, such as 5% for 60s (default: the setting canary)")
	}
	if s.Name == "stop" {
		flags.BoolVar(&c.quick, "quick", false, "do not finish the requests that run")
	}
	// Options may come after the arguments, too.
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return errUsage
		}
		if flags.NArg() == 0 {
			break
		}
		c.args = append(c.args, flags.Arg(0))
		rest = flags.Args()[1:]
	}
	ctx := context.Background()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	err := c.server.complete(lookupIn(environ))
	if err == nil {
		c.client, err = c.server.dial(ctx, false)
	}
	if err != nil {
		return err
	}
	defer c.client.Close()
	err = s.run(ctx, c)
	switch {
	case errors.Is(err, errUsage):
		flags.Usage()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("not done after %s; the server goes on with it", timeout)
	}
	return told(err)
}

// told says what the end of a connection means.
func told(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the server has ended meanwhile")
	}
	return err
}

// arguments returns an error unless there are as many as the sub-command takes.
func (c *call) arguments(n int) error {
	if len(c.args) != n {
		return errUsage
	}
	return nil
}

func showStatus(ctx context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(ctx, "status")
	}
	var s status.Status
	if err := c.client.Call(ctx, &s, "status"); err != nil {
		return err
	}
	return s.WriteText(c.stdout)
}

// printJSON prints the answer to a command as it is, with what could move a terminal escaped.
func (c *call) printJSON(ctx context.Context, words ...string) error {
	var data json.RawMessage
	if err := c.client.Call(ctx, &data, words...); err != nil {
		return err
	}
	indented, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(append(status.PrintableJSON(indented), '\n'))
	return err
}

func (c *call) setSlow(text string) error {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0) {
		return errors.New("it is not a number of seconds")
	}
	c.slow = seconds
	return nil
}

// trace prints the stacks of one worker, of all, or of those with slow requests.
func trace(ctx context.Context, c *call) error {
	words := append([]string{"trace"}, c.args...)
	switch {
	case len(c.args) > 1, c.slow >= 0 && len(c.args) > 0:
		return errUsage
	case c.slow >= 0:
		words = append(words, "slow", strconv.FormatFloat(c.slow, 'f', -1, 64))
	}
	if c.json {
		return c.printJSON(ctx, words...)
	}
	var answer struct{ Workers []status.Trace }
	if err := c.client.Call(ctx, &answer, words...); err != nil {
		return err
	}
	if len(answer.Workers) == 0 {
		_, err := fmt.Fprintln(c.stdout, "no worker runs such a request")
		return err
	}
	for _, t := range answer.Workers {
		if err := t.WriteText(c.stdout); err != nil {
			return err
		}
	}
	return nil
}

// done carries out a command that has no argument and prints what came of it.
func (c *call) done(ctx context.Context, text func(map[string]any) string, words ...string) error {
	data := map[string]any{}
	if err := c.client.Call(ctx, &data, words...); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.stdout, status.PrintableLine(text(data)))
	return err
}

func reload(ctx context.Context, c *call) error {
	words := []string{"reload", "and", "wait"}
	switch {
	case !c.canary:
		if err := c.arguments(0); err != nil {
			return err
		}
	default:
		words = append(append(words, "canary"), c.args...)
	}
	return c.done(ctx, func(d map[string]any) string {
		text := fmt.Sprintf("reloaded in %.1f s: generation %v serves, with %v workers", d["seconds"], d["generation"], d["workers"])
		if verdict, _ := d["canary"].(string); verdict != "" {
			text += ". " + verdict
		}
		return text
	}, words...)
}

func refork(ctx context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	return c.done(ctx, func(d map[string]any) string {
		return fmt.Sprintf("reforked in %.1f s: worker %v is the template of %v workers", d["seconds"], d["template"], d["workers"])
	}, "refork", "and", "wait")
}

func reopen(ctx context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	return c.done(ctx, func(map[string]any) string { return "reopened" }, "reopen")
}

func scale(ctx context.Context, c *call) error {
	if err := c.arguments(1); err != nil {
		return err
	}
	return c.done(ctx, func(d map[string]any) string { return fmt.Sprintf("%v workers serve", d["workers"]) }, "scale", "and", "wait", c.args[0])
}

func killWorker(ctx context.Context, c *call) error {
	if len(c.args) != 2 || c.args[0] != "kill" {
		return errUsage
	}
	return c.done(ctx, func(d map[string]any) string { return fmt.Sprintf("worker %v has ended", d["killed"]) },
		"worker", "kill", "and", "wait", c.args[1])
}

func upgrade(ctx context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	return c.done(ctx, func(d map[string]any) string {
		return fmt.Sprintf("the new server serves beside this one (pid %v). Next: drain and stop this one, or rollback", d["successor"])
	}, "upgrade", "and", "wait")
}

func drain(ctx context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	return c.done(ctx, func(map[string]any) string { return "the workers have left" }, "drain", "and", "wait")
}

func rollback(ctx context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	return c.done(ctx, func(d map[string]any) string { return fmt.Sprintf("rolled back: %v workers serve", d["workers"]) },
		"rollback", "and", "wait")
}

func stop(ctx context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	var stats struct{ PID int }
	if err := c.client.Call(ctx, &stats, "show", "stats"); err != nil {
		return err
	}
	mode := "graceful"
	if c.quick {
		mode = "quick"
	}
	if err := c.client.Call(ctx, nil, "shutdown", mode); err != nil {
		return err
	}
	if err := oslayer.AwaitEnd(ctx, stats.PID); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.stdout, "stopped")
	return err
}
