package front

import (
	"errors"
	"io"

	"indrik/internal/http1"
)

// inlineBody is the size of the largest body that goes with its request in one message.
const inlineBody = 64 << 10

// readBody reads the whole body of c.req, and makes the message for the worker.
func (c *conn) readBody(ex *exchange) error {
	req := &c.req
	if !hasBody(req) {
		return ex.encode(nil, req.ContentLength)
	}
	if req.Chunked || int64(c.w-c.r) < req.ContentLength {
		// A body that has come already is no reason to refuse the request.
		if err := ex.refuseBody(req.ContentLength); err != nil {
			return err
		}
	}
	c.bodyRate.start()
	c.enter(reading)
	if req.Expect100 && c.r == c.w {
		c.out.Write(continueLine)
	}
	body := ex.newSpool()
	if err := c.readToSpool(body); err != nil {
		body.discard()
		return err
	}
	return ex.encode(body, body.size)
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// readToSpool reads a body to its end.
func (c *conn) readToSpool(body *spool) error {
	reader := c.bodyReader()
	defer reader.done()
	for {
		var space []byte
		if reader.expectsData() {
			var err error
			if space, err = body.space(); err != nil {
				return err
			}
		}
		n, err := c.readPart(reader, space, nil)
		if err := body.wrote(n); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// refuseBody returns an error if a body is not to be received at all. size is −1 if it is
// not known yet.
func (ex *exchange) refuseBody(size int64) error {
	if limit := ex.cfg.LimitRequestBody; limit > 0 && size > limit {
		return http1.NewBodyTooLarge(size, limit)
	}
	if ex.s.queue.RefuseIfFull(&ex.cfg.dispatch) {
		return errBusy
	}
	return nil
}
