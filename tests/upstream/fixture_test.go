package main

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestServerCertificateIsGoodForLoopbackOnly(t *testing.T) {
	made, err := makeKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(made.authority.certificate)
	server := parse(t, made.server.certificate)
	for _, name := range []string{loopback, "localhost", "kubernetes.default.svc"} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: "192.0.2.1"}); err == nil {
		t.Error("it is good for an address of elsewhere")
	}
}

func TestAdministratorIsAMasterAndTheSchedulerIsNot(t *testing.T) {
	made, err := makeKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if groups := parse(t, made.admin.certificate).Subject.Organization; len(groups) != 1 || groups[0] != "system:masters" {
		t.Errorf("the administrator's groups: %v", groups)
	}
	if groups := parse(t, made.scheduler.certificate).Subject.Organization; len(groups) != 0 {
		t.Errorf("the scheduler's groups: %v", groups)
	}
}

func TestKubeconfigIsPrivateAndComplete(t *testing.T) {
	directory := t.TempDir()
	made, err := makeKeys(directory)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(directory, "kubeconfig")
	if err := writeKubeconfig(file, "https://127.0.0.1:1", made.authority, made.admin); err != nil {
		t.Fatal(err)
	}
	found, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if found.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", found.Mode())
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:1" || len(config.CAData) == 0 || len(config.KeyData) == 0 {
		t.Errorf("it does not hold everything: %s", config.Host)
	}
}

func TestADirectoryInUseIsNotClaimed(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "something"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := claim(directory); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("claim: %v", err)
	}
	if err := down(directory); err == nil {
		t.Error("down removed a directory that holds no fixture")
	}
}

func TestADirectoryIsNamedAsTheKernelNamesIt(t *testing.T) {
	place, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(place, "link")); err != nil {
		t.Fatal(err)
	}
	for _, below := range []string{"link", "link/link/", "link/absent/deep"} {
		found, err := absolute(place + "/" + below)
		wanted := filepath.Join(place, strings.ReplaceAll(below, "link", "."))
		if err != nil || found != wanted {
			t.Errorf("%s: %s, %v", below, found, err)
		}
	}
}

func TestAProcessThatHasTheIdOfTheRecordedOneIsLeftAlone(t *testing.T) {
	if err := end(os.Getpid(), "0"); err != nil {
		t.Error(err)
	}
}

func TestThePortIsOfLoopbackAndFree(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(loopback), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	found, _ := pem.Decode(text)
	certificate, err := x509.ParseCertificate(found.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
