package main

import (
	"net"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// kubeletArguments writes what the kubelet reads and names it.
func kubeletArguments(folder, endpoint, server string, keys *keys) ([]string, error) {
	root := filepath.Join(folder, "kubelet")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	user, err := keys.authority.client("kubelet", "system:node:"+nodeName, "system:nodes")
	if err != nil {
		return nil, err
	}
	serving, err := keys.authority.server("kubelet-serving", []net.IP{net.ParseIP(loopback)}, nil)
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(root, "kubeconfig")
	if err := writeKubeconfig(kubeconfig, server, keys.authority, user); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(kubeletConfig(folder, endpoint, port, serving, keys))
	if err != nil {
		return nil, err
	}
	config := filepath.Join(root, "config.yaml")
	return []string{
		"--config=" + config,
		"--kubeconfig=" + kubeconfig,
		"--root-dir=" + root,
		"--cert-dir=" + filepath.Join(root, "certs"),
		"--hostname-override=" + nodeName,
	}, os.WriteFile(config, text, 0o600)
}

// kubeletConfig differs from upstream's defaults where the machine is shared: nothing is evicted or collected because
// others fill the disk, no iptables rule is made, and all control groups lie below one of our own.
func kubeletConfig(folder, endpoint string, port int, serving identity, keys *keys) map[string]any {
	return map[string]any{
		"apiVersion":               "kubelet.config.k8s.io/v1beta1",
		"kind":                     "KubeletConfiguration",
		"address":                  loopback,
		"port":                     port,
		"healthzPort":              0,
		"tlsCertFile":              serving.certificateFile,
		"tlsPrivateKeyFile":        serving.keyFile,
		"authentication":           map[string]any{"x509": map[string]any{"clientCAFile": keys.authority.file()}},
		"containerRuntimeEndpoint": endpoint,
		// Kubelets from 1.35 on refuse cgroup v1 unless told not to.
		"failCgroupV1": false,
		"cgroupDriver": "cgroupfs",
		"cgroupRoot":   controlGroup(folder),
		// There is no name server; so a look-up fails at once, and pods get no warning about its lack.
		"clusterDNS": []string{loopback},
		// The node's own limits would be this machine's.
		"enforceNodeAllocatable": []string{"none"},
		"evictionHard": map[string]string{
			"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
			"imagefs.inodesFree": "0%",
		},
		"imageGCHighThresholdPercent": 100,
		"failSwapOn":                  false,
		"makeIPTablesUtilChains":      false,
		// A process without CAP_SYS_RESOURCE cannot lower its score.
		"oomScoreAdj":         0,
		"podLogsDir":          filepath.Join(folder, "pod-logs"),
		"volumePluginDir":     filepath.Join(folder, "plugins"),
		"maxPods":             250,
		"kubeAPIQPS":          1000,
		"kubeAPIBurst":        2000,
		"eventRecordQPS":      0,
		"registryPullQPS":     0,
		"serializeImagePulls": false,
	}
}
