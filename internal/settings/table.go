package settings

import "slices"

// The sections, in the order of the documentation.
const (
	sectionFile     = "Config File"
	sectionSocket   = "Server Socket"
	sectionWorkers  = "Worker Processes"
	sectionSelfCare = "Self-Care"
	sectionSecurity = "Security"
	sectionDebug    = "Debugging"
	sectionServer   = "Server Mechanics"
	sectionLogging  = "Logging"
	sectionNaming   = "Process Naming"
	sectionTLS      = "SSL"
	sectionHTTP2    = "HTTP/2"
	sectionControl  = "Control"
	sectionDirty    = "Dirty Arbiters"
	sectionHooks    = "Server Hooks"
)

const defaultAccessLogFormat = `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`

// Table holds every setting. Its order is that of --help, and the order in
// which the values of a layer are checked.
var Table = slices.Concat(
	fileSettings, socketSettings, workerSettings, selfCareSettings, securitySettings, debugSettings, serverSettings,
	loggingSettings, namingSettings, tlsSettings, http2Settings, controlSettings, dirtySettings, hookSettings,
)
