package master

import "syscall"

// The actions of signals, by the name that docs/signals.md gives them.
var (
	ignore   = action{"ignored", func(*Master) {}}
	deferred = action{"done once running", nil}
	depart   = action{"graceful shutdown", (*Master).depart}
	drain    = action{"drain at once", (*Master).drain}
	quit     = action{"quick shutdown", (*Master).quit}
	hasten   = action{"quick shutdown", (*Master).hasten}
	reload   = action{"reload", (*Master).reload}
	restart  = action{"reload again", (*Master).reload}
	restore  = action{"workers come back", (*Master).restore}
	more     = action{"one worker more", (*Master).moreWorkers}
	fewer    = action{"one worker fewer", (*Master).fewerWorkers}
	one      = action{"one worker comes back", (*Master).restoreOne}
	reopen   = action{"log files reopened", (*Master).reopenLogs}
	upgrade  = action{"upgrade", (*Master).upgrade}
	pause    = action{"workers leave", (*Master).pause}
)

// The reactions to other events, by the name that docs/architecture.md gives them. What a
// name leaves open, such as a pause before something is made anew, is in the function.
var (
	nothing      = reaction{"nothing", func(*Master, occurrence) {}}
	goOn         = reaction{"end goes on", func(m *Master, _ occurrence) { m.exitIfDone() }}
	bootStep     = reaction{"serves; all: running", (*Master).bootWorker}
	serve        = reaction{"serves", (*Master).useWorker}
	count        = reaction{"serves, or counted", (*Master).countWorker}
	endOrReplace = reaction{"start fails, or replaced", (*Master).failOrReplace}
	replace      = reaction{"replaced", (*Master).replaceWorker}
	countDeath   = reaction{"counted, and replaced", (*Master).countDeath}
	failOr       = reaction{"replaced, or reload fails", (*Master).replaceOrFail}
	lose         = reaction{"generation lost", (*Master).loseSpawner}
	endStart     = reaction{"start fails", (*Master).failLostBoot}
	rebuild      = reaction{"new generation", (*Master).rebuildLater}
	newFront     = reaction{"replaced", (*Master).replaceDeadFront}
	ifAlone      = reaction{"replaced, or nothing", (*Master).replaceFrontIfAlone}
	noFront      = reaction{"drained", (*Master).logFrontDeath}
	leave        = reaction{"workers leave", (*Master).letWorkersLeave}
	endAll       = reaction{"quitting", (*Master).endDrained}
	expire       = reaction{"504 for what runs", (*Master).expire}
	giveUp       = reaction{"as drained", (*Master).giveDrainUp}
	beginDrain   = reaction{"draining", func(m *Master, _ occurrence) { m.drain() }}
	newLogger    = reaction{"replaced", (*Master).replaceDeadLogger}
	tryOr        = reaction{"judging, or takes over: running", (*Master).tryOrTakeOver}
	takeOver     = reaction{"takes over: running", (*Master).takeOver}
	backToRun    = reaction{"running", (*Master).endReload}
	onceRunning  = reaction{"once running", func(*Master, occurrence) {}}
	reloadSoon   = reaction{"reload due", (*Master).reloadSoon}
	reloadCode   = reaction{"reload", func(m *Master, _ occurrence) { m.replaceGeneration(true) }}
	pauseNow     = reaction{"WINCH done", (*Master).pauseForSuccessor}
	dropPause    = reaction{"WINCH forgotten", (*Master).dropPause}
	keepWorkers  = reaction{"WINCH dropped", (*Master).keepWorkers}
	serveAlone   = reaction{"workers come back", (*Master).serveAlone}
	becomeOnly   = reaction{"only master", (*Master).becomeOnly}
	follow       = reaction{"workers follow", (*Master).followLoad}
	wake         = reaction{"a worker, if there is none", (*Master).wakeForLoad}
)

// Actions and reactions lead back to the tables by way of enter and on, so these cannot
// be initialized where they are declared.
func init() {
	// docs/signals.md holds the same table for people; a test compares them. Conditions
	// beyond the state (a successor is alive, the master is a daemon) are checked by the
	// action.
	signals = map[syscall.Signal][len(stateNames)]action{
		//                booting   running  reloading judging  paused   departing draining quitting
		syscall.SIGTERM:  {depart, depart, depart, depart, depart, drain, ignore, ignore},
		syscall.SIGINT:   {quit, quit, quit, quit, quit, quit, hasten, hasten},
		syscall.SIGQUIT:  {quit, quit, quit, quit, quit, quit, hasten, hasten},
		syscall.SIGHUP:   {deferred, reload, restart, restart, restore, ignore, ignore, ignore},
		syscall.SIGTTIN:  {more, more, more, more, one, ignore, ignore, ignore},
		syscall.SIGTTOU:  {fewer, fewer, fewer, fewer, ignore, ignore, ignore, ignore},
		syscall.SIGUSR1:  {reopen, reopen, reopen, reopen, reopen, reopen, reopen, reopen},
		syscall.SIGUSR2:  {deferred, upgrade, upgrade, deferred, upgrade, ignore, ignore, ignore},
		syscall.SIGWINCH: {ignore, pause, pause, pause, ignore, ignore, ignore, ignore},
	}
	// docs/architecture.md holds the same table for people; a test compares them, too.
	// Where a reaction has two outcomes the generation decides, or how the worker ended.
	events = map[event][len(stateNames)]reaction{
		//                booting       running      reloading    judging      paused       departing    draining     quitting
		workerReady:     {bootStep, count, count, serve, count, serve, serve, nothing},
		workerExited:    {endOrReplace, failOr, failOr, countDeath, failOr, replace, replace, goOn},
		spawnerExited:   {lose, lose, lose, lose, lose, lose, lose, nothing},
		generationLost:  {endStart, rebuild, nothing, nothing, nothing, nothing, nothing, nothing},
		frontExited:     {newFront, newFront, newFront, newFront, ifAlone, newFront, noFront, goOn},
		drained:         {nothing, nothing, nothing, nothing, leave, nothing, endAll, nothing},
		drainExpired:    {nothing, nothing, nothing, nothing, expire, nothing, expire, nothing},
		drainOverdue:    {nothing, nothing, nothing, nothing, giveUp, nothing, giveUp, nothing},
		delayOver:       {nothing, nothing, nothing, nothing, nothing, beginDrain, nothing, nothing},
		loggerExited:    {newLogger, newLogger, newLogger, newLogger, newLogger, newLogger, newLogger, goOn},
		candidateReady:  {nothing, takeOver, tryOr, nothing, takeOver, nothing, nothing, nothing},
		candidateFailed: {nothing, nothing, backToRun, backToRun, nothing, nothing, nothing, nothing},
		candidatePassed: {nothing, nothing, nothing, takeOver, nothing, nothing, nothing, nothing},
		codeChanged:     {onceRunning, reloadSoon, reloadSoon, reloadSoon, reloadSoon, reloadSoon, reloadSoon, reloadSoon},
		reloadDue:       {nothing, reloadCode, reloadCode, reloadCode, nothing, nothing, nothing, nothing},
		successorReady:  {dropPause, pauseNow, pauseNow, pauseNow, dropPause, dropPause, dropPause, dropPause},
		successorLeaves: {keepWorkers, keepWorkers, keepWorkers, keepWorkers, serveAlone, keepWorkers, nothing, nothing},
		successorExited: {keepWorkers, keepWorkers, keepWorkers, keepWorkers, serveAlone, keepWorkers, keepWorkers, keepWorkers},
		promoted:        {becomeOnly, becomeOnly, becomeOnly, becomeOnly, becomeOnly, becomeOnly, nothing, nothing},
		loadKnown:       {nothing, follow, follow, follow, wake, wake, wake, nothing},
	}
}
