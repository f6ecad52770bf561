package cli

import (
	"testing"

	"indrik/internal/settings"
)

// Every sub-command that the help lists is there, and no other.
func TestSubcommandsAreThere(t *testing.T) {
	listed := map[string]bool{}
	for _, s := range settings.Subcommands {
		listed[s.Name] = true
		if withoutServer[s.Name] == nil && runs[s.Name] == nil {
			t.Errorf("%s does nothing", s.Name)
		}
	}
	for name := range runs {
		if !listed[name] {
			t.Errorf("the help does not list %s", name)
		}
	}
	for _, test := range []struct {
		argv []string
		is   string
	}{
		{[]string{"indrik"}, ""}, {nil, ""}, {[]string{"indrik", "status"}, "status"}, {[]string{"indrik", "status:app"}, ""},
		{[]string{"indrik", "-w", "status"}, ""}, {[]string{"indrik", "stop", "--quick"}, "stop"}, {[]string{"indrik", "app"}, ""},
	} {
		s := subcommandOf(test.argv)
		if (s == nil) != (test.is == "") || s != nil && s.Name != test.is {
			t.Errorf("%q: %+v, not %q", test.argv, s, test.is)
		}
	}
}
