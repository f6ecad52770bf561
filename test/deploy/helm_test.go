package deploy

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
)

var (
	repository = filepath.Join("..", "..")
	chartDir   = filepath.Join(repository, "deploy", "helm", "indrik")
)

// release is the name under which the tests install the chart.
const release = "shop"

// minimal is what has to be set: the image.
const minimal = `
image: {repository: example.com/shop, tag: 1.4.2}
`

// whole sets everything that adds an object or a part of one.
const whole = minimal + `
command: [indrik]
args: [shop.wsgi]
imagePullSecrets: [{name: registry}]
settings:
  workers: 4
  limit_request_body: 10485760
  preload_app: true
  forwarded_allow_ips: 10.42.0.0/16
  certfile: /etc/tls/tls.crt
config: |
  def on_starting(server):
      pass
env: [{name: DATABASE, value: postgres}]
envFrom: [{secretRef: {name: shop}}]
serviceAccountName: shop
service: {type: LoadBalancer, annotations: {a: b}}
resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}
autoscaling: {enabled: true, targetBusy: 60}
metrics: {enabled: true, podMonitor: {enabled: true, labels: {release: prometheus}}}
networkPolicy:
  from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 5432}]}]
podAnnotations: {a: b}
podLabels: {team: shop}
nodeSelector: {kubernetes.io/arch: amd64}
tolerations: [{key: spot, operator: Exists}]
affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
volumes: [{name: tls, secret: {secretName: tls}}]
volumeMounts: [{name: tls, mountPath: /etc/tls}]
`

const withKEDA = minimal + `
metrics: {enabled: true}
keda:
  enabled: true
  prometheus: {serverAddress: "http://prometheus.monitoring:9090"}
`

// values parses values as a file of them has them.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatalf("values: %v\n%s", err, text)
	}
	return v
}

// render is `helm template shop deploy/helm/indrik --values TEXT`: the text of each template by
// its file name, without those that came out empty.
func render(t *testing.T, text string) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	v := values(t, text)
	if err := chartutil.ProcessDependencies(c, v); err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: "default", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(c, v, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	out, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name, text := range out {
		if strings.TrimSpace(text) != "" {
			files[path.Base(name)] = text
		}
	}
	return files, nil
}

// A scaledObject is the part of KEDA's ScaledObject that the chart uses; its own module would
// bring the libraries of every cloud.
type scaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ScaleTargetRef struct {
			Name string `json:"name"`
		} `json:"scaleTargetRef"`
		MinReplicaCount *int32 `json:"minReplicaCount"`
		MaxReplicaCount *int32 `json:"maxReplicaCount"`
		Triggers        []struct {
			Type       string            `json:"type"`
			MetricType string            `json:"metricType,omitempty"`
			Metadata   map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// A podMonitor is the part of the PodMonitor of the Prometheus operator that the chart uses.
type podMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port        string `json:"port"`
			Path        string `json:"path"`
			Interval    string `json:"interval"`
			Relabelings []struct {
				TargetLabel string `json:"targetLabel"`
				Replacement string `json:"replacement"`
			} `json:"relabelings"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

func (p *podMonitor) DeepCopyObject() runtime.Object { c := *p; return &c }

func (s *scaledObject) DeepCopyObject() runtime.Object { c := *s; return &c }

// decoder refuses fields that a type does not have, also by the case of a letter, and fields
// that are there twice.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	keda := schema.GroupVersion{Group: "keda.sh", Version: "v1alpha1"}
	scheme.AddKnownTypeWithName(keda.WithKind("ScaledObject"), &scaledObject{})
	operator := schema.GroupVersion{Group: "monitoring.coreos.com", Version: "v1"}
	scheme.AddKnownTypeWithName(operator.WithKind("PodMonitor"), &podMonitor{})
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
}()

// decode decodes one object.
func decode(name, text string) (runtime.Object, error) {
	object, _, err := decoder.Decode([]byte(text), nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return object, nil
}

// objects renders the chart and decodes what it makes, by file name.
func objects(t *testing.T, text string) map[string]runtime.Object {
	t.Helper()
	files, err := render(t, text)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]runtime.Object{}
	for name, text := range files {
		if name == "NOTES.txt" {
			continue
		}
		object, err := decode(name, text)
		if err != nil {
			t.Error(err)
			continue
		}
		found[name] = object
	}
	return found
}

// get returns the object of a file, which must be there with that type.
func get[T runtime.Object](t *testing.T, from map[string]runtime.Object, name string) T {
	t.Helper()
	object, ok := from[name].(T)
	if !ok {
		t.Fatalf("%s is %T, not %T", name, from[name], object)
	}
	return object
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{repository}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
}
