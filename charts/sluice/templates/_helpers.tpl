{{- define "sluice.image" -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- end }}

{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* One of the two Deployments: they differ in name, port and what they are told. */}}
{{- define "sluice.deployment" -}}
{{- $prometheus := .root.Values.prometheus }}
{{- $samples := .root.Values.samples }}
{{- $bucket := hasPrefix "s3://" $samples.repository }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: sluice-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "sluice.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels:
      {{- include "sluice.selector" . | nindent 6 }}
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      labels:
        {{- include "sluice.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
    spec:
      serviceAccountName: sluice-{{ .component }}
      priorityClassName: system-cluster-critical
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels:
            {{- include "sluice.selector" . | nindent 12 }}
      {{- with .root.Values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
      - name: {{ .component }}
        image: {{ include "sluice.image" .root }}
        imagePullPolicy: {{ .root.Values.image.pullPolicy }}
        args:
        - {{ .component }}
        - --log-level={{ .root.Values.logLevel }}
        {{- if and (eq .component "controller") .root.Values.scorers.queueName }}
        - --scorer-queue={{ .root.Values.scorers.queueName }}
        {{- end }}
        {{- if and (eq .component "controller") $samples.repository }}
        - --samples-repository={{ $samples.repository }}
        - --samples-keep={{ $samples.keep }}
        {{- if and $samples.authSecret (not $bucket) }}
        - --samples-auth-file=/etc/sluice/samples/.dockerconfigjson
        {{- end }}
        {{- if and $bucket $samples.endpoint }}
        - --samples-endpoint={{ $samples.endpoint }}
        {{- end }}
        {{- if and $bucket $samples.region }}
        - --samples-region={{ $samples.region }}
        {{- end }}
        {{- end }}
        {{- if eq .component "controller" }}
        {{- range .root.Values.evidence.registries }}
        - --evidence-registry={{ . }}
        {{- end }}
        {{- range .root.Values.evidence.pullSecrets }}
        - --evidence-pull-secret={{ . }}
        {{- end }}
        {{- if .root.Values.registries.caConfigMap.name }}
        - --registry-ca-file=/etc/sluice/registries/ca.crt
        {{- end }}
        {{- end }}
        {{- if and (eq .component "controller") $prometheus.url }}
        - --prometheus-url={{ $prometheus.url }}
        {{- if $prometheus.tokenSecret.name }}
        - --prometheus-token-file=/etc/prometheus/token/token
        {{- end }}
        {{- if $prometheus.caConfigMap.name }}
        - --prometheus-ca-file=/etc/prometheus/ca/ca.crt
        {{- end }}
        {{- end }}
        env:
        - name: POD_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: VERIFIER_IMAGE
          value: {{ include "sluice.image" .root }}
        {{- if eq .component "controller" }}
        - name: SCORER_IMAGE
          value: {{ include "sluice.image" .root }}
        {{- if and $bucket $samples.authSecret }}
        {{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN" }}
        - name: {{ $name }}
          valueFrom: {secretKeyRef: {name: {{ $samples.authSecret }}, key: {{ $name }}, optional: {{ eq $name "AWS_SESSION_TOKEN" }}}}
        {{- end }}
        {{- end }}
        {{- end }}
        ports:
        {{- if eq .component "webhook" }}
        - {name: admission, containerPort: 9443}
        {{- end }}
        - {name: http, containerPort: 8080}
        livenessProbe:
          httpGet: {path: /healthz, port: http}
          periodSeconds: 10
          timeoutSeconds: 3
          failureThreshold: 3
        readinessProbe:
          httpGet: {path: /readyz, port: http}
          periodSeconds: 2
          timeoutSeconds: 2
          failureThreshold: 2
        startupProbe:
          httpGet: {path: /healthz, port: http}
          periodSeconds: 1
          # A node that is busy takes more than a minute to start four of us; to begin again makes it busier.
          failureThreshold: 180
        resources: {{- toYaml .values.resources | nindent 10 }}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {drop: [ALL]}
        volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if eq .component "controller" }}
        {{- if and $samples.authSecret (not $bucket) }}
        - {name: samples-auth, mountPath: /etc/sluice/samples, readOnly: true}
        {{- end }}
        {{- if .root.Values.registries.caConfigMap.name }}
        - {name: registries-ca, mountPath: /etc/sluice/registries, readOnly: true}
        {{- end }}
        {{- if $prometheus.tokenSecret.name }}
        - {name: prometheus-token, mountPath: /etc/prometheus/token, readOnly: true}
        {{- end }}
        {{- if $prometheus.caConfigMap.name }}
        - {name: prometheus-ca, mountPath: /etc/prometheus/ca, readOnly: true}
        {{- end }}
        {{- end }}
      volumes:
      - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
      {{- if eq .component "controller" }}
      {{- if and $samples.authSecret (not $bucket) }}
      - {name: samples-auth, secret: {secretName: {{ $samples.authSecret }}}}
      {{- end }}
      {{- with .root.Values.registries.caConfigMap }}
      {{- if .name }}
      - name: registries-ca
        configMap: {name: {{ .name }}, items: [{key: {{ .key }}, path: ca.crt}]}
      {{- end }}
      {{- end }}
      {{- with $prometheus.tokenSecret }}
      {{- if .name }}
      - name: prometheus-token
        secret: {secretName: {{ .name }}, items: [{key: {{ .key }}, path: token}]}
      {{- end }}
      {{- end }}
      {{- with $prometheus.caConfigMap }}
      {{- if .name }}
      - name: prometheus-ca
        configMap: {name: {{ .name }}, items: [{key: {{ .key }}, path: ca.crt}]}
      {{- end }}
      {{- end }}
      {{- end }}
{{- end }}
