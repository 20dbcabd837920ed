package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	batchv1 "k8s.io/api/batch/v1"
)

// Counts how lists are asked for: streamed through a watch, or as lists.
type requests struct {
	streamed, listed, watched atomic.Int64
	next                      http.RoundTripper
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	switch {
	case query.Get("sendInitialEvents") == "true":
		r.streamed.Add(1)
	case query.Get("watch") == "true":
		r.watched.Add(1)
	case request.Method == http.MethodGet:
		r.listed.Add(1)
	}
	return r.next.RoundTrip(request)
}

// A client whose requests are counted.
func (c cluster) counted() (*kubernetes.Clientset, *requests, error) {
	counter := &requests{}
	config := rest.CopyConfig(c.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		counter.next = next
		return counter
	})
	typed, err := kubernetes.NewForConfig(config)
	return typed, counter, err
}

// The whole life of a Job, as a controller sees it.
func playInformer(ctx context.Context, c cluster) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed, counter, err := c.counted()
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(typed, 0, informers.WithNamespace(namespace))
	jobs, pods := factory.Batch().V1().Jobs(), factory.Core().V1().Pods()
	seen := make(chan string, 1000)
	_, err = jobs.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(found any) { seen <- "added " + found.(*batchv1.Job).Name },
		UpdateFunc: func(_, found any) {
			if job := found.(*batchv1.Job); condition(job, batchv1.JobComplete) {
				seen <- "complete " + job.Name
			}
		},
		DeleteFunc: func(found any) {
			if job, ok := found.(*batchv1.Job); ok {
				seen <- "deleted " + job.Name
			}
		},
	})
	if err != nil {
		return err
	}
	podLister := pods.Lister()
	podsInformer := pods.Informer()
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), jobs.Informer().HasSynced, podsInformer.HasSynced) {
		return fmt.Errorf("it never knows all")
	}
	streaming := os.Getenv("KUBE_FEATURE_WatchListClient") != "false"
	if err := want((counter.streamed.Load() >= 2) == streaming && (counter.listed.Load() == 0) == streaming,
		"streamed %d lists, asked for %d", counter.streamed.Load(), counter.listed.Load()); err != nil {
		return err
	}
	if _, err := c.typed.BatchV1().Jobs(namespace).Create(ctx, shellJob("lives", "true"), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := await(ctx, seen, "added lives"); err != nil {
		return err
	}
	if err := await(ctx, seen, "complete lives"); err != nil {
		return err
	}
	// The pods' informer is a stream of its own and may be behind.
	selector := labels.SelectorFromSet(labels.Set{"job-name": "lives"})
	if _, err := podLister.Pods(namespace).List(selector); err != nil {
		return err
	}
	if err := c.typed.BatchV1().Jobs(namespace).Delete(ctx, "lives", background()); err != nil {
		return err
	}
	if err := await(ctx, seen, "deleted lives"); err != nil {
		return err
	}
	job, err := jobs.Lister().Jobs(namespace).Get("lives")
	return want(err != nil && job == nil, "the cache still has %+v", job)
}

// Reads what is told until this is.
func await(ctx context.Context, seen <-chan string, what string) error {
	var before []string
	for {
		select {
		case next := <-seen:
			if next == what {
				return nil
			}
			before = append(before, next)
		case <-ctx.Done():
			return fmt.Errorf("nothing says %q, only %q", what, before)
		}
	}
}

// While the cluster is away things change, and it has forgotten what: the informer finds out by itself, by a new list.
func playOutage(ctx context.Context, c cluster) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed, counter, err := c.counted()
	if err != nil {
		return err
	}
	for _, name := range []string{"goes", "changes"} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": "before"}}
		if _, err := typed.CoreV1().ConfigMaps(namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	factory := informers.NewSharedInformerFactoryWithOptions(typed, 0, informers.WithNamespace(namespace))
	maps := factory.Core().V1().ConfigMaps().Informer()
	seen := make(chan string, 1000)
	tell := func(what string, found any) {
		if last, ok := found.(cache.DeletedFinalStateUnknown); ok {
			found = last.Obj
		}
		object := found.(*corev1.ConfigMap)
		seen <- what + " " + object.Name + " " + object.Data["a"]
	}
	_, err = maps.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(found any) { tell("added", found) },
		UpdateFunc: func(_, found any) { tell("changed", found) },
		DeleteFunc: func(found any) { tell("deleted", found) },
	})
	if err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), maps.HasSynced) {
		return fmt.Errorf("it never knows all")
	}
	before := counter.streamed.Load() + counter.listed.Load()
	input := bufio.NewScanner(os.Stdin)
	fmt.Println("outage")
	if !input.Scan() {
		return fmt.Errorf("nobody brought the cluster back")
	}
	// Meanwhile `goes` was deleted, `changes` changed and `comes` made: told in no order.
	missing := map[string]bool{"deleted goes before": true, "changed changes after": true, "added comes after": true}
	for len(missing) > 0 {
		select {
		case next := <-seen:
			delete(missing, next)
		case <-ctx.Done():
			return fmt.Errorf("after the outage nothing says %v", missing)
		}
	}
	if after := counter.streamed.Load() + counter.listed.Load(); after <= before {
		return fmt.Errorf("it found out without a new list")
	}
	if _, err := typed.CoreV1().ConfigMaps(namespace).Patch(ctx, "comes", "application/merge-patch+json",
		[]byte(`{"data":{"a":"later"}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	return await(ctx, seen, "changed comes later")
}
