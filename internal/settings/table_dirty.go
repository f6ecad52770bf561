package settings

// Most of what a pool may have: workers, and calls that one of them runs at the same time, since a
// message has the descriptors of them all.
const (
	maxPoolWorkers = 1000
	maxPoolThreads = 128
)

var dirtySettings = []Setting{
	{
		Name: "dirty_apps", Section: sectionDirty,
		Flags: []string{"--dirty-app"}, Metavar: "STRING", Kind: KindStrings, Default: []string(nil),
		Doc: "An app of the pool `dirty`: `module:Class`, which all of its workers host, or `module:Class:N`, which N of them host. May be given several times. " +
			"See [pools.md](pools.md).",
	},
	{
		Name: "dirty_workers", Section: sectionDirty,
		Flags: []string{"--dirty-workers"}, Metavar: "INT", Kind: KindInt, Max: maxPoolWorkers, Default: 0,
		Doc: "The number of workers of the pool `dirty`; 0 means that there is no such pool.",
	},
	{
		Name: "dirty_timeout", Section: sectionDirty,
		Flags: []string{"--dirty-timeout"}, Metavar: "INT", Kind: KindInt, Default: 300,
		Doc: "How many seconds a call may take, or the next part of one that yields parts, or wait for a worker; 0 means no limit. The caller then gets an error, and the call is cancelled. " +
			"If it does not come back its worker is ended.",
		Note: "It bounds each call. In Gunicorn the thread of a call that is over its time runs on, and keeps its place.",
	},
	{
		Name: "dirty_threads", Section: sectionDirty,
		Flags: []string{"--dirty-threads"}, Metavar: "INT", Kind: KindInt, Min: 1, Max: maxPoolThreads, Default: 1,
		Doc: "The number of calls that one worker of the pool runs at the same time, each in a thread.",
	},
	{
		Name: "dirty_graceful_timeout", Section: sectionDirty,
		Flags: []string{"--dirty-graceful-timeout"}, Metavar: "INT", Kind: KindInt, Default: 30,
		Doc: "How many seconds the calls of a worker of the pool have to finish when it is told to end.",
	},
	{
		Name: "dirty_queue_limit", Section: sectionDirty, Added: true,
		Flags: []string{"--dirty-queue-limit"}, Metavar: "INT", Kind: KindInt, Default: 1024,
		Doc: "How many calls may wait for a worker of the pool. One more gets an error at once.",
	},
	{
		Name: "pools", Section: sectionDirty, Added: true, Kind: KindPools, Default: map[string]any{},
		Doc: "More pools, by name: `{\"gpu\": {\"app\": \"ml:Model\", \"workers\": 2, \"slots\": {\"gpu\": [0, 1]}}}`. Keys of a pool: `app` or `apps`, as in `dirty_apps`; " +
			"`workers`; `threads`, `timeout`, `graceful_timeout` and `queue_limit`, by default those of `dirty_threads` and so on; `slots`: by a name the tokens of which each worker gets one in " +
			"its environment, in the variable of that name, or in `CUDA_VISIBLE_DEVICES` for `gpu`.",
	},
	{
		Name: "stash_limit", Section: sectionDirty, Added: true,
		Flags: []string{"--stash-limit"}, Metavar: "INT", Kind: KindInt, Default: 64 << 20,
		Doc: "How many bytes the stash may have, the tables that workers share.",
	},
	dirtyHook("on_dirty_starting", "arbiter", "Called before the workers of pools are forked, in the process that forks them."),
	dirtyHook("dirty_post_fork", "arbiter, worker", "Called when a worker of a pool has been forked, in the process that has forked it."),
	dirtyHook("dirty_worker_init", "worker", "Called in a worker of a pool that has loaded its apps."),
	dirtyHook("dirty_worker_exit", "arbiter, worker", "Called when a worker of a pool has ended, in the process that has forked it."),
}

func dirtyHook(name, args, doc string) Setting {
	s := hook(name, args, doc)
	s.Section = sectionDirty
	return s
}
