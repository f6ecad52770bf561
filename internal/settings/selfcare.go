package settings

import "slices"

// A Policy is one by which the workers look after themselves: docs/selfcare.md.
type Policy string

const (
	PolicyRecycle    Policy = "recycle"    // replaces workers that have grown or aged
	PolicyScale      Policy = "scale"      // starts and ends workers as the load asks for
	PolicyCanary     Policy = "canary"     // tries a new generation on a share of the requests
	PolicyQuarantine Policy = "quarantine" // keeps requests that kill workers away from them
)

// allPolicies stands for every policy in selfcare_dry_run.
const allPolicies = "all"

// selfCareWords are the values of selfcare_dry_run.
var selfCareWords = []string{string(PolicyRecycle), string(PolicyScale), string(PolicyCanary), string(PolicyQuarantine), allPolicies}

// DryRun reports whether the policy is only to say what it would do (selfcare_dry_run).
func (c *Config) DryRun(p Policy) bool {
	words := c.SelfcareDryRun()
	return slices.Contains(words, string(p)) || slices.Contains(words, allPolicies)
}
