package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// A Client sends commands to a server. It may be used from one goroutine at a time.
type Client struct {
	conn net.Conn
	id   int
}

// An Error is what a server answered instead of doing a command.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

// Dial connects to the control socket at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn}, nil
}

// Call sends a command of several words and decodes the data of the response into data,
// which may be nil. The error is an [*Error] if the server refused the command or failed at
// it; after any other error, that of ctx among them, the client is of no use any longer.
func (c *Client) Call(ctx context.Context, data any, words ...string) error {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	c.id++
	id := strconv.Itoa(c.id)
	args := make([]any, len(words)-1)
	for i, word := range words[1:] {
		args[i] = word
	}
	err := writeMessage(c.conn, Request{ID: json.RawMessage(id), Command: words[0], Args: args})
	// A server that ends may have answered before it read.
	var response struct {
		Response
		Data json.RawMessage `json:"data"`
	}
	if readErr := readMessage(c.conn, MaxMessage, &response); readErr != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Join(err, readErr)
	}
	switch {
	case response.Status == StatusError:
		return &Error{response.Error}
	case response.Status != StatusOK || string(response.ID) != id:
		return fmt.Errorf("the answer is none to this command: id %s, status %q", response.ID, response.Status)
	case data == nil:
		return nil
	}
	return json.Unmarshal(response.Data, data)
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Peer returns the process that made the socket, as the kernel names it.
func (c *Client) Peer() (Peer, error) { return peerOf(c.conn) }
