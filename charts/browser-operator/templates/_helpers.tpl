{{- define "browser-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* The usual full name, truncated to leave room for the longest suffix. */ -}}
{{- define "browser-operator.fullname" -}}
{{- $name := include "browser-operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* What a release shares with no other of its namespace. The names of one that is alone are those of before. */ -}}
{{- define "browser-operator.isAlone" -}}
{{- if eq .Values.controllerName "browser-operator.io/controller" }}true{{ end }}
{{- end }}

{{- define "browser-operator.keySecret" -}}
{{- printf "%s-installation-key" (ternary "browser-operator" (include "browser-operator.fullname" .) (eq (include "browser-operator.isAlone" .) "true")) }}
{{- end }}

{{- define "browser-operator.lease" -}}
{{- printf "%s-controller" (ternary "browser-operator" (include "browser-operator.fullname" .) (eq (include "browser-operator.isAlone" .) "true")) }}
{{- end }}

{{- /* Called with (list . "component"). managed-by must never be browser-operator: that value marks browser pods. */ -}}
{{- define "browser-operator.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: browser-operator
{{ include "browser-operator.selector" . }}
{{- end }}

{{- define "browser-operator.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "browser-operator.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "browser-operator.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- /* The gateway's URL: gateway.externalUrl, or else its DNS name in the cluster. */ -}}
{{- define "browser-operator.gatewayUrl" -}}
{{- $name := printf "%s-gateway.%s.svc.%s" (include "browser-operator.fullname" .) .Release.Namespace .Values.clusterDomain }}
{{- default (printf "http://%s:%v" $name .Values.gateway.service.port) .Values.gateway.externalUrl }}
{{- end }}

{{- /* The flags that every component has, among them its admin port. */ -}}
{{- define "browser-operator.commonArgs" -}}
- --log-format={{ .Values.log.format }}
- {{ printf "--log-filter=%s" .Values.log.filter | quote }}
{{- end }}

{{- define "browser-operator.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 2
{{- end }}

{{- define "browser-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "browser-operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "browser-operator.ownNamespace" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}

{{- /* Labels and annotations of a component's pods. Called with (list . "component" values annotations). */ -}}
{{- define "browser-operator.podMetadata" -}}
{{- $values := index . 2 -}}
{{- with merge (dict) (index . 3) $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
labels:
  {{- include "browser-operator.selector" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* Scheduling fields of a component's pods. Called with (list . values). */ -}}
{{- define "browser-operator.scheduling" -}}
{{- $root := index . 0 }}
{{- $values := index . 1 }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
