{{- define "amends.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "amends.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "amends.labels" -}}
{{ include "amends.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "amends.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "amends.name" .) }}
{{- end }}

{{- define "amends.scheme" -}}
{{ ternary "https" "http" (not (empty .Values.tls.secret)) }}
{{- end }}

{{/* Seconds of a time like 500ms, 10s or 2m. */}}
{{- define "amends.seconds" -}}
{{- if hasSuffix "ms" . }}{{ trimSuffix "ms" . | float64 | mulf 0.001 | ceil | int }}
{{- else if hasSuffix "s" . }}{{ trimSuffix "s" . | int }}
{{- else if hasSuffix "m" . }}{{ trimSuffix "m" . | int | mul 60 }}
{{- else }}{{ fail (printf "config.shutdown.grace: %q is not a time like 500ms, 10s or 2m" .) }}{{ end }}
{{- end }}

{{/* What the chart sets; `config` adds to it. */}}
{{- define "amends.own" -}}
grpc:
  listen: 0.0.0.0:7400
http:
  listen: 0.0.0.0:7480
store:
  kind: {{ .Values.store.kind }}
  data: /var/lib/amends
  {{- if and (eq .Values.store.kind "redis") (or .Values.store.redis.id .Values.store.redis.caSecret.name) }}
  redis:
    {{- with .Values.store.redis.id }}
    id: {{ . }}
    {{- end }}
    {{- if .Values.store.redis.caSecret.name }}
    ca_file: /etc/amends/redis-ca/{{ .Values.store.redis.caSecret.key }}
    {{- end }}
  {{- end }}
{{- if .Values.tls.secret }}
tls:
  certificate_file: /etc/amends/tls/tls.crt
  key_file: /etc/amends/tls/tls.key
  {{- with .Values.tls.clientCaKey }}
  client_ca_file: /etc/amends/tls/{{ . }}
  {{- end }}
{{- end }}
{{- if .Values.outgoingTls.secret }}
outgoing_tls:
  ca_file: /etc/amends/outgoing-tls/ca.crt
  certificate_file: /etc/amends/outgoing-tls/tls.crt
  key_file: /etc/amends/outgoing-tls/tls.key
{{- end }}
{{- if .Values.auth.secret }}
auth:
  file: /etc/amends/auth/access.yaml
  {{- if eq .Values.store.kind "redis" }}
  node_secret_file: /etc/amends/auth/node-secret
  {{- end }}
{{- end }}
{{- end }}

{{/* What can't be said by the schema. */}}
{{- define "amends.check" -}}
{{- if and (eq .Values.store.kind "sqlite") (ne (int .Values.replicas) 1) }}
{{- fail "store.kind sqlite: a store on one volume has one coordinator; write replicas: 1, or use redis" }}
{{- end }}
{{- if and (not .Values.insecure) (or (not .Values.tls.secret) (not .Values.auth.secret)) }}
{{- fail "pods answer to other machines: give tls.secret and auth.secret, or, for a trial, insecure: true" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}
{{- fail "serviceMonitor.enabled: this cluster has no Prometheus Operator (monitoring.coreos.com/v1)" }}
{{- end }}
{{- end }}
