{{/* The name of every object: that of the release. */}}
{{- define "indrik.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The labels by which services, policies and budgets find the pods; they never change. */}}
{{- define "indrik.selector" -}}
app.kubernetes.io/name: {{ include "indrik.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "indrik.labels" -}}
{{ include "indrik.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "indrik.image" -}}
{{- $repository := required "image.repository: set it to the image of your app, such as example.com/shop" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ required "image.tag: set it, or image.digest: what a rollout installs must have a name of its own" .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* A probe of the server's own endpoints, which no worker has to answer. */}}
{{- define "indrik.probe" -}}
httpGet:
  path: {{ .root.Values.settings.health_path }}/{{ .endpoint }}
  port: http
  {{- if .root.Values.settings.certfile }}
  scheme: HTTPS
  {{- end }}
{{- end -}}

{{- define "indrik.scaled" -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- fail "autoscaling.enabled and keda.enabled: KEDA makes a HorizontalPodAutoscaler of its own, choose one" -}}
{{- end -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled -}}true{{- end -}}
{{- end -}}

{{/* A setting as a variable has it: 10485760 and not 1.048576e+07, which is how a whole number
     of a values file would be printed. */}}
{{- define "indrik.value" -}}
{{- if and (kindIs "float64" .) (eq (floor .) (float64 .)) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}
