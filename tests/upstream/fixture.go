package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// options are what a person may choose.
type options struct {
	directory string
	// port of the API server; 0 for a free one.
	port int
	// node asks for a kubelet.
	node bool
	// images is the folder of archives that the node starts with.
	images  string
	timeout time.Duration
}

// stopGrace is how long components may take to end. Their data is thrown away, so nothing is lost by killing them.
const stopGrace = 5 * time.Second

// fixture is one running cluster.
type fixture struct {
	options
	logs      string
	server    string
	keys      *keys
	etcd      *embed.Etcd
	processes []*process
	node      *node
	// fail ends the fixture because of an error.
	fail context.CancelCauseFunc
}

// up runs a cluster until the context ends or a component does. It prints one line when the cluster is ready.
func up(ctx context.Context, options options) error {
	if err := claim(options.directory); err != nil {
		return err
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	f := &fixture{options: options, logs: filepath.Join(options.directory, "logs"), fail: fail}
	defer f.stop()
	starting, cancel := context.WithTimeoutCause(running, options.timeout,
		fmt.Errorf("not ready within %s; the logs are in %s", options.timeout, f.logs))
	defer cancel()
	kubeconfig, err := f.start(starting)
	if cause := context.Cause(starting); cause != nil && ctx.Err() == nil {
		return cause // the reason why whatever was waited for did not come
	}
	if err != nil {
		return err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	fmt.Printf("ready %s\n", kubeconfig)
	for {
		select {
		case <-asked:
			if err := f.restartAsked(); err != nil {
				fmt.Fprintf(os.Stderr, "upstream: a restart was asked for: %v\n", err)
			}
		case <-running.Done():
			if ctx.Err() != nil {
				return nil // asked to end
			}
			return context.Cause(running)
		}
	}
}

// start returns the administrator's kubeconfig once everything that was asked for is ready.
func (f *fixture) start(ctx context.Context) (string, error) {
	if err := f.startControlPlane(ctx); err != nil {
		return "", err
	}
	client, err := f.client()
	if err != nil {
		return "", err
	}
	if err := waitUntilUsable(ctx, client); err != nil {
		return "", err
	}
	if f.options.node {
		if err := f.startNode(ctx, client); err != nil {
			return "", err
		}
	}
	kubeconfig := filepath.Join(f.directory, "kubeconfig")
	return kubeconfig, writeKubeconfig(kubeconfig, f.server, f.keys.authority, f.keys.admin)
}

func (f *fixture) startControlPlane(ctx context.Context) error {
	certs := filepath.Join(f.directory, "certs")
	var err error
	if f.keys, err = makeKeys(certs); err != nil {
		return err
	}
	if f.port == 0 {
		if f.port, err = freePort(); err != nil {
			return err
		}
	}
	f.server = "https://" + net.JoinHostPort(loopback, strconv.Itoa(f.port))
	if f.etcd, err = startEtcd(ctx, f.directory, f.logs); err != nil {
		return err
	}
	if err := f.run("kube-apiserver", apiserverArguments(f.directory, f.port, f.keys)); err != nil {
		return err
	}
	client, err := f.client()
	if err != nil {
		return err
	}
	if err := waitUntilServing(ctx, client); err != nil {
		return err
	}
	kubeconfig := filepath.Join(certs, "controllers.kubeconfig")
	if err := writeKubeconfig(kubeconfig, f.server, f.keys.authority, f.keys.controllers); err != nil {
		return err
	}
	if err := f.run("kube-controller-manager", controllerArguments(f.directory, kubeconfig, f.keys)); err != nil {
		return err
	}
	kubeconfig = filepath.Join(certs, "scheduler.kubeconfig")
	if err := writeKubeconfig(kubeconfig, f.server, f.keys.authority, f.keys.scheduler); err != nil {
		return err
	}
	arguments, err := schedulerArguments(f.directory, kubeconfig)
	if err != nil {
		return err
	}
	return f.run("kube-scheduler", arguments)
}

// run starts a component; its end is the fixture's.
func (f *fixture) run(name string, arguments []string) error {
	started, err := startComponent(name, f.logs, arguments)
	if err != nil {
		return err
	}
	f.guard(started)
	return nil
}

func (f *fixture) guard(started *process) {
	f.processes = append(f.processes, started)
	f.watch(started)
}

// watch ends the fixture when a process ends that was not replaced.
func (f *fixture) watch(started *process) {
	go func() {
		<-started.ended
		if !started.replaced.Load() {
			f.fail(started.failure())
		}
	}()
}

// stop ends everything that was started. The directory stays, for its logs.
func (f *fixture) stop() {
	if f.node != nil {
		f.node.drain(f.named("kubelet"))
	}
	stop(f.processes, stopGrace)
	if f.etcd != nil {
		f.etcd.Close()
	}
	if err := sweep(f.directory); err != nil {
		fmt.Fprintf(os.Stderr, "upstream: not everything was undone: %v\n", err)
	}
}

// claim makes the directory this process's own and working directory, and records who runs there.
func claim(directory string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	if entries, err := os.ReadDir(directory); err != nil {
		return err
	} else if len(entries) > 0 {
		return fmt.Errorf("%s is not empty; `upstream down --directory %s` clears what an earlier run left", directory, directory)
	}
	if err := os.Chmod(directory, 0o700); err != nil {
		return err
	}
	if err := os.Chdir(directory); err != nil {
		return err
	}
	return record(directory, os.Getpid())
}

// errNothing says that a directory holds no fixture.
var errNothing = errors.New("no fixture lies there")
