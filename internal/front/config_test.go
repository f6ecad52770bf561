package front

import (
	"reflect"
	"strings"
	"testing"

	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// derived are the fields of config that are made of several settings, or of none.
var derived = map[string]string{
	"FrontConfig":        "the settings as they are written",
	"dispatch":           "all that the dispatcher needs",
	"http":               "all that the parser needs",
	"http2":              "the same for heads that HTTP/2 has bounded",
	"maxHead":            "what limit_request_head and its parts come to",
	"anyForwarderHeader": "a part of forwarder_headers",
	"noServerHeader":     "a part of server_header",
}

// The other fields are named by the setting that they carry. That wire.FrontConfig is
// named so, a test of the settings holds.
func TestConfigHasTheNamesOfSettings(t *testing.T) {
	carried := map[string]bool{}
	for field := range reflect.TypeFor[wire.FrontConfig]().Fields() {
		carried[strings.ToLower(field.Name)] = true
	}
	used := map[string]bool{}
	for field := range reflect.TypeFor[config]().Fields() {
		if derived[field.Name] != "" {
			used[field.Name] = true
		} else if !carried[strings.ToLower(field.Name)] {
			t.Errorf("config has %s, which is no setting of wire.FrontConfig", field.Name)
		}
	}
	for name := range derived {
		if !used[name] {
			t.Errorf("%s is among the exceptions, and no field", name)
		}
	}
	for field := range reflect.TypeFor[dispatch.Settings]().Fields() {
		if field.IsExported() && field.Name != "Arena" && !carried[strings.ToLower(field.Name)] {
			t.Errorf("dispatch.Settings has %s, which is no setting of wire.FrontConfig", field.Name)
		}
	}
	for field := range reflect.TypeFor[http1.Config]().Fields() {
		if f, ok := reflect.TypeFor[wire.FrontConfig]().FieldByName(field.Name); !ok || f.Type != field.Type {
			t.Errorf("http1.Config has %s, which wire.FrontConfig has not", field.Name)
		}
	}
}
