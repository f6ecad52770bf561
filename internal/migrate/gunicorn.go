package migrate

import (
	"errors"

	"indrik/internal/settings"
)

// gunicorn needs no rules: its options are Indrik's.
func gunicorn() *source {
	return indexed("gunicorn", func() source { return source{name: "Gunicorn"} })
}

// gunicornLine takes a command line of Gunicorn's, behind its name.
func (m *migration) gunicornLine(args []string) error {
	l, app, err := settings.ParseArgs(prog, args)
	var usage *settings.UsageError
	if errors.As(err, &usage) {
		return errors.New(usage.Text)
	} else if err != nil {
		return err
	}
	if file, ok := l.Values["config"].(string); ok {
		m.remark("config = "+file, "it is read unchanged: indrik --config "+file)
		delete(l.Values, "config")
	}
	m.layer.Add(&l)
	m.app = app
	return nil
}

// gunicornVariables takes GUNICORN_CMD_ARGS, which Indrik reads, too.
func (m *migration) gunicornVariables(pairs []string) error {
	lookup := func(name string) (string, bool) {
		for _, pair := range pairs {
			if value, ok := cutVariable(pair, name); ok {
				return value, true
			}
		}
		return "", false
	}
	l, err := settings.FromCmdArgs(prog, lookup)
	if err != nil {
		return err
	}
	l.Add(&m.layer) // the command line comes after it
	m.layer = l
	return nil
}
