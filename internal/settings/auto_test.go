package settings

import (
	"strings"
	"testing"
)

// auto means the same from everywhere, and counts as one until it is known.
func TestAutoWorkers(t *testing.T) {
	for source, layers := range map[string][]Layer{
		"WEB_CONCURRENCY":   layers(t, []string{"WEB_CONCURRENCY=auto"}, nil),
		"INDRIK_WORKERS":    layers(t, []string{"INDRIK_WORKERS=auto"}, nil),
		"gunicorn.conf.py":  layers(t, nil, map[string]any{"workers": "auto"}),
		"GUNICORN_CMD_ARGS": layers(t, []string{"GUNICORN_CMD_ARGS=--workers auto"}, nil),
		"command line":      layers(t, nil, nil, "-wauto"),
	} {
		c := resolve(t, layers)
		if !c.AutoWorkers() || c.Workers() != 1 || c.Source("workers") != source {
			t.Errorf("%s: %v, %d, %s", source, c.AutoWorkers(), c.Workers(), c.Source("workers"))
		}
		sized := c.WithWorkers(7)
		if sized.AutoWorkers() || sized.Workers() != 7 || sized.All()["workers"] != 7 || sized.Source("workers") != source+": auto" {
			t.Errorf("%s: %d workers from %s", source, sized.Workers(), sized.Source("workers"))
		}
		if !c.AutoWorkers() || c.Source("workers") != source {
			t.Errorf("%s: the first one was changed", source)
		}
	}
	if resolve(t, layers(t, nil, nil, "-w", "2")).AutoWorkers() || resolve(t, layers(t, nil, nil)).AutoWorkers() {
		t.Error("a number is auto")
	}
	for text := range strings.FieldsSeq("Auto automatic 1auto") {
		if _, _, err := ParseArgs("indrik", []string{"-w", text}); err == nil || !strings.HasSuffix(err.Error(), "invalid int value: '"+text+"'") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
