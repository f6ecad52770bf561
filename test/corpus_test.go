//go:build linux

package test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"indrik/test/harness"
)

// chunkedHead begins a request whose body is chunked.
const chunkedHead = "POST /chunked HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"

// closesOnly is the status of what is not answered: the connection is closed.
const closesOnly = 0

// The classes of requests that Gunicorn refuses, by the names that its own tests
// have for them, over the wire. The requests are ours. Where Gunicorn closes the
// connection without a word, in the framing of chunks, there is a 400 here.
var refusedClasses = []struct {
	args  []string // of the server
	cases map[string]refusedClass
}{
	{nil, map[string]refusedClass{
		"no Host":                              {"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400},
		"no Host, but one in the target":       {"GET http://test/ HTTP/1.1\r\n\r\n", 400},
		"identity":                             {"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: identity\r\n\r\n", 400},
		"identity and a length":                {"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na", 400},
		"gzip, not chunked":                    {"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", 400},
		"target not ASCII":                     {"GET /logi\xd2n HTTP/1.1\r\nHost: test\r\n\r\n", 400},
		"query not ASCII":                      {"GET /?\xc3\xa9 HTTP/1.1\r\nHost: test\r\n\r\n", 400},
		"two empty lines":                      {"\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", 400},
		"bare LF before":                       {"\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", 400},
		"bare CR before":                       {"\rGET / HTTP/1.1\r\nHost: test\r\n\r\n", 400},
		"line too long after an empty one":     {"\r\nGET /" + strings.Repeat("a", 4200) + " HTTP/1.1\r\nHost: test\r\n\r\n", 414},
		"chunk extension without a value":      {chunkedHead + "1;x=\r\na\r\n0\r\n\r\n", 400},
		"chunk extension without a name":       {chunkedHead + "1;\r\na\r\n0\r\n\r\n", 400},
		"chunk extension with an open quote":   {chunkedHead + "1;x=\"y\r\na\r\n0\r\n\r\n", 400},
		"chunk extension with words behind it": {chunkedHead + "1;x=y z\r\na\r\n0\r\n\r\n", 400},
	}},
	{[]string{"--permit-missing-host"}, map[string]refusedClass{
		"001 cut off":                             {"GET /cut HTTP/1.1\r\nHo", closesOnly},
		"002 request line":                        {"GET\r\n\r\n", 400},
		"003 bare LF":                             {"GET / HTTP/1.1\nHost: test\n\n", 400},
		"003b lower case method":                  {"get / HTTP/1.1\r\n\r\n", 400},
		"003c method with a dot in front":         {".get / HTTP/1.1\r\n\r\n", 400},
		"004 other protocol":                      {"GET / FTP/1.1\r\n\r\n", 400},
		"005 NUL in a name":                       {"GET / HTTP/1.1\r\nX\x00Y: z\r\n\r\n", 400},
		"006 request line too long":               {"GET /" + strings.Repeat("a", 4200) + " HTTP/1.1\r\n\r\n", 414},
		"010 field too large":                     {"GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 8190) + "\r\n\r\n", 431},
		"013 too many fields":                     {"GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n", 431},
		"014 negative length":                     {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
		"015 length of letters":                   {"POST / HTTP/1.1\r\nContent-Length: abc\r\n\r\n", 400},
		"016 target that is no URL":               {"GET http://[::1/ HTTP/1.1\r\n\r\n", 400},
		"018 version of three digits":             {"GET / HTTP/111\r\n\r\n", 400},
		"020 space before the colon":              {"GET / HTTP/1.1\r\nX : y\r\n\r\n", 400},
		"021 two lengths":                         {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
		"022 length -0":                           {"POST / HTTP/1.1\r\nContent-Length: -0\r\n\r\n", 400},
		"023 length 0_1":                          {"POST / HTTP/1.1\r\nContent-Length: 0_1\r\n\r\na", 400},
		"024 length +1":                           {"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", 400},
		"041 two types":                           {"POST / HTTP/1.1\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n\r\n", 400},
		"042 two hosts":                           {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
		"chunked_01 size 6_0":                     {chunkedHead + "6_0\r\n", 400},
		"chunked_02 length after chunked":         {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		"cl_te chunked after length":              {"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"chunked_03 twice":                        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"chunked_04 twice in a list":              {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
		"chunked_05 in HTTP/1.0":                  {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"chunked_06 not last":                     {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
		"chunked_08 not last, in two fields":      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400},
		"chunked_09 space after the size":         {chunkedHead + "1 \r\na\r\n0\r\n\r\n", 400},
		"chunked_10 space before the size":        {chunkedHead + " 1\r\na\r\n0\r\n\r\n", 400},
		"chunked_11 LF after the size":            {chunkedHead + "1\na\r\n0\r\n\r\n", 400},
		"chunked_12 no size":                      {chunkedHead + "\r\n", 400},
		"chunked_13 no size before an extension":  {chunkedHead + ";x\r\n", 400},
		"chunked_14 CR in an extension":           {chunkedHead + "1;a\rb\r\na\r\n0\r\n\r\n", 400},
		"chunked_size_plus":                       {chunkedHead + "+1\r\na\r\n0\r\n\r\n", 400},
		"chunked_size_minus":                      {chunkedHead + "-1\r\na\r\n0\r\n\r\n", 400},
		"chunked_missing_final_crlf":              {chunkedHead + "1\r\na\r\n0\r\n", closesOnly},
		"no CRLF after the data":                  {chunkedHead + "1\r\nab\r\n0\r\n\r\n", 400},
		"cl_list_form":                            {"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello", 400},
		"ctl_bel":                                 {"GET / HTTP/1.1\r\nX: \x07\r\n\r\n", 400},
		"ctl_del":                                 {"GET / HTTP/1.1\r\nX: \x7f\r\n\r\n", 400},
		"invalid_field_value_01 LF that smuggles": {"GET / HTTP/1.1\r\nX: y\nContent-Length: 40\r\n\r\n", 400},
		"limit_header_default_01":                 {"GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 100<<10), 431},
		"nonascii_01 method":                      {"G\xc3\x8bT / HTTP/1.1\r\n\r\n", 400},
		"nonascii_02 method":                      {"\xb5GET / HTTP/1.1\r\n\r\n", 400},
		"nonascii_03 name":                        {"GET / HTTP/1.1\r\n\xdf: x\r\n\r\n", 400},
		"nonascii_04 name":                        {"GET / HTTP/1.1\r\nX\xb2: x\r\n\r\n", 400},
		"obs_fold_01":                             {"GET / HTTP/1.1\r\nX: y\r\n z\r\n\r\n", 400},
		"prefix_01 NUL before the method":         {"\x00GET / HTTP/1.1\r\n\r\n", 400},
		"prefix_02 NUL behind the method":         {"GET\x00 / HTTP/1.1\r\n\r\n", 400},
		"prefix_03 two numbers":                   {"POST / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\na", 400},
		"prefix_04 two numbers and a comma":       {"POST / HTTP/1.1\r\nContent-Length: 1,2\r\n\r\na", 400},
		"prefix_05 colon in the method":           {"GET: / HTTP/1.1\r\n\r\n", 400},
		"prefix_06 huge version":                  {"GET / HTTP/1.999999999999999999999\r\n\r\n", 400},
		"target_asterisk_non_options":             {"GET * HTTP/1.1\r\n\r\n", 400},
		"target_authority_non_connect":            {"GET test:80 HTTP/1.1\r\n\r\n", 400},
		"target_relative":                         {"GET a/b HTTP/1.1\r\n\r\n", 400},
		"trailer_forbidden_cl":                    {chunkedHead + "0\r\nContent-Length: 5\r\n\r\n", 400},
		"trailer_forbidden_host":                  {chunkedHead + "0\r\nHost: other\r\n\r\n", 400},
		"trailer_forbidden_te":                    {chunkedHead + "0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"version_01 too old":                      {"GET / HTTP/0.9\r\n\r\n", 400},
		"version_02 too new":                      {"GET / HTTP/2.0\r\n\r\n", 400},
		"unknown coding":                          {"POST / HTTP/1.1\r\nTransfer-Encoding: cow, chunked\r\n\r\n0\r\n\r\n", 501},
		"unknown expectation":                     {"POST / HTTP/1.1\r\nExpect: the-unexpected\r\n\r\n", 417},
	}},
	{[]string{"--permit-missing-host", "--limit-request-line", "30", "--limit-request-fields", "2", "--limit-request-field_size", "20"}, map[string]refusedClass{
		"006 request line over a limit of its own": {"GET /12345678901234567890 HTTP/1.1\r\n\r\n", 414},
		"007 fields over theirs":                   {"GET / HTTP/1.1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", 431},
		"008 a field over its own":                 {"GET / HTTP/1.1\r\nA: 01234567890123456789\r\n\r\n", 431},
		"009 a name over it":                       {"GET / HTTP/1.1\r\nA012345678901234567890: b\r\n\r\n", 431},
		"011 a second one":                         {"GET / HTTP/1.1\r\nA: b\r\nC: 01234567890123456789\r\n\r\n", 431},
		"012 without an end":                       {"GET / HTTP/1.1\r\nA: 0123456789012345678901234567890123456789", 431},
		"017 by one byte":                          {"GET / HTTP/1.1\r\nA: 0123456789012345\r\n\r\n", 431},
	}},
	{[]string{"--permit-missing-host", "--header-map", "refuse"}, map[string]refusedClass{
		"040 underscore":                {"GET / HTTP/1.1\r\nContent_Length: 5\r\n\r\n", 400},
		"chunked_07 underscored coding": {"POST / HTTP/1.1\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	}},
	{[]string{"--permit-missing-host", "--forwarded-allow-ips", "*"}, map[string]refusedClass{
		"019 contradictory schemes": {"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n", 400},
	}},
	{[]string{"--proxy-protocol=v1"}, map[string]refusedClass{
		"pp_01 too short":   {"PROXY TCP4 192.168.0.1 192.16...\r\nGET / HTTP/1.1\r\n\r\n", 400},
		"pp_02 bad port":    {"PROXY TCP4 192.0.2.1 192.0.2.2 65iii 100000\r\nGET / HTTP/1.1\r\n\r\n", 400},
		"pp_03 bad address": {"PROXY TCP4 192.0.2.300 192.0.2.2 65 1000\r\nGET / HTTP/1.1\r\n\r\n", 400},
	}},
}

type refusedClass struct {
	request string
	status  int
}

func TestRefusedClasses(t *testing.T) {
	t.Parallel()
	for _, group := range refusedClasses {
		s := harness.Start(t, harness.Options{App: "recording:app", Args: group.args})
		ran := 0
		harness.Eventually(t, "what the probe ran is in the log", func() bool {
			ran = len(s.Log.All(`ran (/.*)`))
			return ran > 0
		})
		for name, c := range group.cases {
			for _, pieces := range []int{1, 3} {
				if err := refusedAs(s, c, pieces); err != nil {
					t.Errorf("%s, in %d pieces: %v", name, pieces, err)
				}
			}
		}
		s.Get("/still-there")
		s.Terminate()
		if n := len(s.Log.All(`ran (/.*)`)); n != ran+1 {
			t.Errorf("%q: a worker has got %d of the refused requests", group.args, n-ran-1)
		}
	}
}

// refusedAs sends a request in pieces, and a good one behind it that must not be
// served.
func refusedAs(s *harness.Server, c refusedClass, pieces int) error {
	client, err := s.Connect()
	if err != nil {
		return err
	}
	defer client.Close()
	text := c.request
	if c.status != closesOnly {
		text += harness.FormatRequest("GET", "/smuggled", "")
	}
	size := len(text)/pieces + 1
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := client.Write([]byte(text[:n])); err != nil {
			break // it was refused before all of it was sent
		}
		text = text[n:]
	}
	if c.status == closesOnly {
		client.Conn.(*net.TCPConn).CloseWrite()
		if r, err := harness.ReadResponse(client.Reader, "GET"); err == nil {
			return fmt.Errorf("answered: %v", r)
		}
		return nil
	}
	r, err := harness.ReadResponse(client.Reader, "GET")
	if err != nil || r.Status != c.status || !r.Closes() {
		return fmt.Errorf("%v, %w, want %d and the end", r, err, c.status)
	}
	if r, err := harness.ReadResponse(client.Reader, "GET"); err == nil {
		return fmt.Errorf("what followed was answered: %v", r)
	}
	return nil
}
