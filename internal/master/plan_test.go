package master

import (
	"slices"
	"testing"
)

func TestPlan(t *testing.T) {
	booting := func(age int) member { return member{age: age} }
	ready := func(age int) member { return member{age: age, ready: true} }
	recycling := func(age int) member { return member{age: age, ready: true, recycling: true} }
	tests := []struct {
		name   string
		target int
		pool   []member
		start  int
		end    []int
	}{
		{"a first start", 3, nil, 3, nil},
		{"all there", 2, []member{ready(1), booting(2)}, 0, nil},
		{"one died", 2, []member{ready(2)}, 1, nil},
		{"TTOU ends the oldest", 1, []member{ready(1), ready(2)}, 0, []int{1}},
		{"TTOU ends the one that boots, so that nobody waits", 1, []member{ready(1), booting(2)}, 0, []int{2}},
		{"the latest of those that boot", 2, []member{ready(1), booting(2), booting(3)}, 0, []int{3}},
		{"max_requests: the successor is started first", 2, []member{recycling(1), ready(2)}, 1, nil},
		{"and has to be ready", 2, []member{recycling(1), ready(2), booting(3)}, 0, nil},
		{"before the old one ends", 2, []member{recycling(1), ready(2), ready(3)}, 0, []int{1}},
		{"one out for one in", 2, []member{recycling(1), recycling(2), ready(3), booting(4)}, 0, []int{1}},
		{"WINCH ends all", 0, []member{recycling(1), ready(2), booting(3)}, 0, []int{3, 2, 1}},
		{"TTOU while one is replaced", 1, []member{recycling(1), ready(2)}, 0, []int{1}},
	}
	for _, tt := range tests {
		start, end := plan(tt.target, tt.pool)
		if start != tt.start || !slices.Equal(end, tt.end) {
			t.Errorf("%s: plan(%d, %v) = %d, %v; want %d, %v", tt.name, tt.target, tt.pool, start, end, tt.start, tt.end)
		}
	}
}

// Whatever the pool is, carrying out the plan brings it to the target, and
// never leaves fewer ready workers than the target if there were as many.
func TestPlanConverges(t *testing.T) {
	for target := range 4 {
		for kinds := range 81 { // four members of three kinds
			var pool []member
			k := kinds
			for age := 1; age <= 4; age++ {
				pool = append(pool, []member{{age: age}, {age: age, ready: true}, {age: age, ready: true, recycling: true}}[k%3])
				k /= 3
			}
			for age := 5; ; age++ {
				start, end := plan(target, pool)
				before := countReady(pool)
				pool = slices.DeleteFunc(pool, func(m member) bool { return slices.Contains(end, m.age) })
				if after := countReady(pool); after < min(before, target) {
					t.Fatalf("target %d, kinds %d: %d of %d ready workers left", target, kinds, after, before)
				}
				for range max(0, start) {
					age++
					pool = append(pool, member{age: age})
				}
				if start <= 0 && len(end) == 0 {
					i := slices.IndexFunc(pool, func(m member) bool { return !m.ready })
					if i < 0 {
						break
					}
					pool[i].ready = true
				}
				if age > 50 {
					t.Fatalf("target %d, kinds %d: no end: %v", target, kinds, pool)
				}
			}
			if len(pool) != target {
				t.Errorf("target %d, kinds %d: ends with %v", target, kinds, pool)
			}
		}
	}
}

func countReady(pool []member) int {
	n := 0
	for _, m := range pool {
		if m.ready {
			n++
		}
	}
	return n
}
