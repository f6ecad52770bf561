// Package python holds what Indrik runs in the app's own interpreter: the
// spawner and the workers. The master starts it with
//
//	PYTHON -c Bootstrap
//
// with the control socket at descriptor 3 and a file that holds [Bundle] at
// descriptor 4. Nothing is installed or written to disk. Arguments behind
// Bootstrap become sys.argv.
//
// Try it with go test ./python, which runs the Python tests too.
package python

import (
	"embed"
	"io/fs"
	"strings"

	"indrik/internal/wire"
)

//go:embed indrik/*.py indrik/*/*.py
var sources embed.FS

// Bootstrap is the program that the interpreter is given: it makes the modules
// of a bundle importable from memory, and runs the spawner. It must parse
// under any Python, in order to refuse those that are too old.
//
//go:embed bootstrap.py
var Bootstrap string

// Bundle returns the modules as a marshal dict, from module name to source.
func Bundle() []byte {
	b := wire.AppendDict(nil)
	err := fs.WalkDir(sources, "indrik", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		source, err := sources.ReadFile(path)
		name := strings.ReplaceAll(strings.TrimSuffix(path, ".py"), "/", ".")
		b = wire.AppendKey(b, strings.TrimSuffix(name, ".__init__"))
		b = wire.AppendBytes(b, source)
		return err
	})
	if err != nil {
		panic("python: " + err.Error()) // it is part of the binary
	}
	return wire.AppendDictEnd(b)
}
