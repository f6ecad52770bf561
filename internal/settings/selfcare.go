package settings

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"indrik/internal/canary"
)

// A Policy is one by which the workers look after themselves: docs/selfcare.md.
type Policy string

const (
	PolicyRecycle    Policy = "recycle"    // replaces workers that have grown or aged
	PolicyScale      Policy = "scale"      // starts and ends workers as the load asks for
	PolicyCanary     Policy = "canary"     // tries a new generation on a share of the requests
	PolicyQuarantine Policy = "quarantine" // keeps requests that kill workers away from them
	PolicyRefork     Policy = "refork"     // has a warm worker fork the others
)

// allPolicies stands for every policy in selfcare_dry_run.
const allPolicies = "all"

// selfCareWords are the values of selfcare_dry_run.
var selfCareWords = []string{string(PolicyRecycle), string(PolicyScale), string(PolicyCanary), string(PolicyQuarantine), string(PolicyRefork), allPolicies}

// DryRun reports whether the policy is only to say what it would do (selfcare_dry_run).
func (c *Config) DryRun(p Policy) bool {
	words := c.SelfcareDryRun()
	return slices.Contains(words, string(p)) || slices.Contains(words, allPolicies)
}

// WorkerMemory returns max_worker_memory and max_worker_memory_hard in bytes, 0 for none, of
// a server that may use that much memory; 0: it is not known, and shares are none.
func (c *Config) WorkerMemory(memory int64) (soft, hard int64) {
	return c.amount("max_worker_memory").Of(memory), c.amount("max_worker_memory_hard").Of(memory)
}

// WatchesMemory reports whether any setting bounds the memory of workers.
func (c *Config) WatchesMemory() bool {
	return c.amount("max_worker_memory") != Amount{} || c.amount("max_worker_memory_hard") != Amount{} || c.MaxMemoryUse() > 0 || c.MaxMemoryPressure() > 0
}

// Budget returns how many of so many workers may be on their way out at a time.
func (c *Config) Budget(workers int) int {
	return int(max(1, c.amount("recycle_budget").Of(int64(workers))))
}

// checkSelfCare reports settings of selfcare.md that contradict each other, or have no
// effect.
func (c *Config) checkSelfCare() error {
	soft, hard := c.amount("max_worker_memory"), c.amount("max_worker_memory_hard")
	if hard != (Amount{}) && (soft.Share > 0) == (hard.Share > 0) && (hard.Number < soft.Number || hard.Share < soft.Share) {
		return c.wrong("max_worker_memory_hard", errors.New("it is less than max_worker_memory, so that no worker could finish its requests"))
	}
	if c.MaxWorkerAge() == 0 && c.MaxWorkerAgeJitter() > 0 {
		c.warn("max_worker_age_jitter (%s) has no effect: there is no max_worker_age", c.Source("max_worker_age_jitter"))
	}
	if c.MaxRequests() == 0 && c.MaxWorkerAge() == 0 && !c.WatchesMemory() && c.IsSet("recycle_budget") {
		c.warn("recycle_budget (%s) has no effect: nothing has workers replaced, as max_worker_age, max_worker_memory or max_requests", c.Source("recycle_budget"))
	}
	for _, text := range c.Warmup() {
		if u, err := url.Parse(text); err != nil || !strings.HasPrefix(u.EscapedPath(), "/") || u.Fragment != "" || (u.Scheme != "" || u.Host != "") && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return c.wrong("warmup", fmt.Errorf("%s is neither a path such as /login?next=x nor a URL such as https://www.example.com/", pyRepr(text)))
		}
	}
	if text := c.Canary(); text != "" {
		if _, err := canary.Parse(text); err != nil {
			return c.wrong("canary", err)
		}
	}
	return nil
}

// CanaryPlan returns how a new generation is tried (canary); ok is false if it is not.
func (c *Config) CanaryPlan() (plan canary.Plan, ok bool) {
	plan, err := canary.Parse(c.Canary())
	return plan, err == nil
}
