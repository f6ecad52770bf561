package settings

var hookSettings = []Setting{
	hook("on_starting", "server", "Called in the beginning, before the sockets are opened."),
	hook("on_reload", "server", "Called in each reload, before the new workers are forked."),
	hook("when_ready", "server", "Called when the sockets listen, before the first worker is forked."),
	hook("pre_fork", "server, worker", "Called before a worker is forked."),
	hook("post_fork", "server, worker", "Called in a worker that has just been forked, with the rights of the master."),
	hook("post_worker_init", "worker", "Called in a worker that has loaded the app."),
	hook("worker_int", "worker", "Called in a worker that got INT or QUIT."),
	hook("worker_abort", "worker", "Called in a worker that got ABRT, which is how a timeout ends it."),
	hook("pre_exec", "server", "Called before the master of an upgrade is started."),
	hook("pre_request", "worker, req", "Called before a request is given to the app."),
	hook("post_request", "worker, req, environ, resp", "Called after a request. It may take 2, 3 or 4 parameters."),
	hook("child_exit", "server, worker", "Called after a worker has ended, in its parent."),
	hook("worker_exit", "server, worker", "Called in a worker that is about to end."),
	{
		Name: "after_refork", Section: sectionHooks, Kind: KindHook, Args: "server, worker", Added: true,
		Doc: "Called in a worker that is about to become a template, when it has served its last request: closes connections and ends threads, which the workers that it forks must not share. See [selfcare.md](selfcare.md#sharing-memory).",
	},
	hook("nworkers_changed", "server, new_value, old_value", "Called when the number of workers that should run changes. The first time `old_value` is None."),
	hook("on_exit", "server", "Called last, before the master ends."),
	{
		Name: "ssl_context", Section: sectionHooks, Kind: KindHook, Args: "config, default_ssl_context_factory",
		Doc: "Called with `certfile` to make an `ssl.SSLContext`, once for each configuration. The certificate, CAs, ciphers, least version and " +
			"whether clients need a certificate are taken from it.",
		Note: "TLS is not served by Python's ssl module: a setting of the context that cannot be taken over is an error, see hooks.md.",
	},
}

func hook(name, args, doc string) Setting {
	return Setting{Name: name, Section: sectionHooks, Kind: KindHook, Args: args, Doc: doc}
}
