// Package metrics counts what the front does for clients, and shows it, with what else is known
// of the server, in the formats that Prometheus reads.
//
// A [Recorder] is told of each response. It takes no lock, allocates nothing, and costs a tenth
// of a microsecond; a nil one does nothing. What clients and apps choose cannot make it larger:
// a method that is not one of HTTP's is "other", a status is one of five hundred, and a path is
// in no metric.
//
// A [Collector] makes the metrics of a recorder, of a status ([status.Status]) and of what the
// dispatcher has counted. Those who ask within a second get the same ones, and while it asks
// the master the others wait: many scrapers cost no more than one each second.
//
// Each metric has a row in [Table], as docs/observe.md has it. Counters of the front begin at 0
// with each front, those of the master with each master, and a reload resets none.
//
// Histograms are native ones, and classic ones for those who ask for text. The libraries are
// those that client_golang itself writes its pages with; its registry would only check what the
// table says.
package metrics
