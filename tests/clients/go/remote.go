package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/remotecommand"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/exec"
)

func untilRunning(ctx context.Context, c cluster, name string) error {
	selector := fields.OneTermEqualSelector("metadata.name", name)
	source := cache.NewListWatchFromClient(c.typed.CoreV1().RESTClient(), "pods", namespace, selector)
	_, err := watchtools.UntilWithSync(ctx, source, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		pod, ok := event.Object.(*corev1.Pod)
		return ok && pod.Status.Phase == corev1.PodRunning, nil
	})
	return err
}

// Runs a program beside a container.
func (c cluster) exec(ctx context.Context, pod string, stdin io.Reader, command ...string) (string, string, error) {
	request := c.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec")
	request.VersionedParams(&corev1.PodExecOptions{
		Command: command, Stdin: stdin != nil, Stdout: true, Stderr: true,
	}, scheme.ParameterCodec)
	// client-go tells a GET for WebSocket, as browsers do.
	executor, err := remotecommand.NewWebSocketExecutor(c.config, "GET", request.URL().String())
	if err != nil {
		return "", "", err
	}
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: &stdout, Stderr: &stderr})
	return stdout.String(), stderr.String(), err
}

func playRemote(ctx context.Context, c cluster) error {
	grace := int64(1)
	pods := c.typed.CoreV1().Pods(namespace)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "shed"}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{
			Name: "main", Image: "busybox:1.36", Command: []string{"sh", "-c", "echo begins; exec sleep 600"},
		}},
	}}
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := untilRunning(ctx, c, "shed"); err != nil {
		return err
	}
	stdout, stderr, err := c.exec(ctx, "shed", nil, "sh", "-c", "echo out; echo err >&2; exit 7")
	var code exec.CodeExitError
	if err := want(errors.As(err, &code) && code.Code == 7, "%v", err); err != nil {
		return err
	}
	if err := want(stdout == "out\n" && stderr == "err\n", "%q %q", stdout, stderr); err != nil {
		return err
	}
	much := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	stdout, _, err = c.exec(ctx, "shed", bytes.NewReader(much), "cat")
	if err := want(err == nil && stdout == string(much), "%d of %d bytes: %v", len(stdout), len(much), err); err != nil {
		return err
	}
	stream, err := pods.GetLogs("shed", &corev1.PodLogOptions{Follow: true}).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	first := make([]byte, len("begins\n"))
	if _, err := io.ReadFull(stream, first); err != nil {
		return fmt.Errorf("the log: %w", err)
	}
	if err := pods.Delete(ctx, "shed", metav1.DeleteOptions{}); err != nil {
		return err
	}
	rest, err := io.ReadAll(stream)
	return want(err == nil && len(rest) == 0 && string(first) == "begins\n", "%q%q: %v", first, rest, err)
}
