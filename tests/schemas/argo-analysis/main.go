// Command argo-analysis asks Argo Rollouts' own code what it thinks of analyses: the references of a
// Rollout as its controller resolves them, the rules for metrics, and what a condition makes of a result.
// `kubectl argo rollouts lint` does none of this.
//
// It reads a YAML stream of Kubernetes objects on standard input and prints one problem a line.
// Exit codes: 0 no problem, 1 problems, 2 unreadable input.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/validation"
	"github.com/argoproj/argo-rollouts/utils/analysis"
	"github.com/argoproj/argo-rollouts/utils/evaluate"
)

type fleet struct {
	rollouts  []*v1alpha1.Rollout
	templates map[string]*v1alpha1.AnalysisTemplate // by namespace/name
	problems  []string
}

func main() {
	objects, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	objects.judge()
	sort.Strings(objects.problems)
	for _, problem := range objects.problems {
		fmt.Println(problem)
	}
	if len(objects.problems) > 0 {
		os.Exit(1)
	}
}

func read(in io.Reader) (*fleet, error) {
	found := &fleet{templates: map[string]*v1alpha1.AnalysisTemplate{}}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var object unstructured.Unstructured
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		raw, err := object.MarshalJSON()
		if err != nil {
			return nil, err
		}
		switch object.GetKind() {
		case "Rollout":
			rollout := &v1alpha1.Rollout{}
			if err := yaml.UnmarshalStrict(raw, rollout); err != nil {
				found.report(object.GetKind(), object.GetName(), err)
				continue
			}
			found.rollouts = append(found.rollouts, rollout)
		case "AnalysisTemplate":
			template := &v1alpha1.AnalysisTemplate{}
			if err := yaml.UnmarshalStrict(raw, template); err != nil {
				found.report(object.GetKind(), object.GetName(), err)
				continue
			}
			key := template.Namespace + "/" + template.Name
			if found.templates[key] != nil {
				found.report("AnalysisTemplate", template.Name, errors.New("is there twice"))
			}
			found.templates[key] = template
		}
	}
}

func (f *fleet) report(kind, name string, problem error) {
	f.problems = append(f.problems, fmt.Sprintf("%s %s: %v", kind, name, problem))
}

func (f *fleet) judge() {
	for _, template := range f.templates {
		f.judgeMetrics(template)
	}
	for _, rollout := range f.rollouts {
		for _, analysis := range analyses(rollout) {
			f.judgeAnalysis(rollout, analysis)
		}
	}
}

// judgeMetrics applies Argo's rules to one template, with a placeholder for every argument that the Rollout gives.
func (f *fleet) judgeMetrics(template *v1alpha1.AnalysisTemplate) {
	arguments := []v1alpha1.Argument{}
	placeholder := "1"
	for _, argument := range template.Spec.Args {
		if argument.Value == nil {
			argument.Value, argument.ValueFrom = &placeholder, nil
		}
		arguments = append(arguments, argument)
	}
	metrics := []v1alpha1.Metric{}
	for _, metric := range template.Spec.Metrics {
		resolved, err := analysis.ResolveMetricArgs(metric, arguments)
		if err != nil {
			f.report("AnalysisTemplate", template.Name, fmt.Errorf("metric %s: %w", metric.Name, err))
			continue
		}
		metrics = append(metrics, *resolved)
		f.judgeConditions(template, *resolved)
	}
	if err := analysis.ValidateMetrics(metrics); err != nil {
		f.report("AnalysisTemplate", template.Name, err)
	}
}

// judgeConditions evaluates the conditions of a Prometheus metric on the vectors that a query may answer with.
// Each must give a verdict: an Error (an index into an empty vector, an unknown function, not a boolean)
// aborts a rollout although nothing was found of the model.
func (f *fleet) judgeConditions(template *v1alpha1.AnalysisTemplate, metric v1alpha1.Metric) {
	log := *logrus.NewEntry(logrus.New())
	if metric.Provider.Prometheus == nil { // an answer of any shape: only what can never be right is a problem
		_, err := evaluate.EvaluateResult(map[string]any{}, metric, log)
		if err != nil && strings.Contains(err.Error(), "unknown name") {
			f.report("AnalysisTemplate", template.Name, fmt.Errorf("metric %s: %w", metric.Name, err))
		}
		return
	}
	for _, vector := range [][]float64{{}, {0}, {1}, {math.NaN()}} {
		if _, err := evaluate.EvaluateResult(vector, metric, log); err != nil {
			f.report("AnalysisTemplate", template.Name,
				fmt.Errorf("metric %s: for the result %v: %w", metric.Name, vector, err))
		}
	}
}

type reference struct {
	kind validation.AnalysisTemplateType
	step int
	spec *v1alpha1.RolloutAnalysis
}

func analyses(rollout *v1alpha1.Rollout) []reference {
	found := []reference{}
	if blueGreen := rollout.Spec.Strategy.BlueGreen; blueGreen != nil {
		if blueGreen.PrePromotionAnalysis != nil {
			found = append(found, reference{validation.PrePromotionAnalysis, 0, blueGreen.PrePromotionAnalysis})
		}
		if blueGreen.PostPromotionAnalysis != nil {
			found = append(found, reference{validation.PostPromotionAnalysis, 0, blueGreen.PostPromotionAnalysis})
		}
	}
	if canary := rollout.Spec.Strategy.Canary; canary != nil {
		for i, step := range canary.Steps {
			if step.Analysis != nil {
				found = append(found, reference{validation.InlineAnalysis, i, step.Analysis})
			}
		}
		if canary.Analysis != nil {
			found = append(found, reference{validation.BackgroundAnalysis, 0, &canary.Analysis.RolloutAnalysis})
		}
	}
	return found
}

// judgeAnalysis resolves one analysis of a Rollout as the controller does before it starts a revision.
func (f *fleet) judgeAnalysis(rollout *v1alpha1.Rollout, analysis reference) {
	templates := []*v1alpha1.AnalysisTemplate{}
	for _, named := range analysis.spec.Templates {
		template := f.templates[rollout.Namespace+"/"+named.TemplateName]
		if template == nil {
			f.report("Rollout", rollout.Name, fmt.Errorf("AnalysisTemplate %q does not exist", named.TemplateName))
			return
		}
		if len(template.Spec.Templates) > 0 {
			f.report("AnalysisTemplate", template.Name, errors.New("names other templates, which are not followed here"))
		}
		// The validation writes placeholders into the arguments it is given.
		templates = append(templates, template.DeepCopy())
	}
	found := validation.ValidateRolloutReferencedResources(rollout, validation.ReferencedResources{
		AnalysisTemplatesWithType: []validation.AnalysisTemplatesWithType{{
			AnalysisTemplates: templates,
			TemplateType:      analysis.kind,
			CanaryStepIndex:   analysis.step,
			Args:              analysis.spec.Args,
		}},
	})
	for _, err := range found {
		f.report("Rollout", rollout.Name, err)
	}
}
