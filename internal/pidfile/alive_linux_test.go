package pidfile

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	if !alive(os.Getpid()) || !alive(1) {
		t.Error("a living process is dead")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); alive(cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a zombie is alive")
		}
	}
	if err := syscall.Kill(cmd.Process.Pid, 0); err != nil {
		t.Errorf("kill finds no zombie: %s", err)
	}
	cmd.Wait()
	if alive(cmd.Process.Pid) {
		t.Error("a process that was reaped is alive")
	}
}

func TestThreadIsNoProcess(t *testing.T) {
	done := make(chan bool)
	tid := make(chan int)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- syscall.Gettid()
		<-done
	}()
	defer close(done)
	if id := <-tid; id != os.Getpid() && alive(id) {
		t.Error("a thread passes for a process")
	}
}
