package status

import (
	"strings"

	"github.com/eksa-gitops/eksa-gitops/internal/text"
	"github.com/eksa-gitops/eksa-gitops/pkg/clusterspec"
	"github.com/eksa-gitops/eksa-gitops/pkg/fluxinstall"
	"github.com/eksa-gitops/eksa-gitops/pkg/hint"
)

// What status says of annotations that keep EKS Anywhere off an object, or lift its guards.

// pauseProblem tells of an object that is left alone, and of whether that lasts: Flux puts back what Git
// says, and takes off what kubectl has put there.
func (j *judge) pauseProblem(cluster string, pause *fluxinstall.Pause) Problem {
	p := Problem{
		Object: pause.Object, Message: pause.Describe(), Cluster: cluster,
		Cause: "what changes in Git does not reach it, or is not worked on, until the annotation is gone",
		Next:  hint.Plain("to resume: " + pause.Resume),
	}
	if pause.Field != clusterspec.PausedAnnotation || cluster == "" {
		return p
	}
	resume := hint.Run{Do: hint.Resume, Clusters: []string{cluster}}.Hint()
	switch inGit, known := j.pausedInGit(cluster, pause.Object); {
	case inGit:
		p.Cause = "EKS Anywhere does not work on it until the annotation is gone; it is in Git, so that " +
			"Flux puts it back on the object"
		p.Next = "to resume: " + resume
	case known && strings.HasPrefix(pause.By, "kubectl"):
		p.Cause = "EKS Anywhere does not work on it, but it is not in Git: Flux takes the annotation off " +
			"when it applies next"
		p.Next = hint.Text("to keep it: %s; to end it: %s",
			hint.Run{Do: hint.Pause, Clusters: []string{cluster}}, resume)
	}
	return p
}

// pausedInGit says whether the file of a cluster has the annotation on an object; known is whether the file
// was read.
func (j *judge) pausedInGit(cluster, object string) (inGit, known bool) {
	if j.Git == nil {
		return false, false
	}
	for i := range j.Git.Clusters {
		for _, o := range j.Git.Clusters[i].Objects {
			if j.Git.Clusters[i].Name == cluster && o.Kind+" "+o.Namespace+"/"+o.Name == object {
				metadata, _ := o.Fields["metadata"].(map[string]any)
				annotations, _ := metadata["annotations"].(map[string]any)
				return annotations[clusterspec.PausedAnnotation] == "true", true
			}
		}
	}
	return false, false
}

// judgeTools notes annotations on live Clusters that lift a guard of EKS Anywhere, and that nobody should
// leave there.
func (j *judge) judgeTools() {
	for _, object := range j.Live {
		if object.Kind != "Cluster" || j.Cluster != "" && object.Name != j.Cluster {
			continue
		}
		metadata, _ := object.Fields["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		texts := map[string]string{}
		for name, value := range annotations {
			texts[name], _ = value.(string)
		}
		for _, a := range clusterspec.ActingOn(object.Kind, texts) {
			if a.LiftsGuard() {
				j.note("Cluster %s/%s carries annotation %s: %s; if it is in Git, %s or an edit takes it "+
					"out, else: %s",
					object.Namespace, object.Name, a.Name, a.Does,
					hint.Run{Do: hint.Upgrade, File: hint.AnyFile},
					text.Command("kubectl -n %s annotate clusters.anywhere.eks.amazonaws.com %s %s",
						object.Namespace, object.Name, a.Name+"-"))
			}
		}
	}
}
