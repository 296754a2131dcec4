#!/usr/bin/env python3
"""Checks rules on the rendered charts that a schema cannot express.

usage: rules.py GENERATED <RENDERED

Both are JSON documents: the CustomResourceDefinitions of crds/yaml, and all objects of both charts.
"""

import pathlib
import sys

from schemas import documents

KEY = "browser-operator-installation-key"


def rules_of(objects, kind, name):
    (role,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == f"browser-operator-{name}"]
    return role["rules"]


def resources(rules):
    return {resource.split("/")[0] for rule in rules for resource in rule["resources"]}


def check_roles(objects):
    for role in (o for o in objects if o["kind"] in ("ClusterRole", "Role")):
        for rule in role["rules"]:
            words = rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert "*" not in words, f"{role['metadata']['name']} has a wildcard: {rule}"
            forbidden = {"escalate", "bind", "impersonate"} & set(rule["verbs"])
            assert not forbidden, f"{role['metadata']['name']} may {forbidden}"
            if role["kind"] == "ClusterRole":
                assert "secrets" not in rule["resources"], f"{role['metadata']['name']} has secrets of every namespace"
            elif "secrets" in rule["resources"] and rule.get("resourceNames") != [KEY]:
                # The API keys, and what calls brought for proxies; RBAC cannot restrict watch to a label.
                allowed = {
                    "browser-operator-gateway": ["list", "watch", "create"],
                    "browser-operator-controller": ["create", "get", "list", "watch", "delete"],
                }
                assert rule["verbs"] == allowed[role["metadata"]["name"]], rule
            elif "secrets" in rule["resources"]:
                assert rule["verbs"] == ["get"], rule
    gateway = resources(rules_of(objects, "ClusterRole", "gateway"))
    allowed = {"browsersessions", "browserclasses", "namespaces", "tokenreviews", "subjectaccessreviews"}
    assert gateway <= allowed, f"the gateway may touch {gateway - allowed}"
    controller = resources(rules_of(objects, "ClusterRole", "controller"))
    allowed = {"browsersessions", "browserclasses", "namespaces", "pods", "services", "events"}
    allowed |= {"networkpolicies", "nodes", "servicecidrs"}
    assert controller <= allowed, f"the controller may touch {controller - allowed}"


def check_pods(objects):
    workloads = {o["metadata"]["name"]: o for o in objects if o["kind"] in ("Deployment", "DaemonSet")}
    expected = {f"browser-operator-{role}" for role in ("controller", "gateway", "node")}
    assert set(workloads) == expected, workloads.keys()
    for name, workload in workloads.items():
        template = workload["spec"]["template"]
        # That value marks browser pods: the controller would treat this pod as one.
        assert template["metadata"]["labels"].get("app.kubernetes.io/managed-by") != "browser-operator", name
        spec, node = template["spec"], name == "browser-operator-node"
        assert spec["automountServiceAccountToken"] is not node, name
        assert spec["securityContext"]["runAsNonRoot"] is not node, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for word in ("hostNetwork", "hostPID", "hostIPC"):
            assert word not in spec, (name, word)
        host = [volume for volume in spec.get("volumes", []) if "hostPath" in volume]
        assert len(host) == (1 if node else 0), (name, host)
        if node:
            # Otherwise `helm --wait` returns before the profiles are there.
            assert workload["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 0, name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name


def check_definitions(objects, generated):
    rendered = {o["metadata"]["name"]: o for o in objects if o["kind"] == "CustomResourceDefinition"}
    assert rendered.keys() == generated.keys(), (rendered.keys(), generated.keys())
    for name, definition in generated.items():
        assert rendered[name]["spec"] == definition["spec"], f"{name} is changed by its chart"
        assert rendered[name]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep", name


def check_policies(objects):
    policies = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicy"}
    expected = {f"browser-operator-{what}" for what in ("annotations", "expose", "pods")}
    assert policies.keys() == expected, policies.keys()
    bindings = [o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {b["policyName"] for b in bindings} == policies.keys(), bindings
    for binding in bindings:
        assert binding["validationActions"] == ["Deny"] and len(binding) == 2, binding
    for name, spec in policies.items():
        assert spec["failurePolicy"] == "Fail", name
    (rule,) = policies["browser-operator-annotations"]["matchConstraints"]["resourceRules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE", "UPDATE"], ["browsersessions"]), rule
    # Each policy exempts only the ServiceAccount of the pods that it is about.
    for policy, role in (("annotations", "gateway"), ("pods", "controller")):
        name = f"browser-operator-{role}"
        (workload,) = [o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"] == name]
        account = workload["spec"]["template"]["spec"]["serviceAccountName"]
        username = f"system:serviceaccount:{workload['metadata']['namespace']}:{account}"
        expressions = [c["expression"] for c in policies[f"browser-operator-{policy}"]["matchConditions"]]
        exempting = [e for e in expressions if "request.userInfo.username" in e]
        assert exempting == [f'!(request.userInfo.username in ["{username}"])'], exempting


def main(generated):
    objects = list(documents(sys.stdin.read()))
    definitions = documents(pathlib.Path(generated).read_text())
    check_roles(objects)
    check_pods(objects)
    check_policies(objects)
    check_definitions(objects, {definition["metadata"]["name"]: definition for definition in definitions})


if __name__ == "__main__":
    main(*sys.argv[1:])
