package metrics

import dto "github.com/prometheus/client_model/go"

// A Metric is a row of the table.
type Metric struct {
	Name   string
	Type   dto.MetricType
	Labels []string // in alphabetical order
	Help   string   // with the unit
}

const (
	counter   = dto.MetricType_COUNTER
	gauge     = dto.MetricType_GAUGE
	histogram = dto.MetricType_HISTOGRAM
)

// Table is all metrics of the server, in the order of their pages: by name.
var Table = []Metric{
	{"indrik_build_info", gauge, []string{"goversion", "version"}, "1; the versions of the server, and of Go that it was built with"},
	{"indrik_busy_ratio", gauge, nil, "The share of the capacity of the workers that was in use, 0 to 1, over the last 10 seconds or more"},
	{"indrik_busy_seconds_total", counter, nil, "Seconds of the capacity of the workers that were in use; divided by the capacity this is the busy share"},
	{"indrik_canaries_total", counter, []string{"result"}, "Trials of new workers: passed, failed, would_fail (in a dry run)"},
	{"indrik_canary_failures", gauge, []string{"side"}, "Failed requests of the new and the old workers in the trial that is under way (canary); 0: there is none"},
	{"indrik_canary_requests", gauge, []string{"side"}, "Requests of the new and the old workers in the trial that is under way (canary); 0: there is none"},
	{"indrik_capacity_seconds_total", counter, nil, "Seconds of capacity: each second counts once for each slot of ready workers, and for each event loop"},
	{"indrik_connections", gauge, []string{"state"}, "Connections of clients: handshake, idle (between requests), reading, running, writing, websocket, http2"},
	{"indrik_connections_opened_total", counter, nil, "Connections that were accepted"},
	{"indrik_front_cpu_seconds_total", counter, nil, "Processor time of the front, in seconds"},
	{"indrik_front_goroutines", gauge, nil, "Goroutines of the front"},
	{"indrik_front_resident_memory_bytes", gauge, nil, "Resident memory of the front, in bytes"},
	{"indrik_front_start_time_seconds", gauge, nil, "When this front began to count, in seconds since 1970"},
	{"indrik_generation", gauge, nil, "The generation of the workers that serve; it grows with each reload"},
	{"indrik_http_request_app_seconds", histogram, nil, "How long requests ran in workers, in seconds"},
	{"indrik_http_request_balancer_seconds", histogram, nil, "How long requests took from when a proxy got them, as it says in X-Request-Start, until their head was here, in seconds"},
	{"indrik_http_request_body_bytes_total", counter, nil, "Bytes of the bodies of requests"},
	{"indrik_http_request_duration_seconds", histogram, []string{"class"}, "How long requests took, from their head to the end of the response as it came from the worker, in seconds, by the class of the status (2xx)"},
	{"indrik_http_request_queue_seconds", histogram, nil, "How long requests waited for a worker, in seconds"},
	{"indrik_http_requests_cancelled_total", counter, nil, "Requests that were not answered, since their clients left before a worker had begun them"},
	{"indrik_http_requests_in_flight", gauge, nil, "Requests that wait for a worker or run"},
	{"indrik_http_requests_reassigned_total", counter, nil, "Requests that were given to another worker, since the first one had not begun them"},
	{"indrik_http_requests_total", counter, []string{"kind", "method", "status"}, "Responses, by what the client used (http1, http2, websocket, uwsgi, scgi, fastcgi), method (other: not one of RFC 9110; none: it could not be read) and status"},
	{"indrik_http_response_body_bytes_total", counter, nil, "Bytes of the bodies of responses"},
	{"indrik_http_response_first_byte_seconds", histogram, nil, "How long it took from the head of a request to that of its response, in seconds"},
	{"indrik_last_reload_successful", gauge, nil, "1 if the last reload succeeded, or there was none; 0 if it failed"},
	{"indrik_last_reload_timestamp_seconds", gauge, nil, "When the last reload ended, in seconds since 1970; 0: there was none"},
	{"indrik_master_up", gauge, nil, "1 if the master has said what it knows; 0: what is of the master is missing"},
	{"indrik_pool_busy", gauge, []string{"pool"}, "Calls that run in the workers of a pool"},
	{"indrik_pool_calls_total", counter, []string{"outcome", "pool"}, "Calls of a pool: done, raised, timeout, cancelled, full (of calls that wait), refused (no such app, or no worker that hosts it), died (with the worker)"},
	{"indrik_pool_run_seconds_total", counter, []string{"pool"}, "Seconds that calls of a pool took in its workers, together"},
	{"indrik_pool_wait_seconds_total", counter, []string{"pool"}, "Seconds that calls of a pool waited for a worker, together"},
	{"indrik_pool_waiting", gauge, []string{"pool"}, "Calls that wait for a worker of a pool"},
	{"indrik_pool_workers", gauge, []string{"pool"}, "Workers of a pool that have their apps and are not told to end"},
	{"indrik_quarantine_dry_run_total", counter, nil, "Quarantines that would have begun without selfcare_dry_run"},
	{"indrik_quarantined", gauge, nil, "Quarantines that are under way: requests that are answered with 503, since workers have died of them"},
	{"indrik_quarantines_total", counter, nil, "Quarantines that have begun"},
	{"indrik_queue_length", gauge, nil, "Requests that no worker has begun"},
	{"indrik_queue_oldest_seconds", gauge, nil, "How long the oldest of these has waited, in seconds"},
	{"indrik_ready", gauge, nil, "1 if /readyz says that the server is ready"},
	{"indrik_reforks_total", counter, []string{"result"}, "Workers that were to become templates: success, failure"},
	{"indrik_refusals_total", counter, []string{"reason"}, "Requests and connections that were refused: queue_full, queue_timeout, no_workers, shutdown, client_connections, client_streams, memory, quarantine"},
	{"indrik_reloads_total", counter, []string{"result"}, "Reloads: success, failure"},
	{"indrik_start_time_seconds", gauge, nil, "When the server was started, in seconds since 1970"},
	{"indrik_stash_bytes", gauge, nil, "Bytes in the stash"},
	{"indrik_template_proportional_memory_bytes", gauge, nil, "Memory of the template that forks the workers, in which what it shares counts in part (PSS), in bytes; 0: there is none"},
	{"indrik_timeouts_total", counter, []string{"cause"}, "What took longer than a setting allows: app (timeout), graceful (graceful_timeout), handshake, header, body, write"},
	{"indrik_worker_cpu_seconds_total", counter, []string{"worker"}, "Processor time of a worker, in seconds"},
	{"indrik_worker_deaths_total", counter, []string{"cause"}, "Workers that died and were not to: boot (before they were ready), exit, signal, oom (out of memory), max_worker_memory_hard, timeout, graceful_timeout (they did not end in time), protocol (they broke it)"},
	{"indrik_worker_errors_total", counter, []string{"worker"}, "Requests of a worker in which the app failed"},
	{"indrik_worker_loop_lag_seconds", gauge, []string{"worker"}, "How late the event loop of a worker was lately, or for how long it has not turned, in seconds; of multiplexed workers"},
	{"indrik_worker_pid", gauge, []string{"worker"}, "The pid of a worker"},
	{"indrik_worker_proportional_memory_bytes", gauge, []string{"worker"}, "Memory of a worker in which what it shares counts in part (PSS), in bytes"},
	{"indrik_worker_requests_in_flight", gauge, []string{"worker"}, "Requests that a worker runs, or that wait in it"},
	{"indrik_worker_requests_total", counter, []string{"worker"}, "Requests that a worker has answered"},
	{"indrik_worker_resident_memory_bytes", gauge, []string{"worker"}, "Resident memory of a worker, in bytes"},
	{"indrik_worker_start_time_seconds", gauge, []string{"worker"}, "When a worker became ready, in seconds since 1970"},
	{"indrik_workers", gauge, []string{"state"}, "Workers: booting, ready, leaving"},
	{"indrik_workers_least", gauge, nil, "How many workers there are at least; where their number does not follow the load, the target"},
	{"indrik_workers_most", gauge, nil, "How many workers there are at most; where their number does not follow the load, the target"},
	{"indrik_workers_offered", gauge, nil, "Slots of workers that the requests would keep busy; 0 where the number of workers does not follow the load"},
	{"indrik_workers_recycle_dry_run_total", counter, []string{"reason"}, "Workers that would have been replaced without selfcare_dry_run, by the setting that is the reason"},
	{"indrik_workers_recycle_due", gauge, nil, "Workers that are to be replaced and wait for a place in recycle_budget"},
	{"indrik_workers_recycled_total", counter, []string{"reason"}, "Workers that were replaced, or killed with max_worker_memory_hard, by the setting that is the reason; refork_after also by command"},
	{"indrik_workers_rescaled_total", counter, []string{"direction"}, "How often the number of workers followed the load: up, down"},
	{"indrik_workers_started_total", counter, nil, "Workers that were started"},
	{"indrik_workers_target", gauge, nil, "How many workers there should be"},
}
