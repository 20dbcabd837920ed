// Clients drives a cluster through client-go, unmodified, as operators and schedulers do.
//
// It runs with KUBECONFIG naming a cluster that runs the commands of images, and says `ok NAME` for each situation; the
// first that is not as it should be ends it with 1. Two are left out unless they are asked for by name, as they need
// somebody at the other end: `outage` says so on stdout and waits for a line on stdin while the cluster goes away and comes
// back; `hour` tells what it watches until stdin ends.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Nothing here takes long; a machine under load may.
const patience = 3 * time.Minute

const namespace = "default"

// A client and how it was made.
type cluster struct {
	config *rest.Config
	typed  *kubernetes.Clientset
}

type situation struct {
	name  string
	asked bool // runs only if it is asked for
	play  func(context.Context, cluster) error
}

var situations = []situation{
	{"protobuf", false, playProtobuf},
	{"typed", false, playTyped},
	{"apply", false, playApply},
	{"cascades", false, playCascades},
	{"pages", false, playPages},
	{"untyped", false, playUntyped},
	{"events", false, playEvents},
	{"informer", false, playInformer},
	{"metadata", false, playMetadata},
	{"remote", false, playRemote},
	{"outage", true, playOutage},
	{"hour", true, playHour},
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		fail("KUBECONFIG", err)
	}
	// A client's own brake is no part of the test.
	config.QPS, config.Burst = 1000, 1000
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		fail("client", err)
	}
	wanted, count := os.Args[1:], 0
	for _, s := range situations {
		if (s.asked || len(wanted) > 0) && !slices.Contains(wanted, s.name) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
		if err := s.play(ctx, cluster{config, typed}); err != nil {
			fail(s.name, err)
		}
		cancel()
		count++
		fmt.Println("ok", s.name)
	}
	if count == 0 {
		fail("arguments", fmt.Errorf("no situation is called %v", wanted))
	}
	fmt.Println(count, "situations")
}

func fail(name string, err error) {
	fmt.Fprintf(os.Stderr, "FAILED %s: %v\n", name, err)
	os.Exit(1)
}

// want is an error if it is not so.
func want(so bool, format string, arguments ...any) error {
	if so {
		return nil
	}
	return fmt.Errorf(format, arguments...)
}

func background() metav1.DeleteOptions {
	policy := metav1.DeletePropagationBackground
	return metav1.DeleteOptions{PropagationPolicy: &policy}
}
