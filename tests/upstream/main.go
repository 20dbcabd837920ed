// Upstream is a real Kubernetes on loopback for tests: upstream's own API server, controllers and scheduler over an
// embedded etcd, and on request a node. It is what the engine of Windlass is compared with; it knows nothing of
// Windlass.
//
// One binary holds every component. Upstream's packages share global state (flags, feature gates, metrics, the
// signal handler), so each runs in a process of its own: the first process serves etcd and starts the others as
// itself with a component's name as the first argument.
//
//	upstream up --directory DIR [--port N] [--node --images DIR] [--with-parent]   run until SIGTERM
//	upstream restart --directory DIR COMPONENT                                    kill a component, start it again
//	upstream down --directory DIR                                                 end what lies there, and clean up
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const usage = "usage: upstream up|restart|down --directory DIR [flags]; `upstream up -h` lists them"

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "upstream: %v\n", err)
		}
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	name, arguments := arguments[0], arguments[1:]
	if command, known := components[name]; known {
		return runComponent(command, arguments)
	}
	switch name {
	case "up":
		return runUp(arguments)
	case "restart":
		return runRestart(arguments)
	case "down":
		return runDown(arguments)
	default:
		return fmt.Errorf("no command %q; %s", name, usage)
	}
}

func runUp(arguments []string) error {
	flags := flag.NewFlagSet("upstream up", flag.ContinueOnError)
	var options options
	directory := flags.String("directory", "", "data, certificates, logs and the kubeconfig lie here; must be empty or absent")
	flags.IntVar(&options.port, "port", 0, "port of the API server on 127.0.0.1; 0: a free one")
	flags.BoolVar(&options.node, "node", false, "start a node: kubelet, containerd (needs root, containerd and runc)")
	images := flags.String("images", "", "import every image archive of this folder into the node")
	flags.DurationVar(&options.timeout, "timeout", 3*time.Minute, "give up when not ready by then")
	withParent := flags.Bool("with-parent", false, "end when the process that started this one ends")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	var err error
	if options.directory, err = absolute(*directory); err != nil {
		return err
	}
	if *images != "" {
		if options.images, err = filepath.Abs(*images); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *withParent {
		if err := onEndOf(os.Getppid(), stop); err != nil {
			return err
		}
	}
	return up(ctx, options)
}

func runRestart(arguments []string) error {
	flags := flag.NewFlagSet("upstream restart", flag.ContinueOnError)
	directory := flags.String("directory", "", "the directory that `upstream up` was given")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	path, err := absolute(*directory)
	if err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name one component, such as kubelet or kube-apiserver")
	}
	return restart(path, flags.Arg(0))
}

func runDown(arguments []string) error {
	flags := flag.NewFlagSet("upstream down", flag.ContinueOnError)
	directory := flags.String("directory", "", "the directory that `upstream up` was given")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	path, err := absolute(*directory)
	if err != nil {
		return err
	}
	return down(path)
}

// absolute is where a directory lies or will lie, without symbolic links: so the kernel names the mounts in it.
func absolute(directory string) (string, error) {
	if directory == "" {
		return "", errors.New("--directory is missing")
	}
	path, err := filepath.Abs(directory)
	if err != nil {
		return "", err
	}
	return withoutLinks(path)
}

func withoutLinks(path string) (string, error) {
	found, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		parent, err := withoutLinks(filepath.Dir(path))
		return filepath.Join(parent, filepath.Base(path)), err
	}
	return found, err
}
