package teu

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

func config(args string) []byte {
	return []byte(fmt.Sprintf(`{"ociVersion":"1.3.0","root":{"path":"rootfs"},"process":{"cwd":"/","args":["/guest"%s]},
		"linux":{"cgroupsPath":"/teu-go-%d/c","namespaces":[{"type":"pid"},{"type":"mount"}]}}`, args, os.Getpid()))
}

func context(t *testing.T) *Context {
	c, err := New(os.Getenv("TEU_TEST_ROOT"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAContainerFromCreationToRemoval(t *testing.T) {
	reader, writer, _ := os.Pipe()
	bundle := os.Getenv("TEU_TEST_BUNDLE")
	c, err := context(t).Create("life", Options{Bundle: bundle, Config: config(`,"say","hello"`), Stdio: map[int]*os.File{1: writer}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	writer.Close()
	if state, err := c.State(); err != nil || state.Status != Created || c.ID() != "life" {
		t.Fatal(state, err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if said, _ := io.ReadAll(reader); string(said) != "hello" {
		t.Fatalf("%q", said)
	}
	if exit, err := c.Wait(0); err != nil || exit.Status != 0 {
		t.Fatal(exit, err)
	}
	if err := c.Delete(false); err != nil {
		t.Fatal(err)
	}
}

func TestManyGoroutines(t *testing.T) {
	all, bundle := context(t), os.Getenv("TEU_TEST_BUNDLE")
	var group sync.WaitGroup
	for i := 0; i < 16; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			c, err := all.Create(fmt.Sprintf("many%d", i), Options{Bundle: bundle, Config: config(`,"sleep"`)[:0]})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if err := c.Start(); err != nil {
				t.Error(err)
			}
			if exit, err := c.Wait(0); err != nil || exit.Code != 3 {
				t.Error(exit, err)
			}
			if err := c.Delete(true); err != nil {
				t.Error(err)
			}
		}(i)
	}
	group.Wait()
}

func TestLimitsEventsAndMounts(t *testing.T) {
	all, bundle := context(t), os.Getenv("TEU_TEST_BUNDLE")
	c, err := all.Create("events", Options{Bundle: bundle, Config: config(`,"sleep"`)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	events, err := c.Events()
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.Update([]byte(`{"pids":{"limit":50}}`)); err != nil {
		t.Fatal(err)
	}
	if stats, err := c.Stats(); err != nil || stats.ProcessLimit != 50 || stats.Processes != 1 {
		t.Fatal(stats, err)
	}
	mounts := []byte(`[{"destination":"/go","type":"tmpfs","source":"tmpfs"}]`)
	if err := c.AddMounts(mounts); err != nil {
		t.Fatal(err)
	}
	if exit, err := c.Exec([]string{"/guest", "mkdir", "/go/x"}, nil); err != nil || exit.Code != 0 {
		t.Fatal(exit, err)
	}
	if err := c.RemoveMounts(mounts); err != nil {
		t.Fatal(err)
	}
	if exit, err := c.Exec([]string{"/guest", "is", "/go/x"}, nil); err != nil || exit.Code != 1 {
		t.Fatal(exit, err)
	}
	if err := c.Kill(int(syscall.SIGKILL), false); err != nil {
		t.Fatal(err)
	}
	for {
		event, err := events.Wait(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if event.Type == EventExit {
			break
		}
	}
	if err := c.Delete(true); err != nil {
		t.Fatal(err)
	}
}

func TestFailuresAndSignals(t *testing.T) {
	all, bundle := context(t), os.Getenv("TEU_TEST_BUNDLE")
	var failed *Error
	if _, err := all.Open("nobody"); !errors.As(err, &failed) || failed.Code != ENOTFOUND {
		t.Fatal(err)
	}
	if _, err := all.Create("bad", Options{Bundle: bundle, Config: []byte(`{"ociVersion":"1.3.0","hostname":"a\u0000"}`)}); !errors.As(err, &failed) || failed.Pointer != "/hostname" {
		t.Fatal(err)
	}
	c, err := all.Create("signals", Options{Bundle: bundle, Config: config(`,"sleep"`)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(time.Millisecond); !errors.As(err, &failed) || failed.Code != ETIMEDOUT {
		t.Fatal(err)
	}
	if exit, err := c.Exec([]string{"/guest", "exit", "6"}, nil); err != nil || exit.Code != 6 {
		t.Fatal(exit, err)
	}
	if err := c.Kill(int(syscall.SIGKILL), false); err != nil {
		t.Fatal(err)
	}
	if exit, err := c.Wait(0); err != nil || exit.Signal != int(syscall.SIGKILL) {
		t.Fatal(exit, err)
	}
	if err := c.Delete(true); err != nil {
		t.Fatal(err)
	}
}
