package main

import (
	"path/filepath"
)

// controllerArguments run upstream's default controllers. Its default client limits would make about five pods a
// second, so they are raised; nothing else is.
func controllerArguments(directory string, kubeconfig string, keys *keys) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--root-ca-file=" + keys.authority.file(),
		"--service-account-private-key-file=" + keys.signing,
		"--use-service-account-credentials=true",
		"--leader-elect=false",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		// It serves nobody here.
		"--bind-address=" + loopback,
		"--secure-port=0",
		"--cert-dir=" + filepath.Join(directory, "certs"),
		"--flex-volume-plugin-dir=" + filepath.Join(directory, "plugins"),
	}
}
