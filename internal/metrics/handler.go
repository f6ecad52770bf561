package metrics

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// ServeHTTP answers with the metrics in the format that the client prefers of those that
// Prometheus reads: text, OpenMetrics, or protobuf, which alone has native histograms.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	w.Header().Set("Content-Type", string(format))
	w.Header().Add("Vary", "Accept, Accept-Encoding")
	var out bytes.Buffer
	var to io.Writer = &out
	var packed *gzip.Writer
	if takesGzip(r.Header) {
		w.Header().Set("Content-Encoding", "gzip")
		packed = gzip.NewWriter(&out)
		to = packed
	}
	err := Encode(to, format, c.Gather(r.Context()))
	if packed != nil && err == nil {
		err = packed.Close()
	}
	if err != nil { // a buffer takes everything: a metric has no form
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(out.Bytes()) // the client has gone
}

// Encode writes metrics in a format.
func Encode(to io.Writer, format expfmt.Format, families []*dto.MetricFamily) error {
	encoder := expfmt.NewEncoder(to, format)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		return closer.Close()
	}
	return nil
}

// takesGzip reports whether a client has said that it takes a body that is compressed so.
func takesGzip(h http.Header) bool {
	for _, field := range h.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(field, ",") {
			name, weight, _ := strings.Cut(coding, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") && !strings.HasSuffix(strings.ReplaceAll(weight, " ", ""), "q=0") {
				return true
			}
		}
	}
	return false
}
