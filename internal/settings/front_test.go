package settings

import (
	"reflect"
	"testing"

	"indrik/internal/wire"
)

// notSettings are the fields of wire.FrontConfig that carry no setting by its name, each
// with the reason.
var notSettings = map[string]string{
	"NoWorkers":   "whether workers is 0: their number changes without a new configuration",
	"ReportLoad":  "whether workers is a range",
	"ScriptName":  "an environment variable of the server",
	"Kind":        "follows from worker_class and threads, or from the app",
	"AffinityKey": "made by the master, for the cookies of worker_affinity",
	"TLS":         "three settings, and only where certfile is set",
	"HTTP1":       "whether h1 is among http_protocols",
	"HTTP2":       "whether h2 is among http_protocols",
	"Protocols":   "follows from protocol and from bind, once the addresses are open",
}

// A setting has one name all the way to the front: the field on the wire is named by it
// in Go and in JSON.
func TestFrontFieldsHaveTheNamesOfSettings(t *testing.T) {
	byGoName := map[string]string{}
	for i := range Table {
		byGoName[Table[i].GoName()] = Table[i].Name
	}
	used := map[string]bool{}
	for field := range reflect.TypeFor[wire.FrontConfig]().Fields() {
		name, ok := byGoName[field.Name]
		switch {
		case notSettings[field.Name] != "":
			if used[field.Name] = true; ok {
				t.Errorf("%s is among the exceptions, and the name of a setting", field.Name)
			}
		case !ok:
			t.Errorf("%s is the name of no setting", field.Name)
		case field.Tag.Get("json") != name:
			t.Errorf("%s is %s in JSON, want %s", field.Name, field.Tag.Get("json"), name)
		}
	}
	for name := range notSettings {
		if !used[name] {
			t.Errorf("%s is among the exceptions, and no field", name)
		}
	}
}
