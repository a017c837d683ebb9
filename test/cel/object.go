package main

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

type objectVerdict struct {
	Problems []problem `json:"problems"`
	// Object is what would be stored: defaults applied.
	Object map[string]any `json:"object"`
}

// judge does to an object what an API server does on creation with strict field validation:
// decode, find unknown fields, drop nulls, apply defaults, validate.
func judge(raw []byte, kinds map[string]*kind) (objectVerdict, error) {
	object := map[string]any{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return objectVerdict{}, err
	}
	name, _, _ := unstructured.NestedString(object, "kind")
	k, found := kinds[name]
	if !found {
		return objectVerdict{}, fmt.Errorf("no definition of kind %q", name)
	}
	meta, _, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return objectVerdict{Problems: []problem{{Type: "Decode", Field: "metadata", Detail: err.Error()}}}, nil
	}
	unknown = append(unknown, pruning.PruneWithOptions(object, k.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, k.structural)
	defaulting.Default(object, k.structural)
	delete(object, "status")
	problems := []problem{}
	for _, path := range unknown {
		problems = append(problems, problem{Type: "Unknown", Field: path, Detail: "unknown field"})
	}
	if meta != nil {
		if meta.Namespace == "" {
			// A client fills in the namespace of the request.
			meta.Namespace = "default"
		}
		if err := objectmeta.SetObjectMeta(object, meta); err != nil {
			return objectVerdict{}, err
		}
	}
	problems = append(problems, problemsOf(k.validate(object))...)
	return objectVerdict{Problems: problems, Object: object}, nil
}

// validate follows the create strategy for custom resources in
// k8s.io/apiextensions-apiserver/pkg/registry/customresource. That package itself would bring the
// storage layer of the API server into this program.
func (k *kind) validate(object map[string]any) field.ErrorList {
	accessor := &unstructured.Unstructured{Object: object}
	if accessor.GetAPIVersion() != k.apiVersion {
		return field.ErrorList{field.Invalid(field.NewPath("apiVersion"), accessor.GetAPIVersion(), "must be "+k.apiVersion)}
	}
	errs := metavalidation.ValidateObjectMetaAccessor(accessor, true, metavalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, validation.ValidateCustomResource(nil, object, k.validator)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, object)...)
	if blocked(errs) {
		return errs
	}
	rules, _ := k.rules.Validate(context.Background(), nil, k.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(errs, rules...)
}

// blocked tells whether the object is too broken for its rules to be evaluated.
func blocked(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}
