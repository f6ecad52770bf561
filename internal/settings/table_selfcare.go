package settings

// selfCareSettings are those of the workers that look after themselves: docs/selfcare.md.
var selfCareSettings = []Setting{
	{
		Name: "max_worker_memory", Section: sectionSelfCare, Added: true,
		Flags: []string{"--max-worker-memory"}, Metavar: "SIZE", Kind: KindSize, Default: "0",
		Doc: "Replace a worker that takes as much memory, in bytes (`512M`, `2G`) or as a share of the limit of the control group or else of the machine's memory (`25%`); 0 means never. " +
			"It finishes its requests, and its successor is ready before it leaves. Processes that a worker starts do not count.",
	},
	{
		Name: "max_worker_memory_hard", Section: sectionSelfCare, Added: true,
		Flags: []string{"--max-worker-memory-hard"}, Metavar: "SIZE", Kind: KindSize, Default: "0",
		Doc: "Kill a worker that takes as much memory, at once; 0 means never. What it runs is answered with 502.",
	},
	{
		Name: "worker_memory_measure", Section: sectionSelfCare, Added: true,
		Flags: []string{"--worker-memory-measure"}, Metavar: "STRING", Kind: KindChoice, Default: "rss",
		Choices: []string{"rss", "pss"}, BadChoice: "worker_memory_measure must be one of: rss, pss",
		Doc: "What the memory of a worker is: `rss` is all that is resident, `pss` counts what the worker shares with other processes in part, as with `preload_app`. `pss` costs more to read.",
	},
	{
		Name: "max_worker_age", Section: sectionSelfCare, Added: true,
		Flags: []string{"--max-worker-age"}, Metavar: "SECONDS", Kind: KindInt, Default: 0,
		Doc: "Replace a worker this many seconds after it became ready; 0 means never.",
	},
	{
		Name: "max_worker_age_jitter", Section: sectionSelfCare, Added: true,
		Flags: []string{"--max-worker-age-jitter"}, Metavar: "SECONDS", Kind: KindInt, Default: 0,
		Doc: "Add a random number of seconds up to this one to `max_worker_age`, another one for each worker, so that they do not all become old at once.",
	},
	{
		Name: "max_memory_use", Section: sectionSelfCare, Added: true,
		Flags: []string{"--max-memory-use"}, Metavar: "PERCENT", Kind: KindInt, Default: 0, Max: 100,
		Doc: "Replace the worker that takes most memory when this percentage of the control group's limit, or else of the machine's memory, is in use; 0 means never. The page cache does not count.",
	},
	{
		Name: "max_memory_pressure", Section: sectionSelfCare, Added: true,
		Flags: []string{"--max-memory-pressure"}, Metavar: "PERCENT", Kind: KindInt, Default: 0, Max: 100,
		Doc: "Replace the worker that takes most memory when processes have waited for memory for this percentage of the last ten seconds (Linux, PSI: `some avg10` of the control group, or else of the machine); 0 means never.",
	},
	{
		Name: "recycle_budget", Section: sectionSelfCare, Added: true,
		Flags: []string{"--recycle-budget"}, Metavar: "NUMBER", Kind: KindShare, Min: 1, Default: "1",
		Doc: "How many workers may be on their way out at a time, for whatever reason, `max_requests` included: a number, or a share of the workers (`25%`, at least one). The others wait. See [selfcare.md](selfcare.md#recycling).",
	},
	{
		Name: "canary", Section: sectionSelfCare, Added: true,
		Flags: []string{"--canary"}, Metavar: "STRING", Kind: KindString, Default: "", DefaultText: "off",
		Doc: "Try new workers on a share of the requests after HUP, or of the connections after USR2, before they take over, such as `5% for 60s`. " +
			"If they fail more of them than the old ones, or take longer, the old ones go on, and the reload has failed. " +
			"See [selfcare.md](selfcare.md#a-deploy-that-looks-before-it-leaps) for what is measured, and by which test.",
	},
	{
		Name: "quarantine", Section: sectionSelfCare, Added: true,
		Flags: []string{"--quarantine"}, Metavar: "STRING", Kind: KindCommaList, Default: []string(nil),
		Choices: []string{"request", "client", "path"},
		Doc: "Answer with 503, for a while, what workers die of again and again: `request` is the requests of one client to one path, `client` all of a client, `path` all to a path. " +
			"Several are separated by commas. Off by default; [selfcare.md](selfcare.md#poison-requests) says when to set it.",
	},
	{
		Name: "quarantine_deaths", Section: sectionSelfCare, Added: true,
		Flags: []string{"--quarantine-deaths"}, Metavar: "INT", Kind: KindInt, Min: 1, Max: 1000, Default: 3,
		Doc: "After how many deaths of workers, within `quarantine_window`, a quarantine begins.",
	},
	{
		Name: "quarantine_window", Section: sectionSelfCare, Added: true,
		Flags: []string{"--quarantine-window"}, Metavar: "SECONDS", Kind: KindInt, Min: 1, Max: 86400, Default: 60,
		Doc: "For how many seconds a death of a worker counts against what it ran.",
	},
	{
		Name: "quarantine_time", Section: sectionSelfCare, Added: true,
		Flags: []string{"--quarantine-time"}, Metavar: "SECONDS", Kind: KindInt, Min: 1, Max: 86400, Default: 60,
		Doc: "How many seconds a quarantine lasts.",
	},
	{
		Name: "refork_after", Section: sectionSelfCare, Added: true,
		Flags: []string{"--refork-after"}, Metavar: "INT", Kind: KindInt, Default: 0,
		Doc: "Make a template of the first worker that has served so many requests, and have it fork all others anew, so that they share its memory; " +
			"and again after ten times as many. 0 means never. See [selfcare.md](selfcare.md#sharing-memory).",
		Note: "Only Linux, and the kinds `sync`, `gthread` and `asgi`. `indrik refork` does it at any time.",
	},
	{
		Name: "warmup", Section: sectionSelfCare, Added: true,
		Flags: []string{"--warmup"}, Metavar: "PATH", Kind: KindStrings, Default: []string(nil),
		Doc: "Paths, or URLs for the host and the scheme that the app is to see, that each new worker asks its own app for before it is ready. " +
			"A status of 400 or above, or an exception, fails the worker, and a reload with it. May be given several times. See [selfcare.md](selfcare.md#warm-up).",
	},
	{
		Name: "warmup_timeout", Section: sectionSelfCare, Added: true,
		Flags: []string{"--warmup-timeout"}, Metavar: "INT", Kind: KindInt, Default: 30, Min: 1, Max: 3600,
		Doc: "How many seconds the requests of `warmup` may take together, in each worker. One that takes longer has failed.",
	},
	{
		Name: "selfcare_dry_run", Section: sectionSelfCare, Added: true,
		Flags: []string{"--selfcare-dry-run"}, Metavar: "STRING", Kind: KindCommaList, Default: []string(nil),
		Choices: selfCareWords,
		Doc: "Policies that only say what they would do: `recycle`, `scale`, `canary`, `quarantine`, `refork`, or `all` of them. " +
			"The log, the status and the metrics show it; see [selfcare.md](selfcare.md#dry-run).",
	},
}
