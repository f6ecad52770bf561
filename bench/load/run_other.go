//go:build !linux

package load

import (
	"context"
	"errors"
)

// Run carries out a plan; on this system it cannot.
func Run(context.Context, Plan) (*Result, error) {
	return nil, errors.New("the load generator needs Linux: it is made of epoll")
}
