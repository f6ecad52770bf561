package accesslog_test

import (
	"fmt"

	"indrik/internal/accesslog"
)

// A format is compiled once, and a client cannot end a quoted field.
func Example() {
	format, err := accesslog.Compile(`%(h)s "%(m)s %(U)s" %(s)s %(b)s "%({user-agent}i)s"`)
	if err != nil {
		fmt.Println(err)
		return
	}
	line := format.Append(nil, &accesslog.Record{
		RemoteAddr: "203.0.113.9", Method: []byte("GET"), Path: []byte("/orders"), Status: 200, BodyBytes: 512,
		Request: func(name string) []byte { return []byte(`a "name"`) },
	})
	fmt.Printf("%s\n", line)
	// Output:
	// 203.0.113.9 "GET /orders" 200 512 "a \"name\""
}
