package settings

import (
	"fmt"
	"strings"
)

// elsewhere are Gunicorn's settings that Indrik does not have.
var elsewhere = strings.Fields(`
	asgi_disconnect_grace_period asgi_lifespan asgi_loop capture_output control_socket control_socket_disable
	control_socket_mode dirty_apps dirty_graceful_timeout dirty_post_fork dirty_threads dirty_timeout
	dirty_worker_exit dirty_worker_init dirty_workers disable_redirect_access_to_syslog dogstatsd_tags
	enable_backlog_metric enable_stdio_inheritance http_parser logconfig logconfig_dict logconfig_json logger_class
	on_dirty_starting paste protocol raw_paste_global_conf reload reload_engine reload_extra_files reuse_port
	root_path spew ssl_context statsd_host statsd_prefix syslog syslog_addr syslog_facility syslog_prefix
	uwsgi_allow_ips worker_connections worker_tmp_dir`)

// unknownName is the warning about a name in the config file that is no
// setting, "" if it is like none: config files have variables of their own.
func unknownName(name, source string) string {
	for _, s := range elsewhere {
		if s == name {
			return fmt.Sprintf("setting '%s' in %s has no effect: Indrik does not have it", name, source)
		}
	}
	if near := nearest(name); near != "" {
		return fmt.Sprintf("unknown setting '%s' in %s: did you mean '%s'?", name, source, near)
	}
	return ""
}

// nearest is the setting whose name is most like name, "" if none is.
func nearest(name string) string {
	best, distance := "", max(1, len(name)/3)+1
	for i := range Table {
		if d := editDistance(strings.ToLower(name), Table[i].Name); d < distance {
			best, distance = Table[i].Name, d
		}
	}
	return best
}

// editDistance is the number of bytes to insert, delete, replace or swap with
// their neighbour to make a of b.
func editDistance(a, b string) int {
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
