package front

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"indrik/internal/wire"
)

// actionPatience is how long an action may take, as far as its client is told of it: a little
// longer than the master waits.
const actionPatience = 10*time.Minute + time.Second

// An action is what /actions/NAME tells the master to do.
type action struct {
	name      string
	command   string             // as the control socket takes it
	parameter string             // of the request; empty: there is none
	check     func(string) error // what is wrong with its value
}

var actions = []action{
	{"reload", "reload and wait", "", nil},
	{"reopen", "reopen", "", nil},
	{"scale", "scale and wait", "workers", isNumber},
	{"worker-kill", "worker kill and wait", "pid", isNumber},
	{"upgrade", "upgrade and wait", "", nil},
	{"rollback", "rollback and wait", "", nil},
	{"drain", "drain and wait", "", nil},
	{"stop", "shutdown", "mode", isMode},
}

func isNumber(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 {
		return fmt.Errorf("%q is not a number from 1 on", value)
	}
	return nil
}

func isMode(value string) error {
	if value != "graceful" && value != "quick" {
		return fmt.Errorf("%q is neither graceful nor quick", value)
	}
	return nil
}

// An actionResult is the answer to an action, as JSON.
type actionResult struct {
	OK     bool            `json:"ok"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// actionPage has the master carry out an action, and answers when that is done. Whether its
// client may do that, only the master decides.
func (s *server) actionPage(w http.ResponseWriter, r *http.Request) {
	result, code := s.act(r)
	body, err := json.Marshal(result)
	if err != nil {
		result, code = actionResult{Error: "the master's answer is no JSON"}, http.StatusBadGateway
		body, _ = json.Marshal(result)
	}
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="indrik"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // the client has gone
}

// act carries out the action of a request, and returns its result with a code.
func (s *server) act(r *http.Request) (actionResult, int) {
	refuse := func(code int, err error) (actionResult, int) { return actionResult{Error: err.Error()}, code }
	if !s.admin.takesCommands.Load() {
		return refuse(http.StatusForbidden, errors.New("commands are not taken here: there is no admin_token_file"))
	}
	words, err := actionWords(r)
	if err != nil {
		return refuse(http.StatusBadRequest, err)
	}
	if words == nil {
		return refuse(http.StatusNotFound, errors.New("there is no such action"))
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return refuse(http.StatusUnauthorized, errors.New("this needs the token: Authorization: Bearer TOKEN"))
	}
	m := wire.FromFront{Type: wire.TypeCommand, Words: words, Token: token}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		m.Client = peer.Addr().Unmap().String()
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionPatience)
	defer cancel()
	a, err := s.questions.ask(ctx, m)
	switch {
	case err != nil:
		return refuse(http.StatusGatewayTimeout, errors.New("it is not done yet; the server goes on with it"))
	case a.Error != "":
		return refuse(cmp.Or(a.Code, http.StatusConflict), errors.New(a.Error))
	case words[0] == "shutdown":
		return actionResult{OK: true, Result: a.document}, http.StatusAccepted
	}
	return actionResult{OK: true, Result: a.document}, http.StatusOK
}

// actionWords returns the command of a request, nil if there is no such action.
func actionWords(r *http.Request) ([]string, error) {
	name := strings.TrimPrefix(r.URL.Path, "/actions/")
	i := slices.IndexFunc(actions, func(a action) bool { return a.name == name })
	if i < 0 {
		return nil, nil
	}
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("the parameters cannot be read: %w", err)
	}
	a := actions[i]
	words := strings.Fields(a.command)
	for key := range r.Form {
		if key != a.parameter {
			return nil, fmt.Errorf("%s has no parameter %q", name, key)
		}
	}
	value := r.Form.Get(a.parameter)
	switch {
	case a.parameter == "" || value == "" && name == "stop":
		return words, nil
	case value == "":
		return nil, fmt.Errorf("%s needs the parameter %s", name, a.parameter)
	}
	if err := a.check(value); err != nil {
		return nil, fmt.Errorf("%s: %w", a.parameter, err)
	}
	return append(words, value), nil
}
