package websocket_test

import (
	"fmt"

	"indrik/internal/http1"
	"indrik/internal/websocket"
)

// A handshake is answered, a message read and answered, and the connection closed.
func Example() {
	config := http1.DefaultConfig()
	var r http1.Request
	_, err := http1.ParseRequest(&config, []byte("GET /chat HTTP/1.1\r\nHost: shop.test\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), &r)
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := websocket.ParseHandshake(&r)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range h.AppendFields(nil, "", false) {
		fmt.Printf("%s: %s\n", f.Name, f.Value)
	}

	// "Hi" as text, and a close with code 1000, both masked with four zeros.
	input := []byte("\x81\x82\x00\x00\x00\x00Hi\x88\x82\x00\x00\x00\x00\x03\xe8")
	var d websocket.Decoder
	defer d.Release()
	for {
		n, ev, err := d.Next(input)
		input = input[n:]
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case ev.Kind == websocket.Part:
			fmt.Printf("%s, the last part: %v\n", ev.Data, ev.Last)
			var e websocket.Encoder
			fmt.Printf("%x\n", e.AppendPart(nil, ev.Text, ev.Data, ev.Last))
		case ev.Kind == websocket.Close:
			fmt.Printf("%x\n", websocket.AppendClose(nil, ev.Code, nil))
			return
		}
	}
	// Output:
	// Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
	// Hi, the last part: true
	// 81024869
	// 880203e8
}
