package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNoApp(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.py":            "from fastapi import FastAPI\n\nweb: FastAPI = FastAPI()\n",
		"app.py":             "import flask\napp = flask.Flask(__name__)\n",
		"plain.py":           "def application(environ, start_response):\n    pass\n",
		"later.py":           "async def app(scope, receive, send):\n    pass\n",
		"made.py":            "def create_app():\n    app = Flask()\n    return app\n",
		"none.py":            "apples = 3\n",
		"test_app.py":        "app = 1\n",
		"shop/wsgi.py":       "application = get_wsgi_application()\n",
		"shop/settings.py":   "app = 1\n",
		"gunicorn.conf.py":   "app = 1\n",
		"unreadable.py/x.py": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := NoApp("indrik", dir)
	if want := "  Here are: app:app, later:app, made:'create_app()', main:web, plain:application, shop.wsgi:application\n"; !strings.Contains(got, want) {
		t.Errorf("%q", got)
	}
	if !strings.HasPrefix(got, "\nError: No application module specified.\n  Which app? indrik MODULE:APP, for instance indrik app:app") {
		t.Errorf("%q", got)
	}
	if got := NoApp("indrik", t.TempDir()); strings.Contains(got, "Here are") || !strings.HasSuffix(got, "--help has the rest.\n") {
		t.Errorf("%q", got)
	}
}
