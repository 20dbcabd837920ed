package main

import (
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// schedulerArguments writes the scheduler's configuration and names it.
func schedulerArguments(directory, kubeconfig string) ([]string, error) {
	text, err := yaml.Marshal(map[string]any{
		"apiVersion":       "kubescheduler.config.k8s.io/v1",
		"kind":             "KubeSchedulerConfiguration",
		"leaderElection":   map[string]any{"leaderElect": false},
		"clientConnection": map[string]any{"kubeconfig": kubeconfig, "qps": 1000, "burst": 2000},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(directory, "scheduler.yaml")
	return []string{
		"--config=" + file,
		// It serves nobody here.
		"--bind-address=" + loopback,
		"--secure-port=0",
		"--cert-dir=" + filepath.Join(directory, "certs"),
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
	}, os.WriteFile(file, text, 0o600)
}
