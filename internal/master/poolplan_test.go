package master

import (
	"reflect"
	"testing"
)

func TestPlanPool(t *testing.T) {
	apps := []hostedApp{{"all", 0}, {"two", 2}, {"one", 1}}
	few := []hostedApp{{"two", 2}}
	w := func(age int, apps ...string) poolMember { return poolMember{age, true, apps} }
	for name, c := range map[string]struct {
		apps    []hostedApp
		target  int
		members []poolMember
		start   [][]string
		end     []int
	}{
		"the first ones":             {apps, 4, nil, [][]string{{"all", "two", "one"}, {"all", "two"}, {"all"}, {"all"}}, nil},
		"as they are":                {apps, 2, []poolMember{w(1, "all", "two", "one"), w(2, "all", "two")}, nil, nil},
		"one has died":               {apps, 3, []poolMember{w(2, "all", "two"), w(3, "all")}, [][]string{{"all", "two", "one"}}, nil},
		"nothing to host":            {few, 4, nil, [][]string{{"two"}, {"two"}}, nil},
		"one more hosts what all do": {apps, 3, []poolMember{w(1, "all", "two", "one"), w(2, "all", "two")}, [][]string{{"all"}}, nil},
		"the one without few goes":   {apps, 2, []poolMember{w(1, "all", "two", "one"), w(2, "all", "two"), w(3, "all")}, nil, []int{3}},
		"the oldest of equals goes":  {apps, 3, []poolMember{w(1, "all", "two", "one"), w(2, "all", "two"), w(4, "all"), w(3, "all")}, nil, []int{3}},
		"the youngest that boots goes": {
			apps, 3, []poolMember{w(1, "all", "two", "one"), w(2, "all", "two"), w(3, "all"), {4, false, []string{"all"}}, {5, false, []string{"all"}}},
			nil, []int{5, 4},
		},
		"none": {apps, 0, []poolMember{w(1, "all")}, nil, []int{1}},
	} {
		start, end := planPool(c.apps, c.target, c.members)
		if !reflect.DeepEqual(start, c.start) || !reflect.DeepEqual(end, c.end) {
			t.Errorf("%s: start %v, end %v; want %v, %v", name, start, end, c.start, c.end)
		}
	}
	if n := leastPoolWorkers(apps); n != 2 {
		t.Errorf("at least %d", n)
	}
	if n := leastPoolWorkers(nil); n != 1 {
		t.Errorf("at least %d", n)
	}
}
