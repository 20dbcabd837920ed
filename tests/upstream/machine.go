package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// This file undoes what a node changes outside its folder; its control groups are in cgroups.go.

// sweep undoes what a node left outside its folder, or what a killed one could not end: processes by their control
// group and by the runtime's socket, mounts by their place.
func sweep(directory string) error {
	folder := nodeFolder(directory)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	containerd := runtime{folder: filepath.Join(folder, "containerd")}
	if id, started, err := recorded(containerd.folder); err == nil {
		if err := end(id, started); err != nil {
			return err
		}
	}
	err := errors.Join(endShims(containerd), removeControlGroups(folder), unmountBelow(directory))
	return errors.Join(err, removeLogLinks(directory), restoreSettings(folder))
}

// settings are the kernel's that the kubelet and the network plugins set for the whole machine.
var settings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
	"kernel/keys/root_maxbytes", "net/ipv4/ip_forward",
}

// settingsFile holds their earlier values, one `path value` a line.
const settingsFile = "settings"

func rememberSettings(folder string) error {
	var text strings.Builder
	for _, setting := range settings {
		value, err := os.ReadFile(filepath.Join("/proc/sys", setting))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s %s\n", setting, strings.TrimSpace(string(value)))
	}
	return os.WriteFile(filepath.Join(folder, settingsFile), []byte(text.String()), 0o600)
}

// restoreSettings writes back only what has changed.
func restoreSettings(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var failures []error
	for line := range strings.Lines(string(text)) {
		setting, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		path := filepath.Join("/proc/sys", setting)
		if now, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(now)) != value {
			failures = append(failures, os.WriteFile(path, []byte(value), 0o644))
		}
	}
	return errors.Join(failures...)
}

// endShims ends the shims of exactly this runtime, whose command line names its socket, and removes their own sockets,
// which lie in a place that all runtimes of a machine share.
func endShims(containerd runtime) error {
	addresses, err := filepath.Glob(filepath.Join(containerd.folder, "state/io.containerd.runtime.v2.task/*/*/address"))
	if err != nil {
		return err
	}
	for _, file := range addresses {
		if address, err := os.ReadFile(file); err == nil {
			_ = os.Remove(strings.TrimPrefix(strings.TrimSpace(string(address)), "unix://"))
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		words := strings.Split(string(line), "\x00")
		address := slices.Index(words, "-address")
		if strings.Contains(words[0], "containerd-shim") && address >= 0 && words[address+1] == containerd.socket() {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
	}
	return nil
}

// unmountBelow unmounts everything in a directory, the last mounted first, and is an error while anything is left:
// what lies below would be deleted with the directory.
func unmountBelow(directory string) error {
	mounts, err := mountsBelow(directory)
	if err != nil {
		return err
	}
	slices.Reverse(mounts)
	for _, mount := range mounts {
		_ = unix.Unmount(mount, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	}
	if mounts, err = mountsBelow(directory); err == nil && len(mounts) > 0 {
		return fmt.Errorf("%s is still mounted", mounts[0])
	}
	return err
}

func mountsBelow(directory string) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		const place = 4
		fields := strings.Fields(lines.Text())
		if path := unescape.Replace(fields[place]); strings.HasPrefix(path, directory+"/") {
			found = append(found, path)
		}
	}
	return found, lines.Err()
}

// removeLogLinks removes the links that the kubelet makes in a place of the machine's.
func removeLogLinks(directory string) error {
	const place = "/var/log/containers"
	entries, _ := os.ReadDir(place) // absent: nothing to remove
	var failures []error
	for _, entry := range entries {
		link := filepath.Join(place, entry.Name())
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, directory+"/") {
			failures = append(failures, os.Remove(link))
		}
	}
	return errors.Join(failures...)
}
