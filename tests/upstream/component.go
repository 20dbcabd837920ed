package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	_ "time/tzdata" // CronJob.spec.timeZone on machines without a zone database

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components are upstream's programs by name. A command is made only when it runs: making one touches global state.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// parentVariable names the process without which a component must not live.
const parentVariable = "UPSTREAM_PARENT"

// lastWord is how long a component may take to end after its parent has gone.
const lastWord = 5 * time.Second

// runComponent runs one of upstream's programs in this process and returns only when it failed.
func runComponent(command func() *cobra.Command, arguments []string) error {
	if parent, err := strconv.Atoi(os.Getenv(parentVariable)); err == nil {
		if err := onEndOf(parent, endThisProcess); err != nil {
			return err
		}
	}
	program := command()
	program.SetArgs(arguments)
	if code := cli.Run(program); code != 0 {
		return fmt.Errorf("%s ended with %d", program.Name(), code)
	}
	return nil
}

func endThisProcess() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	time.Sleep(lastWord)
	os.Exit(1)
}
