package main

import (
	"fmt"
	"net"
	"path/filepath"
)

const (
	loopback = "127.0.0.1"
	// services is the range of cluster addresses; nothing routes it.
	services = "10.0.0.0/24"
	// firstService is the address that the Service `kubernetes` gets.
	firstService = "10.0.0.1"
)

// apiserverArguments are a plain cluster's: RBAC and the node authorizer, the default admission plugins and
// NodeRestriction. What upstream defaults stays as it is, since defaults are what tests compare.
func apiserverArguments(directory string, port int, keys *keys) []string {
	return []string{
		"--etcd-servers=" + etcdSocket,
		"--bind-address=" + loopback,
		// A loopback address cannot stand in Endpoints, so nothing may try to put it there.
		"--endpoint-reconciler-type=none",
		"--external-hostname=" + loopback,
		fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir=" + filepath.Join(directory, "certs"),
		"--tls-cert-file=" + keys.server.certificateFile,
		"--tls-private-key-file=" + keys.server.keyFile,
		"--client-ca-file=" + keys.authority.file(),
		"--kubelet-certificate-authority=" + keys.authority.file(),
		"--kubelet-client-certificate=" + keys.kubeletClient.certificateFile,
		"--kubelet-client-key=" + keys.kubeletClient.keyFile,
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + keys.signing,
		"--service-account-signing-key-file=" + keys.signing,
		"--service-cluster-ip-range=" + services,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
	}
}

// freePort asks the kernel for a port of loopback that nobody uses.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
