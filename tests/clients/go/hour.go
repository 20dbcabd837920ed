package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Says when a watch begins.
type begins struct{ next http.RoundTripper }

func (b begins) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Query().Get("watch") == "true" {
		fmt.Println("BEGINS")
	}
	return b.next.RoundTrip(request)
}

// An informer of Jobs, until stdin ends: a line for each event, as it comes.
func playHour(ctx context.Context, c cluster) error {
	config := rest.CopyConfig(c.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return begins{next} })
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(typed, 0, informers.WithNamespace(namespace))
	jobs := factory.Batch().V1().Jobs().Informer()
	tell := func(kind string, found any) {
		// What it only finds out from a list is not what it was told.
		if unknown, ok := found.(cache.DeletedFinalStateUnknown); ok {
			kind, found = "LOST", unknown.Obj
		}
		object := found.(metav1.Object)
		fmt.Println(kind, object.GetName(), object.GetResourceVersion())
	}
	_, err = jobs.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(found any) { tell("ADDED", found.(*batchv1.Job)) },
		UpdateFunc: func(_, found any) { tell("MODIFIED", found.(*batchv1.Job)) },
		DeleteFunc: func(found any) { tell("DELETED", found) },
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	factory.StartWithContext(ctx)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
