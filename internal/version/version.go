// Package version holds the version of Indrik, for everything that names it.
package version

// Version is the version of this program.
const Version = "0.1.0"
