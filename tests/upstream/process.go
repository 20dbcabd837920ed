package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a started program whose output goes to a file of its own.
type process struct {
	name    string
	command *exec.Cmd
	log     string
	// ended is closed once the program has ended.
	ended chan struct{}
	// replaced is set before the process is killed to be started again: then its end is nobody's failure.
	replaced atomic.Bool
}

// start starts a program in a process group of its own, so that a terminal's Ctrl-C reaches only the one that
// decides the order of ending.
func start(name, log, program string, arguments ...string) (*process, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return nil, err
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr = output, output
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", parentVariable, os.Getpid()))
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	started := &process{name: name, command: command, log: log, ended: make(chan struct{})}
	go func() {
		// How it ended stands in command.ProcessState.
		_ = command.Wait()
		close(started.ended)
	}()
	return started, nil
}

// startComponent starts this binary again as one of upstream's programs.
func startComponent(name, logs string, arguments []string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(name, filepath.Join(logs, name+".log"), self, append([]string{name}, arguments...)...)
}

// failure says how a process that should still run ended, with the end of its log.
func (p *process) failure() error {
	return fmt.Errorf("%s ended (%s); the end of %s:\n%s", p.name, p.command.ProcessState, p.log, tail(p.log))
}

// stop asks all to end at once and kills those that have not within the grace.
func stop(processes []*process, grace time.Duration) {
	for _, p := range processes {
		_ = p.command.Process.Signal(syscall.SIGTERM)
	}
	timer := time.After(grace)
	for _, p := range processes {
		select {
		case <-p.ended:
			continue
		case <-timer:
			// The time is over for the rest too.
			expired := make(chan time.Time)
			close(expired)
			timer = expired
		}
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// onEndOf calls back once when the process with this id, which must be an ancestor or a child, has ended.
func onEndOf(id int, callback func()) error {
	descriptor, err := unix.PidfdOpen(id, 0)
	if errors.Is(err, unix.ESRCH) {
		go callback()
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot watch process %d: %w", id, err)
	}
	go func() {
		waitForEnd(descriptor, -1)
		callback()
	}()
	return nil
}

// waitForEnd waits until the process behind the descriptor has ended, at most so many milliseconds (-1: for ever),
// and tells whether it has. It closes the descriptor.
func waitForEnd(descriptor, milliseconds int) bool {
	defer unix.Close(descriptor)
	watched := []unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}
	for {
		ready, err := unix.Poll(watched, milliseconds)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && ready > 0
	}
}

// startTime is the start of a process in clock ticks since boot, which with its id names it for good.
func startTime(id int) (string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/stat")
	if err != nil {
		return "", err
	}
	// The command's name, in parentheses, may hold anything; the start is the 20th field after it.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	fields := strings.Fields(rest)
	const place = 19
	if len(fields) <= place {
		return "", fmt.Errorf("/proc/%d/stat is not understood", id)
	}
	return fields[place], nil
}

// tail is the last part of a log, for an error's text.
func tail(path string) string {
	const most = 2000
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
