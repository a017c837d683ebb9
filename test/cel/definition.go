package main

import (
	"context"
	"maps"
	"math"
	"os"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// oldestServer is the oldest API server that must understand every rule.
var oldestServer = version.MajorMinor(1, 33)

type definitionVerdict struct {
	Name     string     `json:"name"`
	Problems []problem  `json:"problems"`
	Costs    []ruleCost `json:"costs"`
}

// ruleCost is the worst case that the API server estimates for one rule in a whole object.
type ruleCost struct {
	Field   string `json:"field"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
	Cost    uint64 `json:"cost"`
	// Error says why the oldest supported server would not compile the rule.
	Error string `json:"error,omitempty"`
}

// kind is a definition ready to judge objects.
type kind struct {
	name       string
	apiVersion string
	structural *schema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

func loadDefinition(file string) (definitionVerdict, *kind, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return definitionVerdict{}, nil, err
	}
	external := &v1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, external); err != nil {
		return definitionVerdict{}, nil, err
	}
	v1.SetObjectDefaults_CustomResourceDefinition(external)
	definition := &apiextensions.CustomResourceDefinition{}
	if err := v1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(external, definition, nil); err != nil {
		return definitionVerdict{}, nil, err
	}
	// The API server fills this in when it stores a new definition.
	definition.Status.StoredVersions = []string{external.Spec.Versions[0].Name}
	verdict := definitionVerdict{
		Name:     external.Name,
		Problems: problemsOf(crdvalidation.ValidateCustomResourceDefinition(context.Background(), definition)),
		Costs:    []ruleCost{},
	}
	if len(verdict.Problems) > 0 {
		return verdict, nil, nil
	}
	props, err := openAPI(definition)
	if err != nil {
		return verdict, nil, err
	}
	verdict.Costs, err = costs(props, crdvalidation.RootCELContext(props), nil, verdict.Costs)
	if err != nil {
		return verdict, nil, err
	}
	structural, err := schema.NewStructural(props)
	if err != nil {
		return verdict, nil, err
	}
	validator, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		return verdict, nil, err
	}
	return verdict, &kind{
		name:       external.Spec.Names.Kind,
		apiVersion: external.Spec.Group + "/" + external.Spec.Versions[0].Name,
		structural: structural,
		validator:  validator,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}

// openAPI finds the schema, which the internal type keeps in one of two places.
func openAPI(definition *apiextensions.CustomResourceDefinition) (*apiextensions.JSONSchemaProps, error) {
	v, err := apiextensions.GetSchemaForVersion(definition, definition.Spec.Versions[0].Name)
	if err != nil {
		return nil, err
	}
	return v.OpenAPIV3Schema, nil
}

// costs compiles every rule as the oldest supported server does and multiplies its estimate with
// the number of places it can apply to, which is the figure that the server limits.
func costs(props *apiextensions.JSONSchemaProps, ctx *crdvalidation.CELSchemaContext, path *field.Path, found []ruleCost) ([]ruleCost, error) {
	if len(props.XValidations) > 0 {
		info, err := ctx.TypeInfo()
		if err != nil {
			return nil, err
		}
		compiled, err := cel.Compile(info.Schema, info.DeclType, celconfig.PerCallLimit, environment.MustBaseEnvSet(oldestServer), cel.NewExpressionsEnvLoader())
		if err != nil {
			return nil, err
		}
		for i, rule := range compiled {
			cost := ruleCost{Field: path.String(), Rule: props.XValidations[i].Rule, Message: props.XValidations[i].Message}
			if rule.Error != nil {
				cost.Error = rule.Error.Error()
			}
			cardinality := rule.MaxCardinality
			if ctx.MaxCardinality != nil {
				cardinality = *ctx.MaxCardinality
			}
			cost.Cost = multiply(rule.MaxCost, cardinality)
			found = append(found, cost)
		}
	}
	var err error
	for _, name := range slices.Sorted(maps.Keys(props.Properties)) {
		child := props.Properties[name]
		if found, err = costs(&child, ctx.ChildPropertyContext(&child, name), path.Child(name), found); err != nil {
			return nil, err
		}
	}
	if props.Items != nil && props.Items.Schema != nil {
		item := props.Items.Schema
		if found, err = costs(item, ctx.ChildItemsContext(item), path.Key(""), found); err != nil {
			return nil, err
		}
	}
	if props.AdditionalProperties != nil && props.AdditionalProperties.Schema != nil {
		value := props.AdditionalProperties.Schema
		if found, err = costs(value, ctx.ChildAdditionalPropertiesContext(value), path.Key("*"), found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func multiply(a, b uint64) uint64 {
	if a != 0 && math.MaxUint64/a < b {
		return math.MaxUint64
	}
	return a * b
}

func problemsOf(errs field.ErrorList) []problem {
	problems := []problem{}
	for _, err := range errs {
		problems = append(problems, problem{Type: string(err.Type), Field: err.Field, Detail: err.Detail})
	}
	return problems
}
