package settings

var controlSettings = []Setting{
	{
		Name: "control_socket", Section: sectionControl,
		Flags: []string{"--control-socket"}, Metavar: "PATH", Kind: KindString,
		Doc:  "The unix socket on which the server takes commands: those of `indrik status`, `indrik reload` and the others, and those of Gunicorn's `gunicornc`.",
		Note: "Unlike in Gunicorn there is none by default, except below systemd: with `RuntimeDirectory=` in the unit it is `indrik.ctl` in that directory. During an upgrade the new master has `.2` at the end of its path.",
	},
	{
		Name: "control_socket_mode", Section: sectionControl,
		Flags: []string{"--control-socket-mode"}, Metavar: "INT", Kind: KindMode, Default: 0o600,
		Doc: "The file mode of the control socket. Whatever it is, commands are taken only from root and from the user who started the server.",
	},
	{
		Name: "control_socket_disable", Section: sectionControl,
		Flags: []string{"--no-control-socket"}, Kind: KindBool, Default: false,
		Doc: "Make no control socket.",
	},
	{
		Name: "admin_bind", Section: sectionControl, Added: true,
		Flags: []string{"--admin-bind"}, Metavar: "ADDRESS", Kind: KindString, Default: "",
		Doc: "The address at which the server itself answers for people and tools that watch it, besides those of `bind`: `HOST:PORT` or `unix:PATH`. " +
			"It has `/livez`, `/readyz`, `/startupz` and `/status`, and takes commands if there is an `admin_token_file`. Empty: there is none. A unix socket gets the mode that `umask` leaves.",
	},
	{
		Name: "admin_allow", Section: sectionControl, Added: true,
		Flags: []string{"--admin-allow"}, Metavar: "STRING", Kind: KindPeers, Default: []string{"127.0.0.0/8", "::1", PeersUnix},
		Doc: "Who may connect to `admin_bind`: IP addresses and networks, separated by commas, and `unix` for those who may open its unix socket. `*` is everybody.",
	},
	{
		Name: "admin_hosts", Section: sectionControl, Added: true,
		Flags: []string{"--admin-hosts"}, Metavar: "STRING", Kind: KindCommaList, Default: []string{"localhost"},
		Doc: "The names, separated by commas, by which `admin_bind` may be addressed by browsers; IP addresses always may. A name that somebody else has made to mean this address is not answered. " +
			"The paths for probes and scrapers are answered under any name.",
	},
	{
		Name: "admin_token_file", Section: sectionControl, Added: true,
		Flags: []string{"--admin-token-file"}, Metavar: "PATH", Kind: KindString, Default: "",
		Doc: "A file with the secret that whoever sends a command to `admin_bind` has to know, at least 16 characters. It is read at the start and by each reload. Others than its owner and group, and the user of the workers, must not be able to read it. Empty: no commands are taken there.",
	},
	{
		Name: "app_metrics", Section: sectionControl, Added: true,
		Flags: []string{"--no-app-metrics"}, Kind: KindBool, Default: true, Off: true,
		Doc: "Whether `/metrics` of `admin_bind` also has the metrics that the app keeps with the Python library prometheus_client, of all workers together. " +
			"For that the app runs in the multi-process mode of that library, in a directory of the server's, unless it has been given one. Without `admin_bind` this has no effect.",
	},
}

const noDirty = "there are no dirty workers"

// Dirty workers are a second pool of processes, for long jobs, that apps call
// through a package of Gunicorn's. An app that needs them cannot do without:
// dirty_workers, which turns them on, is refused, so that the others are of no
// consequence.
var dirtySettings = []Setting{
	{
		Name: "dirty_apps", Section: sectionDirty,
		Flags: []string{"--dirty-app"}, Metavar: "STRING", Kind: KindStrings, Default: []string(nil),
		Effect: Needless, Why: noDirty,
		Doc: "An app for dirty workers: `module:Class` or `module:Class:N`. May be given several times.",
	},
	{
		Name: "dirty_workers", Section: sectionDirty,
		Flags: []string{"--dirty-workers"}, Metavar: "INT", Kind: KindInt, Default: 0,
		Effect: Refused, Why: "Indrik has no dirty workers: give long jobs to a task queue",
		Doc: "How many dirty workers to start.",
	},
	{
		Name: "dirty_timeout", Section: sectionDirty,
		Flags: []string{"--dirty-timeout"}, Metavar: "INT", Kind: KindInt, Default: 300,
		Effect: Needless, Why: noDirty,
		Doc: "How many seconds a job of a dirty worker may take.",
	},
	{
		Name: "dirty_threads", Section: sectionDirty,
		Flags: []string{"--dirty-threads"}, Metavar: "INT", Kind: KindInt, Default: 1,
		Effect: Needless, Why: noDirty,
		Doc: "How many jobs one dirty worker runs at the same time.",
	},
	{
		Name: "dirty_graceful_timeout", Section: sectionDirty,
		Flags: []string{"--dirty-graceful-timeout"}, Metavar: "INT", Kind: KindInt, Default: 30,
		Effect: Needless, Why: noDirty,
		Doc: "How many seconds the jobs of a dirty worker have to finish when it is told to end.",
	},
	dirtyHook("on_dirty_starting", "arbiter", "Called before the dirty workers are started."),
	dirtyHook("dirty_post_fork", "arbiter, worker", "Called in a dirty worker that has just been forked."),
	dirtyHook("dirty_worker_init", "worker", "Called in a dirty worker that has loaded its apps."),
	dirtyHook("dirty_worker_exit", "arbiter, worker", "Called in a dirty worker that is about to end."),
}

func dirtyHook(name, args, doc string) Setting {
	s := hook(name, args, doc)
	s.Section, s.Effect, s.Why = sectionDirty, Needless, noDirty
	return s
}
