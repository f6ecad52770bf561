package metrics

import dto "github.com/prometheus/client_model/go"

// A page is a set of metrics that is being made.
type page struct {
	families map[string]*dto.MetricFamily // by name
}

// rows are the rows of the table by name.
var rows = func() map[string]*Metric {
	rows := map[string]*Metric{}
	for i := range Table {
		rows[Table[i].Name] = &Table[i]
	}
	return rows
}()

func newPage() *page { return &page{families: map[string]*dto.MetricFamily{}} }

// metric adds a metric with values of its labels, in their order in the table.
func (p *page) metric(name string, labels []string) *dto.Metric {
	row := rows[name]
	if row == nil || len(labels) != len(row.Labels) {
		panic("metrics: " + name + " is not as the table has it")
	}
	f := p.families[name]
	if f == nil {
		f = &dto.MetricFamily{Name: &row.Name, Help: &row.Help, Type: new(row.Type)}
		p.families[name] = f
	}
	m := new(dto.Metric)
	for i := range labels {
		m.Label = append(m.Label, &dto.LabelPair{Name: &row.Labels[i], Value: &labels[i]})
	}
	f.Metric = append(f.Metric, m)
	return m
}

// count adds a counter.
func (p *page) count(name string, value float64, labels ...string) {
	p.metric(name, labels).Counter = &dto.Counter{Value: &value}
}

// gauge adds a gauge.
func (p *page) gauge(name string, value float64, labels ...string) {
	p.metric(name, labels).Gauge = &dto.Gauge{Value: &value}
}

// histogram adds a histogram.
func (p *page) histogram(name string, h *Histogram, labels ...string) {
	p.metric(name, labels).Histogram = h.write()
}

// all returns the metrics, sorted by their names.
func (p *page) all() []*dto.MetricFamily {
	all := make([]*dto.MetricFamily, 0, len(p.families))
	for i := range Table {
		if f := p.families[Table[i].Name]; f != nil {
			all = append(all, f)
		}
	}
	return all
}

// oneIf is 1 for true.
func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
