package deploy

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestLint: helm lint has nothing to say.
func TestLint(t *testing.T) {
	for name, text := range map[string]string{"minimal": minimal, "whole": whole, "keda": withKEDA} {
		for _, m := range lint.All(chartDir, values(t, text), "default", true).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// TestStrict: each object is one of Kubernetes, with fields that its type has.
func TestStrict(t *testing.T) {
	usual := []string{"deployment.yaml", "networkpolicy.yaml", "poddisruptionbudget.yaml", "service.yaml"}
	for name, c := range map[string]struct {
		values string
		more   []string
	}{
		"minimal": {minimal, nil},
		"whole":   {whole, []string{"configmap.yaml", "horizontalpodautoscaler.yaml", "podmonitor.yaml"}},
		"keda":    {withKEDA, []string{"scaledobject.yaml"}},
	} {
		want := slices.Sorted(slices.Values(append(slices.Clone(usual), c.more...)))
		if got := slices.Sorted(maps.Keys(objects(t, c.values))); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	off := minimal + "podDisruptionBudget: {enabled: false}\nnetworkPolicy: {enabled: false}\ntopologySpread: {enabled: false}\n"
	if got := slices.Sorted(maps.Keys(objects(t, off))); !slices.Equal(got, []string{"deployment.yaml", "service.yaml"}) {
		t.Errorf("with everything off: %q", got)
	}
	// The decoder itself: a field by a letter of the wrong case is none.
	wrong := "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n    securityContext: {readonlyRootFilesystem: true}\n"
	if _, err := decode("pod", wrong); err == nil {
		t.Error("the decoder is not strict")
	}
}

// TestRefused: what is missing or wrong is an error that names it.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ values, want string }{
		{"", "image.repository"},
		{"image: {tag: a}", "image.repository"},
		{"image: {repository: a}", "image.tag"},
		{"image: {repository: a, digest: b}", "digest"},
		{minimal + "autoscaling: {enabled: true}\nkeda: {enabled: true, triggers: [{type: cpu}]}", "autoscaling.enabled and keda.enabled"},
		{minimal + "keda: {enabled: true}", "keda.triggers"},
		{minimal + "keda: {enabled: true, prometheus: {serverAddress: \"http://a\"}}", "metrics.enabled"},
		{minimal + "autoscaling: {enabled: true, targetBusy: 50}", "metrics.enabled"},
		{minimal + "autoscaling: {enabled: true, targetCPU: 0}", "nothing to scale by"},
		{minimal + "metrics: {podMonitor: {enabled: true}}", "metrics.enabled"},
		{minimal + "metrics: {port: 70000}", "port"},
		{minimal + "settings: {drain_delay: soon}", "drain_delay"},
		{minimal + "settings: {health_path: health}", "health_path"},
		{minimal + "settings: {graceful-timeout: 5}", "graceful-timeout"},
		{minimal + "replicaCount: 3", "replicaCount"},
	} {
		files, err := render(t, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one that has %q (%d files)", c.values, err, c.want, len(files))
		}
	}
}

func deployment(t *testing.T, text string) (*appsv1.Deployment, corev1.PodSpec, corev1.Container) {
	t.Helper()
	d := get[*appsv1.Deployment](t, objects(t, text), "deployment.yaml")
	return d, d.Spec.Template.Spec, d.Spec.Template.Spec.Containers[0]
}

// TestConfined: the pod has no rights that it does not need.
func TestConfined(t *testing.T) {
	for _, text := range []string{minimal, whole} {
		_, pod, c := deployment(t, text)
		p, s := pod.SecurityContext, c.SecurityContext
		if p.RunAsNonRoot == nil || !*p.RunAsNonRoot || *p.RunAsUser == 0 || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("the pod: %v", p)
		}
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || s.Capabilities.Add != nil {
			t.Errorf("the container: %v", s)
		}
		if *pod.AutomountServiceAccountToken {
			t.Error("a token is mounted")
		}
		if m := c.VolumeMounts[0]; m.MountPath != "/tmp" || pod.Volumes[0].EmptyDir == nil || pod.Volumes[0].Name != m.Name {
			t.Errorf("no /tmp to write to: %v", m)
		}
	}
}

// TestLeaving: a pod has the time that its settings need, goes on accepting after TERM, and is
// taken away only when another one serves.
func TestLeaving(t *testing.T) {
	for text, want := range map[string]int64{minimal: 45, minimal + "settings: {drain_delay: 20, graceful_timeout: 300}": 330} {
		d, pod, c := deployment(t, text)
		if *pod.TerminationGracePeriodSeconds != want {
			t.Errorf("%d seconds to end, want %d", *pod.TerminationGracePeriodSeconds, want)
		}
		if c.Lifecycle != nil {
			t.Errorf("there are hooks: %v", c.Lifecycle)
		}
		if u := d.Spec.Strategy.RollingUpdate; u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() != 1 {
			t.Errorf("a rollout: %v", u)
		}
		if v := variables(c)["INDRIK_DRAIN_DELAY"]; v == "" || v == "0" {
			t.Errorf("drain_delay %q", v)
		}
	}
}

func variables(c corev1.Container) map[string]string {
	all := map[string]string{}
	for _, e := range c.Env {
		all[e.Name] = e.Value
	}
	return all
}

// TestProbes: they ask the server's own endpoints, on its port.
func TestProbes(t *testing.T) {
	for text, scheme := range map[string]corev1.URIScheme{minimal: "", whole: corev1.URISchemeHTTPS} {
		_, _, c := deployment(t, text)
		path := variables(c)["INDRIK_HEALTH_PATH"]
		for endpoint, probe := range map[string]*corev1.Probe{"startupz": c.StartupProbe, "readyz": c.ReadinessProbe, "livez": c.LivenessProbe} {
			get := probe.HTTPGet
			if get.Path != path+"/"+endpoint || get.Port.StrVal != c.Ports[0].Name || get.Scheme != scheme {
				t.Errorf("%s: %v", endpoint, get)
			}
		}
		if s := c.StartupProbe; s.PeriodSeconds*s.FailureThreshold != 120 {
			t.Errorf("the start may take %d × %d seconds", s.PeriodSeconds, s.FailureThreshold)
		}
		if bind := variables(c)["INDRIK_BIND"]; bind != "0.0.0.0:8000" || c.Ports[0].ContainerPort != 8000 {
			t.Errorf("bind %q, port %d", bind, c.Ports[0].ContainerPort)
		}
	}
}

// TestSettings: settings become variables, numbers as they were written, and those of the chart
// are settings that the server has.
func TestSettings(t *testing.T) {
	_, _, c := deployment(t, whole)
	got := variables(c)
	for name, want := range map[string]string{
		"INDRIK_WORKERS": "4", "INDRIK_LIMIT_REQUEST_BODY": "10485760", "INDRIK_PRELOAD_APP": "true", "INDRIK_DRAIN_DELAY": "5",
		"INDRIK_CONFIG": "/etc/indrik/indrik.conf.py", "DATABASE": "postgres",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	known := read(t, "docs", "settings.md")
	for name := range got {
		if setting, ok := strings.CutPrefix(name, "INDRIK_"); ok && !strings.Contains(known, "### "+strings.ToLower(setting)+"\n") {
			t.Errorf("there is no setting %s", name)
		}
	}
	config := get[*corev1.ConfigMap](t, objects(t, whole), "configmap.yaml")
	if text := config.Data["indrik.conf.py"]; !strings.HasPrefix(text, "def on_starting(server):\n    pass\n") {
		t.Errorf("the config file: %q", text)
	}
}

// TestFound: service, budget, policy and constraints find the pods of the deployment.
func TestFound(t *testing.T) {
	all := objects(t, whole)
	d := get[*appsv1.Deployment](t, all, "deployment.yaml")
	pod := labels.Set(d.Spec.Template.Labels)
	selectors := map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels,
		"service":    get[*corev1.Service](t, all, "service.yaml").Spec.Selector,
		"budget":     get[*policyv1.PodDisruptionBudget](t, all, "poddisruptionbudget.yaml").Spec.Selector.MatchLabels,
		"policy":     get[*networkingv1.NetworkPolicy](t, all, "networkpolicy.yaml").Spec.PodSelector.MatchLabels,
	}
	for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
		selectors[c.TopologyKey] = c.LabelSelector.MatchLabels
	}
	for name, s := range selectors {
		if len(s) == 0 || !labels.SelectorFromSet(s).Matches(pod) {
			t.Errorf("%s looks for %v, the pods have %v", name, s, pod)
		}
	}
	if len(selectors) != 6 {
		t.Errorf("there are %d selectors", len(selectors))
	}
	port := d.Spec.Template.Spec.Containers[0].Ports[0].Name
	if s := get[*corev1.Service](t, all, "service.yaml").Spec.Ports[0]; s.TargetPort.StrVal != port {
		t.Errorf("the service goes to %v", s.TargetPort)
	}
	if p := get[*networkingv1.NetworkPolicy](t, all, "networkpolicy.yaml").Spec; p.Ingress[0].Ports[0].Port.StrVal != port || len(p.Ingress[0].From) != 1 || len(p.Egress) != 2 {
		t.Errorf("the policy lets in and out: %v", p)
	}
}

// TestScaled: what scales the deployment names it, and alone says how many pods there are.
func TestScaled(t *testing.T) {
	if d, _, _ := deployment(t, minimal); d.Spec.Replicas == nil || *d.Spec.Replicas != 3 {
		t.Errorf("replicas: %v", d.Spec.Replicas)
	}
	for _, text := range []string{whole, withKEDA} {
		if d, _, _ := deployment(t, text); d.Spec.Replicas != nil {
			t.Errorf("replicas: %d", *d.Spec.Replicas)
		}
	}
	h := get[*autoscalingv2.HorizontalPodAutoscaler](t, objects(t, whole), "horizontalpodautoscaler.yaml").Spec
	if h.ScaleTargetRef.Name != release || h.ScaleTargetRef.Kind != "Deployment" || *h.MinReplicas != 3 || h.MaxReplicas != 12 {
		t.Errorf("the autoscaler: %v", h)
	}
	k := get[*scaledObject](t, objects(t, withKEDA), "scaledobject.yaml").Spec
	if k.ScaleTargetRef.Name != release || len(k.Triggers) != 2 {
		t.Errorf("the scaled object: %v", k)
	}
	both := get[*scaledObject](t, objects(t, withKEDA+"  triggers: [{type: cpu, metricType: Utilization, metadata: {value: \"70\"}}]\n"), "scaledobject.yaml").Spec
	if len(both.Triggers) != 3 || both.Triggers[2].Type != "cpu" {
		t.Errorf("the scaled object: %v", both)
	}
}

// TestMetrics: the pods have an address for Prometheus, which only pods of the cluster reach, and
// which the service does not have; what reads the metrics asks for some that there are.
func TestMetrics(t *testing.T) {
	all := objects(t, whole)
	d := get[*appsv1.Deployment](t, all, "deployment.yaml")
	c := d.Spec.Template.Spec.Containers[0]
	if v := variables(c); v["INDRIK_ADMIN_BIND"] != "0.0.0.0:9000" || !strings.HasPrefix(v["INDRIK_ADMIN_ALLOW"], "127.0.0.0/8,::1,10.0.0.0/8,") {
		t.Errorf("variables %v", v)
	}
	if len(c.Ports) != 2 || c.Ports[1].Name != "metrics" || c.Ports[1].ContainerPort != 9000 {
		t.Errorf("ports %v", c.Ports)
	}
	if ports := get[*corev1.Service](t, all, "service.yaml").Spec.Ports; len(ports) != 1 {
		t.Errorf("the service has %v", ports)
	}
	ingress := get[*networkingv1.NetworkPolicy](t, all, "networkpolicy.yaml").Spec.Ingress
	if len(ingress) != 2 || ingress[1].Ports[0].Port.StrVal != "metrics" || len(ingress[1].From) != 1 || ingress[1].From[0].NamespaceSelector == nil {
		t.Errorf("the policy lets in: %v", ingress)
	}
	m := get[*podMonitor](t, all, "podmonitor.yaml")
	if e := m.Spec.Endpoints; len(e) != 1 || e[0].Port != "metrics" || e[0].Path != "/metrics" || m.Labels["release"] != "prometheus" ||
		len(e[0].Relabelings) != 1 || e[0].Relabelings[0].Replacement != "indrik" {
		t.Errorf("the monitor: %v", m)
	}
	if s := m.Spec.Selector.MatchLabels; len(s) == 0 || !labels.SelectorFromSet(s).Matches(labels.Set(d.Spec.Template.Labels)) {
		t.Errorf("the monitor looks for %v", s)
	}
	_, _, c = deployment(t, minimal)
	if _, is := variables(c)["INDRIK_ADMIN_BIND"]; is || len(c.Ports) != 1 {
		t.Errorf("without metrics there are %v and %v", c.Env, c.Ports)
	}

	metrics := get[*autoscalingv2.HorizontalPodAutoscaler](t, all, "horizontalpodautoscaler.yaml").Spec.Metrics
	if len(metrics) != 2 || metrics[1].Pods == nil || metrics[1].Pods.Metric.Name != "indrik_busy_ratio" || metrics[1].Pods.Target.AverageValue.MilliValue() != 600 {
		t.Errorf("the autoscaler goes by %v", metrics)
	}
	known := read(t, "docs", "observe.md")
	triggers := get[*scaledObject](t, objects(t, withKEDA), "scaledobject.yaml").Spec.Triggers
	for i, threshold := range []string{"0.1", "0.7"} {
		trigger := triggers[i]
		if trigger.Type != "prometheus" || trigger.MetricType != "Value" || trigger.Metadata["threshold"] != threshold {
			t.Errorf("trigger %v", trigger)
		}
		query := trigger.Metadata["query"]
		if !strings.Contains(query, `namespace="default", pod=~"shop-.*"`) {
			t.Errorf("it does not ask for the pods: %s", query)
		}
		for _, name := range regexp.MustCompile(`indrik_\w+`).FindAllString(query, -1) {
			if !strings.Contains(known, "| `"+strings.TrimSuffix(name, "_bucket")+"` |") {
				t.Errorf("there is no metric %s", name)
			}
		}
	}
}
