package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdSocket is where etcd listens, relative to the fixture's directory, which is the working directory of all
// components: a Unix socket in a private directory needs no certificates, and its path stays short. The number belongs to
// the name: etcd insists on the form of a port.
const etcdSocket = "unix://etcd.sock:0"

// startEtcd serves etcd in this process. It must not outlive a machine, so it never waits for the disk.
func startEtcd(ctx context.Context, directory, logs string) (*embed.Etcd, error) {
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, err
	}
	// There is no peer, but etcd insists on a place for one.
	clients, peers := urls(etcdSocket), urls("unix://etcd-peer.sock:0")
	config := embed.NewConfig()
	config.Dir = filepath.Join(directory, "etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = clients, clients
	config.ListenPeerUrls, config.AdvertisePeerUrls = peers, peers
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.LogLevel = "warn"
	// This one lacks the default of a configuration file; zero would call every request slow.
	config.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	config.LogOutputs = []string{filepath.Join(logs, "etcd.log")}
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("cannot start etcd: %w", err)
	}
	select {
	case <-server.Server.ReadyNotify():
		if err := age(ctx, server); err != nil {
			server.Close()
			return nil, err
		}
		return server, nil
	case err := <-server.Err():
		return nil, fmt.Errorf("etcd ended: %w", err)
	case <-ctx.Done():
		server.Close()
		return nil, fmt.Errorf("etcd was not ready in time: %w", context.Cause(ctx))
	}
}

// past is how many revisions lie behind a cluster when it starts.
const past = 100

// age gives etcd a past that it has forgotten, as every cluster has that is older than a few minutes: a watch from
// revision 1 is then answered with 410 and not, on a cluster of this minute, with everything.
func age(ctx context.Context, server *embed.Etcd) error {
	var revision int64
	for range past {
		answer, err := server.Server.Put(ctx, &etcdserverpb.PutRequest{Key: []byte("past")})
		if err != nil {
			return fmt.Errorf("cannot write to etcd: %w", err)
		}
		revision = answer.Header.Revision
	}
	if _, err := server.Server.Compact(ctx, &etcdserverpb.CompactionRequest{Revision: revision}); err != nil {
		return fmt.Errorf("cannot compact etcd: %w", err)
	}
	return nil
}

func urls(text string) []url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err) // a constant of this file
	}
	return []url.URL{*parsed}
}
