package settings

import (
	"reflect"
	"strings"
	"testing"
)

func poolsOf(values map[string]any) (*Config, error) {
	return Resolve("", FromFile("x.py", values, map[string]int{"pools": 1}))
}

func TestPools(t *testing.T) {
	c, err := poolsOf(map[string]any{
		"dirty_apps": fromJSON("m:A", "m.sub:B:2"), "dirty_workers": 3.0, "dirty_timeout": 20.0,
		"pools": map[string]any{
			"gpu": map[string]any{"app": "ml:Model", "workers": 2.0, "threads": 4.0, "timeout": 0.0, "slots": map[string]any{"gpu": []any{0.0, "1"}, "PORT": []any{8001.0, 8002.0, 8003.0}}},
			"cpu": map[string]any{"apps": []any{"m:C", "m:D:1"}, "queue_limit": 5.0, "graceful_timeout": 7.0},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Pool{
		{Name: "dirty", Apps: []PoolApp{{"m:A", 0}, {"m.sub:B", 2}}, Workers: 3, Threads: 1, Timeout: 20, GracefulTimeout: 30, QueueLimit: 1024},
		{Name: "cpu", Apps: []PoolApp{{"m:C", 0}, {"m:D", 1}}, Workers: 1, Threads: 1, Timeout: 20, GracefulTimeout: 7, QueueLimit: 5},
		{
			Name: "gpu", Apps: []PoolApp{{"ml:Model", 0}}, Workers: 2, Threads: 4, GracefulTimeout: 30, QueueLimit: 1024,
			Slots: []PoolSlot{{"PORT", []string{"8001", "8002", "8003"}}, {"CUDA_VISIBLE_DEVICES", []string{"0", "1"}}},
		},
	}
	if got := c.AllPools(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if f := c.Front(); len(f.Pools) != 3 || !reflect.DeepEqual(f.Pools[0].Apps, []string{"m:A", "m.sub:B"}) || f.StashLimit != 64<<20 {
		t.Errorf("%+v", f.Pools)
	}
	if c, err = poolsOf(map[string]any{}); err != nil || c.HasPools() {
		t.Errorf("%v, %v", c.AllPools(), err)
	}
}

func TestWrongPools(t *testing.T) {
	gpu := func(key string, v any) map[string]any {
		return map[string]any{"pools": map[string]any{"gpu": map[string]any{"app": "ml:Model", key: v}}}
	}
	for want, values := range map[string]map[string]any{
		"Invalid import path format: m. Expected":                               {"dirty_apps": "m", "dirty_workers": 1.0},
		"Invalid worker count in spec: m:A:x. Expected integer":                 {"dirty_apps": "m:A:x", "dirty_workers": 1.0},
		"Invalid worker count in spec: m:A:0. Worker count must be >= 1, got 0": {"dirty_apps": "m:A:0", "dirty_workers": 1.0},
		"the pool 'dirty' has 1 workers, and an app that 2 of them are to host": {"dirty_apps": "m:A:2", "dirty_workers": 1.0},
		"the app 'm:A' is there twice":                                          {"dirty_apps": fromJSON("m:A", "m:A:1"), "dirty_workers": 1.0},
		"the app 'ml:Model' is in the pools 'dirty' and 'gpu'":                  {"dirty_apps": "ml:Model", "dirty_workers": 1.0, "pools": gpu("workers", 1.0)["pools"]},
		"the pool 'gpu': not a dictionary: 2":                                   {"pools": map[string]any{"gpu": 2.0}},
		"the pool 'dirty': this name is that of the pool of dirty_apps":         {"pools": map[string]any{"dirty": map[string]any{"app": "m:A"}}},
		"the pool 'Gpu 1': not a name for a pool":                               {"pools": map[string]any{"Gpu 1": map[string]any{"app": "m:A"}}},
		"the pool 'gpu': it has no app":                                         {"pools": map[string]any{"gpu": map[string]any{"workers": 1.0}}},
		"there is no key 'app_name'":                                            gpu("app_name", "x"),
		"workers: 0 is not between 1 and 1000":                                  gpu("workers", 0.0),
		"threads: 129 is not between 1 and 128":                                 gpu("threads", 129.0),
		"timeout: Value must be positive: -1":                                   gpu("timeout", -1.0),
		"queue_limit: Not a whole number: 1.5":                                  gpu("queue_limit", 1.5),
		"slots: 1 workers need as many tokens of CUDA_VISIBLE_DEVICES, and":     gpu("slots", map[string]any{"gpu": []any{}}),
		"slots: gpu: not a list of tokens: 1":                                   gpu("slots", map[string]any{"gpu": 1.0}),
		"slots: gpu: the token '0' is there twice":                              gpu("slots", map[string]any{"gpu": []any{"0", 0.0}}),
		"slots: gpu: a token is a text or a number":                             gpu("slots", map[string]any{"gpu": []any{true}}),
		"slots: 'a b' is no name of a variable":                                 gpu("slots", map[string]any{"a b": []any{1.0}}),
		"slots: two names mean the variable CUDA_VISIBLE_DEVICES":               gpu("slots", map[string]any{"gpu": []any{1.0}, "CUDA_VISIBLE_DEVICES": []any{1.0}}),
	} {
		_, err := poolsOf(values)
		if err == nil || !strings.Contains(Report(err), want) {
			t.Errorf("%v: %v instead of %q", values, err, want)
		}
	}
}

func TestPoolSettingsWithoutEffect(t *testing.T) {
	for want, values := range map[string]map[string]any{
		"dirty_workers (x.py) has no effect: there are no dirty_apps": {"dirty_workers": 1.0},
		"dirty_apps (x.py) has no effect: dirty_workers is 0":         {"dirty_apps": "m:A"},
	} {
		c, err := poolsOf(values)
		if err != nil || len(c.Warnings()) != 1 || c.Warnings()[0] != want {
			t.Errorf("%v: %v, %q", values, err, c.Warnings())
		}
	}
}
