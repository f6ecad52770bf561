// Package appmetrics reads the values that an app's workers keep with the Python library
// prometheus_client, and adds them up over all processes.
//
// In its multi-process mode that library keeps the values of each process in files which it
// maps: one for each type of metric, and one for each mode of gauges. A [Directory] is where
// these files are, a [Merger] adds up what is in them by the rules of the library's
// MultiProcessCollector, and a [Condenser] makes one file of those that ended processes have left
// behind, so that workers which are replaced all the time leave neither files nor gaps.
//
// All files are written by workers, which are hostile: a directory opens only regular files of
// the user whose files they are, a file is read up to a size, never mapped, and what makes no
// sense is left out and told once. The files are being written to while they are read.
//
// Try it with go test ./internal/appmetrics.
package appmetrics
