package main

import (
	"context"
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	batchapply "k8s.io/client-go/applyconfigurations/batch/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

func shellJob(name, script string) *batchv1.Job {
	none, grace := int32(0), int64(1)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"made": "by-go"}},
		Spec: batchv1.JobSpec{BackoffLimit: &none, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "main", Image: "busybox:1.36", Command: []string{"sh", "-c", script},
			}},
		}}},
	}
}

func condition(job *batchv1.Job, kind batchv1.JobConditionType) bool {
	for _, c := range job.Status.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// The Job once it has a condition, by a list and a watch that client-go keeps together.
func untilJob(ctx context.Context, c cluster, name string, kind batchv1.JobConditionType) (*batchv1.Job, error) {
	var last *batchv1.Job
	selector := fields.OneTermEqualSelector("metadata.name", name)
	source := cache.NewListWatchFromClient(c.typed.BatchV1().RESTClient(), "jobs", namespace, selector)
	_, err := watchtools.UntilWithSync(ctx, source, &batchv1.Job{}, nil, func(event watch.Event) (bool, error) {
		job, ok := event.Object.(*batchv1.Job)
		if !ok || event.Type == watch.Deleted {
			return false, fmt.Errorf("%s %T", event.Type, event.Object)
		}
		last = job
		return condition(job, kind), nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s is never %s: %w; last seen: %+v", name, kind, err, last)
	}
	return last, nil
}

// Bodies as kubectl and the controllers of large clusters send them.
func playProtobuf(ctx context.Context, c cluster) error {
	config := rest.CopyConfig(c.config)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	jobs := typed.BatchV1().Jobs(namespace)
	made, err := jobs.Create(ctx, shellJob("protobuf", "exit 0"), metav1.CreateOptions{FieldValidation: "Strict"})
	if err != nil {
		return err
	}
	if err := want(made.UID != "" && *made.Spec.Completions == 1, "made: %+v", made); err != nil {
		return err
	}
	done, err := untilJob(ctx, c, "protobuf", batchv1.JobComplete)
	if err != nil {
		return err
	}
	done.Annotations = map[string]string{"written": "whole"}
	updated, err := jobs.Update(ctx, done, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	_, err = jobs.Update(ctx, done, metav1.UpdateOptions{})
	if err := want(apierrors.IsConflict(err), "an old version was taken: %v", err); err != nil {
		return err
	}
	options := background()
	options.Preconditions = metav1.NewUIDPreconditions(string(updated.UID))
	return jobs.Delete(ctx, "protobuf", options)
}

func playTyped(ctx context.Context, c cluster) error {
	jobs, pods := c.typed.BatchV1().Jobs(namespace), c.typed.CoreV1().Pods(namespace)
	if _, err := jobs.Create(ctx, shellJob("typed", "echo hello; exit 3"), metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := jobs.Create(ctx, shellJob("typed", "true"), metav1.CreateOptions{})
	if err := want(apierrors.IsAlreadyExists(err), "made twice: %v", err); err != nil {
		return err
	}
	job, err := untilJob(ctx, c, "typed", batchv1.JobFailed)
	if err != nil {
		return err
	}
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(job.Spec.Selector)})
	if err != nil {
		return err
	}
	if err := want(len(list.Items) == 1, "%d pods", len(list.Items)); err != nil {
		return err
	}
	pod := list.Items[0]
	code := pod.Status.ContainerStatuses[0].State.Terminated.ExitCode
	if err := want(code == 3 && metav1.IsControlledBy(&pod, job), "%+v", pod); err != nil {
		return err
	}
	said, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{Follow: true}).DoRaw(ctx)
	if err := want(err == nil && string(said) == "hello\n", "log %q: %v", said, err); err != nil {
		return err
	}
	for kind, patch := range map[types.PatchType]string{
		types.MergePatchType:          `{"metadata":{"annotations":{"a":"1"}}}`,
		types.StrategicMergePatchType: `{"metadata":{"annotations":{"b":"2"}}}`,
		types.JSONPatchType:           `[{"op":"add","path":"/metadata/labels/c","value":"3"}]`,
	} {
		if _, err := jobs.Patch(ctx, "typed", kind, []byte(patch), metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	job, err = jobs.Get(ctx, "typed", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := want(job.Annotations["a"]+job.Annotations["b"]+job.Labels["c"] == "123", "%+v", job.ObjectMeta); err != nil {
		return err
	}
	_, err = jobs.Get(ctx, "absent", metav1.GetOptions{})
	if err := want(apierrors.IsNotFound(err), "absent: %v", err); err != nil {
		return err
	}
	return jobs.Delete(ctx, "typed", background())
}

func playApply(ctx context.Context, c cluster) error {
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	data := func(pairs ...string) *coreapply.ConfigMapApplyConfiguration {
		values := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			values[pairs[i]] = pairs[i+1]
		}
		return coreapply.ConfigMap("applied-by-go", namespace).WithData(values)
	}
	if _, err := maps.Apply(ctx, data("a", "1", "b", "1"), metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return err
	}
	_, err := maps.Apply(ctx, data("a", "2"), metav1.ApplyOptions{FieldManager: "two"})
	if err := want(apierrors.IsConflict(err), "two owners of one field: %v", err); err != nil {
		return err
	}
	if _, err := maps.Apply(ctx, data("a", "2"), metav1.ApplyOptions{FieldManager: "two", Force: true}); err != nil {
		return err
	}
	found, err := maps.Get(ctx, "applied-by-go", metav1.GetOptions{})
	if err != nil {
		return err
	}
	// What one applied is taken back from the object, and a part of it given up.
	mine, err := coreapply.ExtractConfigMap(found, "one")
	if err := want(err == nil && len(mine.Data) == 1 && mine.Data["b"] == "1", "%+v: %v", mine, err); err != nil {
		return err
	}
	found, err = maps.Apply(ctx, data("c", "1"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	text, _ := json.Marshal(found.Data)
	if err := want(string(text) == `{"a":"2","c":"1"}`, "%s", text); err != nil {
		return err
	}
	jobs := c.typed.BatchV1().Jobs(namespace)
	spec := batchapply.JobSpec().WithSuspend(true).WithTemplate(coreapply.PodTemplateSpec().WithSpec(
		coreapply.PodSpec().WithRestartPolicy(corev1.RestartPolicyNever).WithContainers(
			coreapply.Container().WithName("main").WithImage("busybox:1.36").WithCommand("true"))))
	job, err := jobs.Apply(ctx, batchapply.Job("applied-by-go", namespace).WithSpec(spec), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	resumed := batchapply.Job("applied-by-go", namespace).WithSpec(spec.WithSuspend(false))
	if _, err := jobs.Apply(ctx, resumed, metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return err
	}
	if _, err = untilJob(ctx, c, job.Name, batchv1.JobComplete); err != nil {
		return err
	}
	if err := jobs.Delete(ctx, job.Name, background()); err != nil {
		return err
	}
	return maps.Delete(ctx, "applied-by-go", metav1.DeleteOptions{})
}
