package otlp

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	pb "go.opentelemetry.io/proto/otlp/resource/v1"

	"indrik/internal/version"
)

// ScopeName is what telemetry names as the library that has made it.
const ScopeName = "indrik"

// Resource returns what all telemetry of this process is of: what the environment says, and
// an instance of the service of its own unless it says that too. Counters of two processes,
// as there are in an upgrade, must not be taken for one.
var Resource = sync.OnceValue(func() *resource.Resource {
	own := resource.NewSchemaless(semconv.ServiceInstanceID(instance()))
	merged, err := resource.Merge(own, resource.Default())
	if err != nil { // their schemas differ, and one has none
		return resource.Default()
	}
	return merged
})

func instance() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b[:])
}

// ResourceMessage returns the resource as OTLP has it.
func ResourceMessage() *pb.Resource {
	m := &pb.Resource{}
	for _, kv := range Resource().Attributes() {
		m.Attributes = append(m.Attributes, Text(string(kv.Key), kv.Value.String()))
	}
	return m
}

// Scope returns the library that makes telemetry.
func Scope() *common.InstrumentationScope {
	return &common.InstrumentationScope{Name: ScopeName, Version: version.Version}
}

// Text returns an attribute that is a text. What is not valid UTF-8 in it is replaced.
func Text(name, value string) *common.KeyValue {
	return &common.KeyValue{Key: name, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.ToValidUTF8(value, "\uFFFD")}}}
}
