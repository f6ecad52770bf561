package settings_test

import (
	"fmt"

	"indrik/internal/settings"
)

// The higher layer wins, and a Config knows where each value comes from.
func Example() {
	file := settings.FromFile("gunicorn.conf.py", map[string]any{"workers": 4.0, "timeout": 60.0}, map[string]int{"timeout": 2})
	args, app, err := settings.ParseArgs("indrik", []string{"-w8", "test:app"})
	if err != nil {
		fmt.Print(settings.Report(err))
		return
	}
	c, err := settings.Resolve(app, file, args)
	if err != nil {
		fmt.Print(settings.Report(err))
		return
	}
	for _, name := range []string{"workers", "timeout", "threads"} {
		fmt.Println(name, c.Print(name), "from", c.Source(name))
	}
	// Output:
	// workers 8 from command line
	// timeout 60 from gunicorn.conf.py, line 2
	// threads 1 from default
}
