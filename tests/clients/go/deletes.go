package main

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
)

// Waits until a Job is gone, which it may be already.
func untilGone(ctx context.Context, c cluster, name string) error {
	gone := func(store cache.Store) (bool, error) {
		_, found, err := store.GetByKey(namespace + "/" + name)
		return !found, err
	}
	selector := fields.OneTermEqualSelector("metadata.name", name)
	source := cache.NewListWatchFromClient(c.typed.BatchV1().RESTClient(), "jobs", namespace, selector)
	_, err := watchtools.UntilWithSync(ctx, source, &batchv1.Job{}, gone, func(event watch.Event) (bool, error) {
		return event.Type == watch.Deleted, nil
	})
	return err
}

func podsOf(ctx context.Context, c cluster, job string) (int, error) {
	list, err := c.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "job-name=" + job})
	if err != nil {
		return 0, err
	}
	return len(list.Items), nil
}

func playCascades(ctx context.Context, c cluster) error {
	jobs := c.typed.BatchV1().Jobs(namespace)
	for _, policy := range []metav1.DeletionPropagation{
		metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan, metav1.DeletePropagationBackground,
	} {
		name := "cascade"
		if _, err := jobs.Create(ctx, shellJob(name, "true"), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
		if _, err := untilJob(ctx, c, name, batchv1.JobComplete); err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
		if err := jobs.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
		if err := untilGone(ctx, c, name); err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
		left, err := podsOf(ctx, c, name)
		if err != nil {
			return err
		}
		switch policy {
		case metav1.DeletePropagationForeground:
			err = want(left == 0, "%d pods outlive a foreground deletion", left)
		case metav1.DeletePropagationOrphan:
			err = want(left == 1, "%d orphans", left)
			pods := c.typed.CoreV1().Pods(namespace)
			options := metav1.ListOptions{LabelSelector: "job-name=" + name}
			if gone := pods.DeleteCollection(ctx, metav1.DeleteOptions{}, options); gone != nil {
				return gone
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Pages as client-go's own pager asks for them.
func playPages(ctx context.Context, c cluster) error {
	jobs := c.typed.BatchV1().Jobs(namespace)
	suspend := true
	for n := range 12 {
		job := shellJob(fmt.Sprintf("page-%02d", n), "true")
		job.Spec.Suspend, job.Labels["paged"] = &suspend, "yes"
		if _, err := jobs.Create(ctx, job, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	options, pages := metav1.ListOptions{LabelSelector: "paged=yes"}, 0
	lister := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		pages++
		return jobs.List(ctx, options)
	})
	lister.PageSize = 5
	var seen []string
	err := lister.EachListItem(ctx, options, func(found runtime.Object) error {
		object, err := meta.Accessor(found)
		seen = append(seen, object.GetName())
		return err
	})
	if err != nil {
		return err
	}
	if err := want(len(seen) == 12 && pages == 3 && seen[11] == "page-11", "%d pages: %v", pages, seen); err != nil {
		return err
	}
	_, err = jobs.List(ctx, metav1.ListOptions{Limit: 5, Continue: "not-a-token"})
	if err := want(apierrors.IsBadRequest(err), "a token that is none: %v", err); err != nil {
		return err
	}
	if err := jobs.DeleteCollection(ctx, background(), options); err != nil {
		return err
	}
	list, err := jobs.List(ctx, options)
	if err != nil {
		return err
	}
	return want(len(list.Items) == 0, "%d Jobs outlive their deletion", len(list.Items))
}
