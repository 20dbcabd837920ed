package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// look is how often a state is looked at that cannot be watched yet.
const look = 100 * time.Millisecond

// client speaks to the API server as the administrator.
func (f *fixture) client() (kubernetes.Interface, error) {
	return kubernetes.NewForConfig(&rest.Config{
		Host: f.server,
		QPS:  -1, // no limit
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   f.keys.authority.pem(),
			CertData: f.keys.admin.certificate,
			KeyData:  f.keys.admin.key,
		},
	})
}

// waitUntilServing waits for every check of the API server's own, the bootstrap roles among them.
func waitUntilServing(ctx context.Context, client kubernetes.Interface) error {
	return until(ctx, "the API server to serve", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// waitUntilUsable waits for what the controllers make before a pod can be created in the default namespace.
func waitUntilUsable(ctx context.Context, client kubernetes.Interface) error {
	return until(ctx, "the controllers to make the default service account", func(ctx context.Context) error {
		core := client.CoreV1()
		if _, err := core.ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		_, err := core.ConfigMaps(corev1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err
	})
}

// until waits for a look that finds no error; the last one found goes into the error when time is over.
func until(ctx context.Context, what string, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, look, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waited for %s: %w", what, last)
	}
	return nil
}
