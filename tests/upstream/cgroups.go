package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// controlGroupRoot is where the hierarchies of cgroup v1 (each in its folder) or v2 are mounted.
const controlGroupRoot = "/sys/fs/cgroup"

// controlGroup is the group below which all pods of a node run; its name is the same for the same folder.
func controlGroup(folder string) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(folder)) // a hash takes everything
	return fmt.Sprintf("/windlass-upstream-%08x", hash.Sum32())
}

// controlGroups are the group's folders, one in each hierarchy.
func controlGroups(folder string) []string {
	if _, err := os.Stat(filepath.Join(controlGroupRoot, "cgroup.controllers")); err == nil {
		return []string{filepath.Join(controlGroupRoot, controlGroup(folder))}
	}
	hierarchies, _ := filepath.Glob(filepath.Join(controlGroupRoot, "*"))
	var found []string
	for _, hierarchy := range hierarchies {
		if _, err := os.Stat(filepath.Join(hierarchy, "cgroup.procs")); err == nil {
			found = append(found, filepath.Join(hierarchy, controlGroup(folder)))
		}
	}
	return found
}

func makeControlGroup(folder string) error {
	handDownControllers()
	for _, group := range controlGroups(folder) {
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot make a control group: %w", err)
		}
		// A cpuset starts empty, and an empty one takes no process.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(filepath.Dir(group), file)); err == nil {
				if err := os.WriteFile(filepath.Join(group, file), value, 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// handDownControllers asks cgroup v2 to give its groups their controllers; v1 has no such file. What cannot be had, the
// kubelet names.
func handDownControllers() {
	file, err := os.OpenFile(filepath.Join(controlGroupRoot, "cgroup.subtree_control"), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer file.Close()
	for _, controller := range []string{"cpuset", "cpu", "memory", "pids", "io", "hugetlb"} {
		_, _ = file.WriteString("+" + controller)
	}
}

// removeControlGroups ends every process of the groups and removes them, the innermost first.
func removeControlGroups(folder string) error {
	var failures []error
	for _, top := range controlGroups(folder) {
		var groups []string
		_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		slices.Reverse(groups)
		for _, group := range groups {
			failures = append(failures, removeControlGroup(group))
		}
	}
	return errors.Join(failures...)
}

// removeControlGroup waits a little: a killed process leaves its group only when the kernel has buried it.
func removeControlGroup(group string) error {
	const attempts, pause = 100, 20 * time.Millisecond
	var err error
	for range attempts {
		killAll(filepath.Join(group, "cgroup.procs"))
		if err = os.Remove(group); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(pause)
	}
	return err
}

func killAll(file string) {
	text, _ := os.ReadFile(file)
	for id := range strings.FieldsSeq(string(text)) {
		if id, err := strconv.Atoi(id); err == nil {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
	}
}
