package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// restartFile names the component that the fixture is asked to kill and start again. It is gone once that is done.
const restartFile = "restart"

// restartPatience is how long whoever asks for a restart waits for it.
const restartPatience = 30 * time.Second

// restart asks the fixture of a directory to kill a component and start it again, and returns when it has started.
// Whether it is ready is for the caller to ask.
func restart(directory, name string) error {
	if _, known := components[name]; !known {
		return fmt.Errorf("no component %q", name)
	}
	id, started, err := recorded(directory)
	if err != nil {
		return err
	}
	if now, err := startTime(id); err != nil || now != started {
		return fmt.Errorf("%s: %w", directory, errNothing)
	}
	file := filepath.Join(directory, restartFile)
	if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
		return err
	}
	if err := unix.Kill(id, syscall.SIGHUP); err != nil {
		return fmt.Errorf("cannot ask process %d: %w", id, err)
	}
	for end := time.Now().Add(restartPatience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return fmt.Errorf("%s was not restarted within %s", name, restartPatience)
}

// restartAsked does what the restart file says.
func (f *fixture) restartAsked() error {
	file := filepath.Join(f.directory, restartFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(string(text))
	old := f.named(name)
	if old == nil {
		return errors.Join(fmt.Errorf("no %s runs here", name), os.Remove(file))
	}
	old.replaced.Store(true)
	// As a crash would end it.
	if err := old.command.Process.Kill(); err != nil {
		return err
	}
	<-old.ended
	next, err := startComponent(name, f.logs, old.command.Args[2:])
	if err != nil {
		return err
	}
	for at, process := range f.processes {
		if process == old {
			f.processes[at] = next
		}
	}
	f.watch(next)
	return os.Remove(file)
}

// named is the running process of a component.
func (f *fixture) named(name string) *process {
	for _, process := range f.processes {
		if process.name == name {
			return process
		}
	}
	return nil
}
