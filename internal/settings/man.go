package settings

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"indrik/internal/exitcode"
)

// ManCommand returns the page indrik(1) in the format of man(7), with the options by
// section. date is that of the release.
func ManCommand(version string, date time.Time) string {
	var b strings.Builder
	manHead(&b, "INDRIK", 1, version, date)
	b.WriteString(`.SH NAME
indrik \- application server for Python, WSGI and ASGI
.SH SYNOPSIS
.B indrik
[\fIOPTIONS\fR]
[\fIMODULE\fR[:\fIAPP\fR]]
.SH DESCRIPTION
.B indrik
imports the Python module
.I MODULE
and serves the app that it has under the name
.IR APP ,
over HTTP/1, HTTP/2 and WebSocket. It takes the options, the config file, the hooks and the signals of
.BR gunicorn .
.PP
Settings come from a config file
.RB ( indrik.conf.py (5)),
from environment variables such as
.B INDRIK_WORKERS
and from the options below, each of which goes before the ones named earlier.
.SH OPTIONS
`)
	for _, s := range []*Setting{optHelp, optVersion, optCompletion} {
		manOption(&b, s, s.Doc)
	}
	section := ""
	for i := range Table {
		s := &Table[i]
		if !s.HasFlag() || s.Effect != Works {
			continue
		}
		if s.Section != section {
			section = s.Section
			fmt.Fprintf(&b, ".SS %s\n", section)
		}
		manOption(&b, s, s.Doc+" Default: "+s.manDefault()+".")
	}
	b.WriteString(`.SH COMMANDS
These speak with a server that runs, over its control socket: the one of
.BR \-s ,
or of the process in the pid file of
.BR \-p ,
or
.BR INDRIK_CONTROL_SOCKET .
Each waits until it is done, and exits with 0 only then.
`)
	for _, c := range Subcommands {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", strings.TrimSpace("indrik "+c.Name+" "+strings.ReplaceAll(c.Args, "-", `\-`)), strings.ReplaceAll(c.Doc, "-", `\-`))
	}
	b.WriteString(`.SH SIGNALS
.TP
.BR TERM
graceful shutdown
.TP
.BR INT ", " QUIT
quick shutdown
.TP
.B HUP
reload the configuration and the app
.TP
.BR TTIN ", " TTOU
one worker more, one fewer
.TP
.B USR1
open the log files anew
.TP
.B USR2
upgrade: start the new binary beside the old one
.TP
.B WINCH
end the workers and keep the master, the second step of an upgrade
.SH EXIT STATUS
`)
	for _, c := range []struct {
		code int
		text string
	}{
		{exitcode.OK, "a normal stop"},
		{exitcode.Config, "a setting, the config file, the pid file or an address is no good, or no Python was found"},
		{exitcode.Usage, "the command line could not be understood"},
		{exitcode.WorkerBoot, "a worker ended before it could serve"},
		{exitcode.AppLoad, "the module was imported, and has no such app"},
		{exitcode.Internal, "an error that was not expected"},
	} {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", c.code, c.text)
	}
	b.WriteString(`.SH ENVIRONMENT
.TP
.B INDRIK_PYTHON
the interpreter of the app
.TP
.B INDRIK_CMD_ARGS
more options, quoted as for a shell
.TP
.BI INDRIK_ SETTING
the value of a setting
.SH SEE ALSO
.BR indrik.conf.py (5)
`)
	return b.String()
}

// ManConfig returns the page indrik.conf.py(5): every setting and hook.
func ManConfig(version string, date time.Time) string {
	var b strings.Builder
	manHead(&b, "INDRIK.CONF.PY", 5, version, date)
	b.WriteString(`.SH NAME
indrik.conf.py \- config file of indrik
.SH DESCRIPTION
A Python program. Each variable whose name is a setting is its value, and each function whose name is a hook is that
hook. It is looked for in the directory in which
.BR indrik (1)
is started, unless the option
.B \-\-config
names another, and read again on a reload.
.SH EXAMPLE
.nf
bind = "127.0.0.1:8000"
workers = 4
wsgi_app = "app:app"

def post_fork(server, worker):
    server.log.info("worker %s", worker.pid)
.fi
`)
	section := ""
	for i := range Table {
		s := &Table[i]
		if s.Effect != Works {
			continue
		}
		if s.Section != section {
			section = s.Section
			fmt.Fprintf(&b, ".SH %s\n", strings.ToUpper(section))
		}
		if s.Kind == KindHook {
			fmt.Fprintf(&b, ".TP\n.B def %s(%s):\n%s\n", roff(s.Name), roff(s.Args), roff(s.Doc))
			continue
		}
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\nValue: %s. Default: %s.\n", roff(s.Name), roff(s.Doc), roff(s.values()), roff(s.manDefault()))
	}
	b.WriteString(".SH SEE ALSO\n.BR indrik (1)\n")
	return b.String()
}

func manHead(b *strings.Builder, name string, section int, version string, date time.Time) {
	fmt.Fprintf(b, ".\\\" Made from the table of settings by gendocs.\n.TH %s %d %s \"indrik %s\" \"Indrik\"\n",
		name, section, date.UTC().Format(time.DateOnly), version)
}

func manOption(b *strings.Builder, s *Setting, text string) {
	flags := make([]string, len(s.Flags))
	for i, flag := range s.Flags {
		flags[i] = "\\fB" + roff(flag) + "\\fR"
	}
	fmt.Fprintf(b, ".TP\n%s", strings.Join(flags, ", "))
	if s.Metavar != "" {
		fmt.Fprintf(b, " \\fI%s\\fR", roff(s.Metavar))
	}
	fmt.Fprintf(b, "\n%s\n", roff(text))
}

func (s *Setting) manDefault() string {
	if text := strings.TrimSuffix(s.defaultText(), "."); text != "" {
		return text
	}
	return "empty"
}

var (
	markdownLink = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
	markdownCode = regexp.MustCompile("`([^`]*)`")
)

// roff returns Markdown text as the text of a man page (groff_char(7)): code in bold,
// links by their words, and with nothing at the beginning of a line that would be a
// request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	text = markdownLink.ReplaceAllString(text, "$1")
	text = markdownCode.ReplaceAllString(text, `\fB$1\fR`)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
