package oslayer

import (
	"os"
	"slices"
	"testing"
)

func TestLookupUser(t *testing.T) {
	for _, c := range []struct {
		in   string
		uid  int
		name string
	}{
		{"root", 0, "root"}, {"0", 0, "root"}, {"3999999999", 3999999999, ""}, {"daemon", 1, "daemon"},
	} {
		uid, name, err := LookupUser(c.in)
		if err != nil || uid != c.uid || name != c.name {
			t.Errorf("%s: %d %s %v", c.in, uid, name, err)
		}
	}
	if uid, _, err := LookupUser(""); err != nil || uid != os.Geteuid() {
		t.Errorf("own user: %d %v", uid, err)
	}
	for _, in := range []string{"no-such-user", "-1", "4294967295", "99999999999"} {
		_, _, err := LookupUser(in)
		if want := "No such user: '" + in + "'"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestLookupGroup(t *testing.T) {
	for in, want := range map[string]int{"0": 0, "12345": 12345, "daemon": 1, "": os.Getegid()} {
		if gid, err := LookupGroup(in); err != nil || gid != want {
			t.Errorf("%q: %d %v", in, gid, err)
		}
	}
	_, err := LookupGroup("no-such-group")
	if want := "No such group: 'no-such-group'"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestGroups(t *testing.T) {
	if got := Groups("no-such-user", 5); !slices.Equal(got, []uint32{5}) {
		t.Errorf("unknown user: %v", got)
	}
	got := Groups("root", 5)
	if got[0] != 5 || slices.Contains(got[1:], 5) {
		t.Errorf("root: %v", got)
	}
}
