package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of all certificates: a fixture is thrown away long before.
const lifetime = 365 * 24 * time.Hour

// authority issues every certificate of one fixture.
type authority struct {
	directory   string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

// identity is a certificate and its key, both in PEM, and the files that hold them.
type identity struct {
	certificate, key         []byte
	certificateFile, keyFile string
}

// newAuthority makes the authority and writes its certificate to `ca.crt`; its key is kept in memory only.
func newAuthority(directory string) (*authority, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template(1, pkix.Name{CommonName: "upstream-fixture"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	made := &authority{directory: directory, certificate: certificate, key: key, serial: 1}
	return made, os.WriteFile(made.file(), made.pem(), 0o600)
}

// file holds the authority's certificate.
func (a *authority) file() string { return filepath.Join(a.directory, "ca.crt") }

// pem is the authority's certificate.
func (a *authority) pem() []byte { return block("CERTIFICATE", a.certificate.Raw) }

// server issues a certificate for a server at these addresses and names.
func (a *authority) server(file string, addresses []net.IP, names []string) (identity, error) {
	template := template(a.next(), pkix.Name{CommonName: file})
	template.IPAddresses, template.DNSNames = addresses, names
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return a.issue(file, template)
}

// client issues a certificate that Kubernetes reads as this user in these groups.
func (a *authority) client(file, user string, groups ...string) (identity, error) {
	template := template(a.next(), pkix.Name{CommonName: user, Organization: groups})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(file, template)
}

func (a *authority) next() int64 {
	a.serial++
	return a.serial
}

func (a *authority) issue(file string, template *x509.Certificate) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return identity{}, err
	}
	made := identity{
		certificate:     block("CERTIFICATE", der),
		certificateFile: filepath.Join(a.directory, file+".crt"),
		keyFile:         filepath.Join(a.directory, file+".key"),
	}
	if err := os.WriteFile(made.certificateFile, made.certificate, 0o600); err != nil {
		return identity{}, err
	}
	made.key, err = writeKey(made.keyFile, key)
	return made, err
}

// signingKey makes the key that signs service account tokens.
func signingKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, err = writeKey(file, key)
	return err
}

func writeKey(file string, key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := block("EC PRIVATE KEY", der)
	return text, os.WriteFile(file, text, 0o600)
}

func template(serial int64, subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      subject,
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
