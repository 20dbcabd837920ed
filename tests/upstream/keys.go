package main

import (
	"net"
	"path/filepath"
)

// keys are the identities of one control plane.
type keys struct {
	authority *authority
	// server is the API server's own certificate.
	server identity
	// kubeletClient is what the API server shows to kubelets.
	kubeletClient identity
	// admin is in system:masters, as the kubeconfig's user.
	admin                  identity
	controllers, scheduler identity
	// signing is the file of the key behind service account tokens.
	signing string
}

func makeKeys(directory string) (*keys, error) {
	issuer, err := newAuthority(directory)
	if err != nil {
		return nil, err
	}
	made := &keys{authority: issuer, signing: filepath.Join(directory, "service-accounts.key")}
	if err := signingKey(made.signing); err != nil {
		return nil, err
	}
	addresses := []net.IP{net.ParseIP(loopback), net.ParseIP(firstService)}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if made.server, err = issuer.server("apiserver", addresses, names); err != nil {
		return nil, err
	}
	for _, client := range []struct {
		identity    *identity
		file, user  string
		memberships []string
	}{
		{&made.admin, "admin", "admin", []string{"system:masters"}},
		{&made.kubeletClient, "apiserver-kubelet-client", "kube-apiserver-kubelet-client", []string{"system:masters"}},
		{&made.controllers, "controllers", "system:kube-controller-manager", nil},
		{&made.scheduler, "scheduler", "system:kube-scheduler", nil},
	} {
		if *client.identity, err = issuer.client(client.file, client.user, client.memberships...); err != nil {
			return nil, err
		}
	}
	return made, nil
}
