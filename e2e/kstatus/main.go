// Tells what those who wait for our objects make of them: kstatus (kubectl plugins, kpt, Flux without expressions), Argo CD
// with the script that we ship, and Flux with the expressions that we ship.
//
//	kubectl get bs -o json | kstatus ARGOCD_CM.yaml FLUX_KUSTOMIZATION.yaml
//
// Prints a JSON object for each object of the standard input, in their order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

type verdict struct {
	Name    string `json:"name"`
	Kstatus string `json:"kstatus"`
	Argocd  string `json:"argocd"`
	Flux    string `json:"flux"`
	// What Argo CD shows beside it.
	Message string `json:"message"`
}

type configMap struct {
	Data map[string]string `json:"data"`
}

type kustomization struct {
	Spec struct {
		HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
	} `json:"spec"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 2 {
		return fmt.Errorf("it wants Argo CD's ConfigMap and a Kustomization of Flux, not %q", arguments)
	}
	var argocd configMap
	var flux kustomization
	for file, into := range map[string]any{arguments[0]: &argocd, arguments[1]: &flux} {
		if err := readYAML(file, into); err != nil {
			return err
		}
	}
	objects, err := readObjects(in)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	for _, object := range objects {
		verdict, err := judge(object, argocd, flux)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if err := encoder.Encode(verdict); err != nil {
			return err
		}
	}
	return nil
}

func judge(object *unstructured.Unstructured, argocd configMap, flux kustomization) (verdict, error) {
	told := verdict{Name: object.GetName()}
	computed, err := status.Compute(object)
	if err != nil {
		return told, fmt.Errorf("kstatus: %w", err)
	}
	told.Kstatus = computed.Status.String()

	gvk := object.GroupVersionKind()
	key := fmt.Sprintf("resource.customizations.health.%s_%s", gvk.Group, gvk.Kind)
	script, found := argocd.Data[key]
	if !found {
		return told, fmt.Errorf("no %s", key)
	}
	if told.Argocd, told.Message, err = health(script, object); err != nil {
		return told, fmt.Errorf("Argo CD: %w", err)
	}

	for _, check := range flux.Spec.HealthCheckExprs {
		if check.APIVersion != object.GetAPIVersion() || check.Kind != object.GetKind() {
			continue
		}
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return told, fmt.Errorf("Flux: %w", err)
		}
		evaluated, err := evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return told, fmt.Errorf("Flux: %w", err)
		}
		told.Flux = evaluated.Status.String()
		return told, nil
	}
	return told, fmt.Errorf("no expressions of Flux for it")
}

// As Argo CD runs it: with the object as `obj` and none of the standard libraries but these.
func health(script string, object *unstructured.Unstructured) (string, string, error) {
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName:   lua.OpenPackage,
		lua.BaseLibName:   lua.OpenBase,
		lua.TabLibName:    lua.OpenTable,
		lua.StringLibName: lua.OpenString,
	} {
		call := lua.P{Fn: machine.NewFunction(open), NRet: 0, Protect: true}
		if err := machine.CallByParam(call, lua.LString(name)); err != nil {
			return "", "", err
		}
	}
	machine.SetGlobal("obj", toLua(machine, object.Object))
	if err := machine.DoString(script); err != nil {
		return "", "", err
	}
	answer, is := machine.Get(-1).(*lua.LTable)
	if !is {
		return "", "", fmt.Errorf("the script gives %s, no table", machine.Get(-1).Type())
	}
	state := lua.LVAsString(answer.RawGetString("status"))
	switch state {
	case "Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown":
		return state, lua.LVAsString(answer.RawGetString("message")), nil
	}
	return "", "", fmt.Errorf("%q is no health", state)
}

func toLua(machine *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := machine.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(toLua(machine, item))
		}
		return table
	case map[string]any:
		table := machine.CreateTable(0, len(value))
		for name, item := range value {
			table.RawSetString(name, toLua(machine, item))
		}
		return table
	}
	return lua.LNil
}

func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// A list, or one object.
func readObjects(in io.Reader) ([]*unstructured.Unstructured, error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	// Whole numbers stay whole: kstatus and Flux compare generations.
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(object.GetKind(), "List") {
		return []*unstructured.Unstructured{object}, nil
	}
	list, err := object.ToList()
	if err != nil {
		return nil, err
	}
	objects := make([]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		objects[i] = &list.Items[i]
	}
	return objects, nil
}
