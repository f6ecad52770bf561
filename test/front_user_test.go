//go:build linux

package test

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestGroupsOfTheFront: a front of another user has none of the groups of whoever started the
// server; with initgroups it has those of its user.
func TestGroupsOfTheFront(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to start processes of other users")
	}
	u, err := user.Lookup("daemon")
	if err != nil {
		t.Skip(err)
	}
	own, err := u.GroupIds()
	harness.Must(t, err)
	gid, err := strconv.Atoi(u.Gid)
	harness.Must(t, err)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, nil},
		{[]string{"--initgroups"}, own},
	} {
		s := harness.Start(t, harness.Options{Python: harness.SystemPython(), Args: append(c.args, "--user", "nobody", "--group", "nogroup", "--front-user", "daemon")})
		front := s.Role("front")[0].PID
		got := strings.Fields(harness.ProcStatus(front, "Groups"))
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: the front has the groups %q, want %q", c.args, got, c.want)
		}
		if all := harness.ProcStatus(front, "Gid"); all != fmt.Sprintf("%[1]d\t%[1]d\t%[1]d\t%[1]d", gid) {
			t.Errorf("%q: the front has the group %s", c.args, all)
		}
		s.Get("/")
		s.Terminate()
	}
}
