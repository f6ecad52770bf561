package settings

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// inShell runs a shell, in a directory of its own with the script in
// .completion, and returns the lines that it prints. It skips if the shell is
// not installed.
func inShell(t *testing.T, shell string, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("%s is not installed", shell)
	}
	dir := t.TempDir()
	for _, name := range []string{"app.py", "two words.conf", "log.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	completion, err := Completion(shell, "indrik")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".completion"), []byte(completion), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=dumb", "LANG=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", shell, err, out)
	}
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(s string) bool { return s == "" })
}

// completions are words, the last of which is to be completed, and what that
// has to give. What begins with ! must not be there.
var completions = []struct {
	words string
	want  string
}{
	{"indrik --wor", "--workers --worker-class --worker-connections --worker-affinity --worker-memory-measure --worker-tmp-dir --worker-no-new-privs"},
	{"indrik --limit-request-field", "--limit-request-fields --limit-request-field_size"},
	{"indrik --print-", "--print-config --print-completion"},
	{"indrik -k gt", "gthread"},
	{"indrik --workers a", "auto"},
	{"indrik --header-map ", "drop refuse dangerous"},
	{"indrik --log-level w", "warning"},
	{"indrik --print-completion ", "bash zsh fish"},
	{"indrik --user roo", "root"},
	{"indrik --config lo", "log.txt"},
	{"indrik --chdir s", "sub !log.txt"},
	{"indrik --daemon a", "app"},
	{"indrik --daemon --thr", "--threads"},
	{"indrik a", "app !app.py"},
	{"indrik to", "top"},
	{"indrik st", "status stop"},
	{"indrik --daemon st", "!status"},
}

func checkCompletion(t *testing.T, shell, words, want string, got []string) {
	t.Helper()
	n := 0
	for word := range strings.FieldsSeq(want) {
		if name, not := strings.CutPrefix(word, "!"); not {
			if slices.Contains(got, name) {
				t.Errorf("%s: %q offers %s", shell, words, name)
			}
			continue
		}
		n++
		if !slices.Contains(got, word) {
			t.Errorf("%s: %q does not offer %s: %q", shell, words, word, got)
		}
	}
	if len(got) != n {
		t.Errorf("%s: %q offers %q, want %s", shell, words, got, want)
	}
}

func TestBashCompletion(t *testing.T) {
	ask := func(words string) []string {
		// As readline splits them.
		split := strings.Split(strings.ReplaceAll(words, "=", " = "), " ")
		if strings.HasSuffix(words, "=") {
			split = split[:len(split)-1]
		}
		return inShell(t, "bash", "--norc", "-c", fmt.Sprintf(`. ./.completion; COMP_WORDS=(%s); COMP_CWORD=%d; _indrik; printf '%%s\n' "${COMPREPLY[@]}"`,
			"'"+strings.Join(split, "' '")+"'", len(split)-1))
	}
	for _, c := range completions {
		checkCompletion(t, "bash", c.words, c.want, ask(c.words))
	}
	checkCompletion(t, "bash", "indrik --asgi-loop=uv", "uvloop", ask("indrik --asgi-loop=uv"))
	checkCompletion(t, "bash", "indrik --asgi-loop=", "auto asyncio uvloop", ask("indrik --asgi-loop="))
	if got := ask("indrik -c two"); !slices.Equal(got, []string{"two words.conf"}) {
		t.Errorf("a name with a space: %q", got)
	}
	if got := ask("indrik --timeout 3"); len(got) != 0 {
		t.Errorf("a number: %q", got)
	}
}

func TestFishCompletion(t *testing.T) {
	for _, c := range completions {
		got := inShell(t, "fish", "--no-config", "-c", fmt.Sprintf("source ./.completion; complete -C '%s'", c.words))
		for i, line := range got { // a word, a tab, what it means
			got[i], _, _ = strings.Cut(line, "\t")
			got[i] = strings.TrimSuffix(got[i], "/")
		}
		checkCompletion(t, "fish", c.words, c.want, got)
	}
}

// zsh completes only in its line editor: one runs on a pseudo terminal, and
// what it would insert is caught where the completion functions hand it over.
const inZsh = `
zmodload zsh/zpty zsh/zselect
zpty z zsh -f
zpty -w z 'PS1= PROMPT_EOL_MARK=; autoload -U compinit; compinit -u -D; source ./.completion
compadd() {
    case " $* " in *" -O "*|*" -A "*|*" -D "*) builtin compadd "$@"; return;; esac
    builtin compadd -O caught "$@"; print -l -r -- "${caught[@]}" >> ./caught; builtin compadd "$@"
}
tab() { zle complete-word; print end >> ./caught; zle kill-whole-line; }
zle -N tab; bindkey "^I" tab; stty -echo; setopt NO_LIST_BEEP; LISTMAX=9999
print ready-now'
zpty -r -m z line '*ready-now*'
for words in "$@"; do
    rm -f ./caught
    zpty -w -n z "$words"$'\t'
    until grep -qs '^end$' ./caught; do
        zpty -rt z line
        zselect -t 1
    done
    print -- "= $words"
    grep -v '^end$' ./caught | sort -u
done
zpty -d z
`

func TestZshCompletion(t *testing.T) {
	args := []string{"-f", "-c", inZsh, "zsh"}
	for _, c := range completions {
		args = append(args, c.words)
	}
	offered := map[string][]string{}
	words := ""
	for _, line := range inShell(t, "zsh", args...) {
		if rest, ok := strings.CutPrefix(line, "= "); ok {
			words = rest
		} else {
			offered[words] = append(offered[words], line)
		}
	}
	for _, c := range completions {
		checkCompletion(t, "zsh", c.words, c.want, offered[c.words])
	}
}

func TestCompletionError(t *testing.T) {
	if _, err := Completion("tcsh", "indrik"); err == nil {
		t.Error("a shell that is not known")
	}
	for _, shell := range shells {
		text, err := Completion(shell, "indrik")
		if err != nil || strings.Contains(text, "`") {
			t.Errorf("%s: %v, or a mark of Markdown", shell, err)
		}
		for _, s := range completed() {
			for _, flag := range s.Flags {
				if shell == "fish" {
					flag = " " + strings.TrimPrefix(flag, "-")
				}
				if !strings.Contains(text, strings.ReplaceAll(flag, " -", " -l ")) && !strings.Contains(text, flag) {
					t.Errorf("%s: %s is missing", shell, flag)
				}
			}
		}
	}
}
