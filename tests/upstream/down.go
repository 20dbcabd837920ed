package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// downGrace is how long a running fixture may take to end by itself; it covers the end of its pods.
const downGrace = 40 * time.Second

// killGrace is how long the kernel may take to bury a process that was killed.
const killGrace = 10 * time.Second

// down ends the fixture of a directory by its recorded process, removes what a killed one left behind, and then the
// directory itself.
func down(directory string) error {
	id, started, err := recorded(directory)
	if err != nil {
		return err
	}
	if err := end(id, started); err != nil {
		return err
	}
	if err := sweep(directory); err != nil {
		return err
	}
	return os.RemoveAll(directory)
}

// end ends exactly the process that was recorded; another one that has got its id since is left alone.
func end(id int, started string) error {
	descriptor, err := unix.PidfdOpen(id, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot watch process %d: %w", id, err)
	}
	if now, err := startTime(id); err != nil || now != started {
		return unix.Close(descriptor)
	}
	killer, err := unix.Dup(descriptor)
	if err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(descriptor, unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return errors.Join(fmt.Errorf("cannot end process %d: %w", id, err), unix.Close(descriptor), unix.Close(killer))
	}
	if waitForEnd(descriptor, int(downGrace.Milliseconds())) {
		return unix.Close(killer)
	}
	if err := unix.PidfdSendSignal(killer, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return errors.Join(fmt.Errorf("cannot kill process %d: %w", id, err), unix.Close(killer))
	}
	// As long as it is there, it may make anew what is about to be removed.
	if !waitForEnd(killer, int(killGrace.Milliseconds())) {
		return fmt.Errorf("process %d was killed and has not ended within %s", id, killGrace)
	}
	return nil
}

// recordFile holds the id and the start time of the process that runs a fixture.
const recordFile = "process"

// record is an error where something is recorded already: of two that want a directory, one gets it.
func record(directory string, id int) error {
	started, err := startTime(id)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(directory, recordFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%d %s\n", id, started)
	return errors.Join(err, file.Close())
}

func recorded(directory string) (id int, started string, err error) {
	text, err := os.ReadFile(filepath.Join(directory, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", fmt.Errorf("%s: %w", directory, errNothing)
	}
	if err != nil {
		return 0, "", err
	}
	if _, err := fmt.Sscan(string(text), &id, &started); err != nil {
		return 0, "", fmt.Errorf("%s/%s is not understood: %w", directory, recordFile, err)
	}
	return id, started, nil
}
