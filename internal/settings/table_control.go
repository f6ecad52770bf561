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
