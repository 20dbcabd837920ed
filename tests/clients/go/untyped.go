package main

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

var jobsResource = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}

// What a tool does that knows kinds only from discovery.
func playUntyped(ctx context.Context, c cluster) error {
	cached := memory.NewMemCacheClient(c.typed.Discovery())
	mapping, err := restmapper.NewDeferredDiscoveryRESTMapper(cached).RESTMapping(schema.GroupKind{Group: "batch", Kind: "Job"})
	if err != nil {
		return err
	}
	if err := want(mapping.Resource == jobsResource && mapping.Scope.Name() == meta.RESTScopeNameNamespace, "%+v", mapping); err != nil {
		return err
	}
	version, err := cached.ServerVersion()
	if err := want(err == nil && version.Major == "1", "%+v: %v", version, err); err != nil {
		return err
	}
	lists, err := cached.ServerPreferredResources()
	if err != nil {
		return err
	}
	kinds := []string{}
	for _, list := range lists {
		for _, resource := range list.APIResources {
			kinds = append(kinds, list.GroupVersion+" "+resource.Name)
		}
	}
	for _, kind := range []string{"v1 pods", "batch/v1 jobs", "batch/v1 cronjobs", "v1 secrets"} {
		if err := want(slices.Contains(kinds, kind), "no %s among %v", kind, kinds); err != nil {
			return err
		}
	}
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return err
	}
	jobs := client.Resource(mapping.Resource).Namespace(namespace)
	job := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "untyped"},
		"spec": map[string]any{"suspend": true, "template": map[string]any{"spec": map[string]any{
			"restartPolicy": "Never",
			"containers":    []any{map[string]any{"name": "main", "image": "busybox", "command": []any{"true"}}},
		}}},
	}}
	made, err := jobs.Apply(ctx, "untyped", job, metav1.ApplyOptions{FieldManager: "tool"})
	if err != nil {
		return err
	}
	watcher, err := jobs.Watch(ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion(), FieldSelector: "metadata.name=untyped"})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	if err := unstructured.SetNestedField(made.Object, int64(2), "spec", "parallelism"); err != nil {
		return err
	}
	// The controller writes the status of the Job meanwhile: only a version that nobody else has moved may be written.
	made.SetResourceVersion("")
	made.SetManagedFields(nil)
	if _, err := jobs.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	for event := range watcher.ResultChan() {
		object, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type != watch.Modified {
			return fmt.Errorf("%s %T", event.Type, event.Object)
		}
		if found, _, _ := unstructured.NestedInt64(object.Object, "spec", "parallelism"); found == 2 {
			return jobs.Delete(ctx, "untyped", background())
		}
	}
	return fmt.Errorf("the watch ended before it told the change")
}

// Events as operators record them.
func playEvents(ctx context.Context, c cluster) error {
	watcher, err := c.typed.CoreV1().Events(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "reason=Recorded"})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: c.typed.CoreV1().Events(namespace)})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "operator"})
	about := &corev1.ObjectReference{Kind: "Job", APIVersion: "batch/v1", Namespace: namespace, Name: "told", UID: "uid"}
	recorder.Event(about, corev1.EventTypeNormal, "Recorded", "once")
	told := 0
	for event := range watcher.ResultChan() {
		found, ok := event.Object.(*corev1.Event)
		if !ok {
			return fmt.Errorf("%s %T", event.Type, event.Object)
		}
		if err := want(found.InvolvedObject.Name == "told" && found.Source.Component == "operator", "%+v", found); err != nil {
			return err
		}
		if told++; told == 2 {
			// The same again is a patch of the first.
			return want(event.Type == watch.Modified && found.Count == 2, "%s %+v", event.Type, found)
		}
		recorder.Event(about, corev1.EventTypeNormal, "Recorded", "once")
	}
	return fmt.Errorf("the watch ended before it told both")
}

// What garbage collectors and schedulers keep of objects whose kinds they do not know.
func playMetadata(ctx context.Context, c cluster) error {
	client, err := metadata.NewForConfig(c.config)
	if err != nil {
		return err
	}
	seen := make(chan string, 100)
	factory := metadatainformer.NewFilteredSharedInformerFactory(client, 0, namespace, nil)
	informer := factory.ForResource(jobsResource).Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(found any) {
			if object := found.(*metav1.PartialObjectMetadata); object.Name == "known-by-name" {
				seen <- "added " + object.Labels["made"]
			}
		},
		DeleteFunc: func(found any) {
			if object, ok := found.(*metav1.PartialObjectMetadata); ok && object.Name == "known-by-name" {
				seen <- "deleted"
			}
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("it never knows all Jobs")
	}
	jobs := c.typed.BatchV1().Jobs(namespace)
	if _, err := jobs.Create(ctx, shellJob("known-by-name", "true"), metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, next := range []string{"added by-go", "deleted"} {
		select {
		case what := <-seen:
			if err := want(what == next, "%s, not %s", what, next); err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("nothing says %s", next)
		}
		if next != "deleted" {
			if err := client.Resource(jobsResource).Namespace(namespace).Delete(ctx, "known-by-name", background()); err != nil {
				return err
			}
		}
	}
	return nil
}
