package dispatch

import "testing"

func TestLeastBusy(t *testing.T) {
	for _, test := range []struct {
		a, b load
		less bool
	}{
		{load{1, false}, load{2, false}, true},
		{load{2, false}, load{1, false}, false},
		{load{2, false}, load{2, false}, false},
		{load{9, false}, load{1, true}, true},
		{load{1, true}, load{9, false}, false},
		{load{1, true}, load{2, true}, true},
	} {
		if test.a.less(test.b) != test.less {
			t.Errorf("%v before %v: %v", test.a, test.b, !test.less)
		}
	}
}
