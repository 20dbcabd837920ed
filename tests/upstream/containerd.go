package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	cri "k8s.io/cri-client/pkg"
)

// runtime is a containerd of our own, apart from one that the machine may run.
type runtime struct {
	folder string
	// network holds the configuration of the pods' network.
	network string
}

const (
	// pauseImage is in the archive that images/make makes.
	pauseImage = "windlass.dev/upstream/pause:1"
	// runtimeWait is the longest time for one answer of containerd.
	runtimeWait = 10 * time.Second
	// pods is the range of the pods' addresses; only this machine reaches them.
	pods = "10.93.0.0/24"
)

// networkPlugins are where Debian and everybody else put them.
var networkPlugins = []string{"/usr/lib/cni", "/opt/cni/bin"}

func (r runtime) socket() string   { return filepath.Join(r.folder, "containerd.sock") }
func (r runtime) endpoint() string { return "unix://" + r.socket() }

// start starts containerd; its log is in logs.
func (r runtime) start(logs string) (*process, error) {
	plugins, err := r.writeNetwork()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.folder, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(r.folder, "config.toml")
	if err := os.WriteFile(config, []byte(r.config(plugins)), 0o600); err != nil {
		return nil, err
	}
	started, err := start("containerd", filepath.Join(logs, "containerd.log"), "containerd", "--config", config)
	if err != nil {
		return nil, err
	}
	return started, record(r.folder, started.command.Process.Pid)
}

// config keeps every file of containerd's below one folder. Without CAP_SYS_RESOURCE, as in many small virtual
// machines, no process may lower its OOM score; restrict_oom_score_adj lets pods start all the same.
func (r runtime) config(plugins string) string {
	text := `version = 2
root = "$folder/root"
state = "$folder/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing"]
[grpc]
address = "$folder/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$folder/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$pause"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$plugins"
conf_dir = "$network"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "$folder/runc"
SystemdCgroup = false
`
	return strings.NewReplacer("$folder", r.folder, "$pause", pauseImage, "$plugins", plugins, "$network", r.network).
		Replace(text)
}

// writeNetwork gives each pod that wants its own network one link to this machine, and tells where the plugins are.
func (r runtime) writeNetwork() (plugins string, err error) {
	for _, folder := range networkPlugins {
		if _, err := os.Stat(filepath.Join(folder, "ptp")); err == nil {
			plugins = folder
		}
	}
	if plugins == "" {
		return "", errors.New("a node needs the network plugins: install Debian's package containernetworking-plugins")
	}
	if err := os.MkdirAll(r.network, 0o700); err != nil {
		return "", err
	}
	text := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "upstream", "plugins": [
  {"type": "ptp", "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
`, filepath.Join(r.network, "addresses"), pods)
	return plugins, os.WriteFile(filepath.Join(r.network, "10-upstream.conflist"), []byte(text), 0o600)
}

// load waits for containerd and imports every archive of a folder.
func (r runtime) load(ctx context.Context, images string) error {
	err := until(ctx, "containerd", func(ctx context.Context) error {
		if _, err := os.Stat(r.socket()); err != nil {
			return err
		}
		service, err := cri.NewRemoteRuntimeService(ctx, r.endpoint(), runtimeWait, nil, false)
		if err != nil {
			return err
		}
		return service.Close(ctx)
	})
	if err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(images, "*.tar"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		command := exec.CommandContext(ctx, "ctr", "--address", r.socket(), "--namespace", "k8s.io",
			"images", "import", archive)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot import %s: %w\n%s", archive, err, output)
		}
	}
	return nil
}

// endPods ends and removes every pod, so that neither processes nor mounts nor network links are left.
func (r runtime) endPods() error {
	ctx, cancel := context.WithTimeout(context.Background(), runtimeWait)
	defer cancel()
	service, err := cri.NewRemoteRuntimeService(ctx, r.endpoint(), runtimeWait, nil, false)
	if err != nil {
		return err
	}
	defer service.Close(ctx)
	containers, err := service.ListContainers(ctx, nil)
	if err != nil {
		return err
	}
	var failures []error
	for _, container := range containers {
		if container.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
			failures = append(failures, service.StopContainer(ctx, container.Id, 0))
		}
	}
	sandboxes, err := service.ListPodSandbox(ctx, nil)
	if err != nil {
		return err
	}
	for _, sandbox := range sandboxes {
		failures = append(failures, service.StopPodSandbox(ctx, sandbox.Id), service.RemovePodSandbox(ctx, sandbox.Id))
	}
	return errors.Join(failures...)
}
