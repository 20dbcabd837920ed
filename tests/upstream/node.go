package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// nodeName is an address, so that the kubelet reports it as the node's and is reached there without any name server.
const nodeName = loopback

// node is a kubelet with its own containerd. Everything it writes lies in one folder.
type node struct {
	folder     string
	runtime    runtime
	containerd *process
}

// needs are the programs of Debian's packages containerd and runc, and the folder of containernetworking-plugins.
var needs = []string{"containerd", "ctr", "runc"}

// startNode returns when the node is ready for pods.
func (f *fixture) startNode(ctx context.Context, client kubernetes.Interface) error {
	n := &node{folder: nodeFolder(f.directory)}
	n.runtime = runtime{folder: filepath.Join(n.folder, "containerd"), network: filepath.Join(n.folder, "cni")}
	if err := n.prepare(f.images); err != nil {
		return err
	}
	f.node = n
	var err error
	if n.containerd, err = n.runtime.start(f.logs); err != nil {
		return err
	}
	f.guard(n.containerd)
	if err := n.runtime.load(ctx, f.images); err != nil {
		return err
	}
	arguments, err := kubeletArguments(n.folder, n.runtime.endpoint(), f.server, f.keys)
	if err != nil {
		return err
	}
	if err := f.run("kubelet", arguments); err != nil {
		return err
	}
	return until(ctx, "the node to be ready", func(ctx context.Context) error {
		found, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return readiness(found)
	})
}

// prepare checks what the machine must have and makes what the kubelet expects to find.
func (n *node) prepare(images string) error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs root: its containers are made with cgroups, mounts and namespaces")
	}
	for _, program := range needs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("a node needs %s: install Debian's packages containerd, runc and containernetworking-plugins",
				program)
		}
	}
	if images == "" {
		return errors.New("a node needs --images, a folder of image archives (made by images/make)")
	}
	if err := os.MkdirAll(n.folder, 0o700); err != nil {
		return err
	}
	if err := rememberSettings(n.folder); err != nil {
		return err
	}
	return makeControlGroup(n.folder)
}

// drain ends the kubelet and then every pod, so that no container outlives the runtime.
func (n *node) drain(kubelet *process) {
	if kubelet != nil {
		stop([]*process{kubelet}, stopGrace)
	}
	if n.containerd != nil {
		if err := n.runtime.endPods(); err != nil {
			fmt.Fprintf(os.Stderr, "upstream: pods were not ended in order: %v\n", err)
		}
	}
}

func readiness(found *corev1.Node) error {
	for _, condition := range found.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			if condition.Status == corev1.ConditionTrue {
				return nil
			}
			return errors.New(condition.Message)
		}
	}
	return errors.New("the kubelet has not reported yet")
}

func nodeFolder(directory string) string { return filepath.Join(directory, "node") }
