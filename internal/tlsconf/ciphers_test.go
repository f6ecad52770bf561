package tlsconf

import (
	"crypto/tls"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func names(ids []uint16) string {
	var out []string
	for _, id := range ids {
		out = append(out, suiteName(id))
	}
	return strings.Join(out, " ")
}

// Each suite of crypto/tls has its place, and only those.
func TestSuites(t *testing.T) {
	known := map[uint16]bool{}
	for _, s := range suites {
		if known[s.id] || strings.HasPrefix(tls.CipherSuiteName(s.id), "0x") {
			t.Errorf("%s is listed twice, or unknown to crypto/tls", s.name)
		}
		known[s.id] = true
		if foreign[s.name] {
			t.Errorf("%s is listed as foreign too", s.name)
		}
	}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !known[s.ID] && s.SupportedVersions[0] != tls.VersionTLS13 {
			t.Errorf("%s is missing", s.Name)
		}
	}
	for word := range barren {
		for _, s := range suites {
			if s.has(word) {
				t.Errorf("%s is to have no suite, but %s has it", word, s.name)
			}
		}
	}
}

func TestCiphers(t *testing.T) {
	const gcm = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384"
	const chacha = "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305"
	const cbc = "ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA"
	const all = gcm + " " + chacha + " " + cbc
	for _, c := range []struct{ spec, want, dropped string }{
		{"DEFAULT", all, ""},
		{"ALL", all, ""},
		{"HIGH", all, ""},
		{"HIGH:!aNULL:!eNULL:!MD5:!RC4:!3DES", all, ""},
		{"DEFAULT@SECLEVEL=2", all, ""},
		{"@SECLEVEL=1:DEFAULT:@STRENGTH", all, ""},
		{"TLSv1.2", gcm + " " + chacha, ""},
		{"HIGH:!TLSv1", gcm + " " + chacha, ""},
		{"AEAD", gcm + " " + chacha, ""},
		{"HIGH:!CBC", gcm + " " + chacha, ""},
		{"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!MD5:!DSS", gcm + " " + chacha, "DHE+AESGCM DHE+CHACHA20"},
		{"EECDH+AESGCM,EDH+AESGCM AES256+EECDH;AES256+EDH", gcm + " ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA", "EDH+AESGCM AES256+EDH"},
		{"ECDHE+aRSA+AESGCM", "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384", ""},
		{"kEECDH+ECDSA+AES128", "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA", ""},
		{"HIGH:!SHA1:!SHA256:!SHA384", gcm + " " + chacha, ""}, // which are not the MAC of AEAD suites
		{"SHA1", cbc, ""},
		{"ALL:-SHA:ECDHE-RSA-AES256-SHA", gcm + " " + chacha + " ECDHE-RSA-AES256-SHA", ""},
		{"ALL:!SHA:ECDHE-RSA-AES256-SHA", gcm + " " + chacha, ""},
		{"ECDHE-RSA-AES256-GCM-SHA384:+HIGH", "ECDHE-RSA-AES256-GCM-SHA384", ""},
		{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
		{"ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:CAMELLIA128-SHA", "ECDHE-RSA-AES128-GCM-SHA256",
			"DHE-RSA-AES128-GCM-SHA256 CAMELLIA128-SHA"},
		{"HIGH:RC4:kRSA:!DHE-RSA-AES256-SHA", all, "RC4 kRSA"},
		{"HIGH:COMPLEMENTOFDEFAULT", all, "COMPLEMENTOFDEFAULT"},

		// By name, and only by name.
		{"AES128-SHA", "AES128-SHA", ""},
		{"AESGCM:ECDHE-RSA-AES128-SHA256", gcm + " ECDHE-RSA-AES128-SHA256", ""},
		{"AESGCM:DES-CBC3-SHA:!3DES", gcm, ""},
		{"AESGCM:AES128-SHA:!COMPLEMENTOFDEFAULT", gcm, ""},
		{"AESGCM:RC4-SHA", gcm + " RC4-SHA", ""},
		{"AESGCM:RC4-SHA@SECLEVEL=2", gcm, ""},
	} {
		ids, dropped, err := Ciphers(c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
			continue
		}
		if got := names(ids); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.spec, got, c.want)
		}
		if got := strings.Join(dropped, " "); got != c.dropped {
			t.Errorf("%s: dropped %q, want %q", c.spec, got, c.dropped)
		}
	}
}

func TestBadCiphers(t *testing.T) {
	for spec, want := range map[string]string{
		"HIGH:ECDHE-RSA-AES128-GCM-SHA265":     `unknown cipher "ECDHE-RSA-AES128-GCM-SHA265"`,
		"high":                                 `unknown cipher "high"`,
		"HIGH:!NOSUCH":                         `unknown cipher "NOSUCH" in "!NOSUCH"`,
		"ECDHE+NOSUCH":                         `unknown cipher "NOSUCH" in "ECDHE+NOSUCH"`,
		"ECDHE+":                               `unknown cipher ""`,
		"HIGH:!":                               `unknown cipher ""`,
		"PROFILE=SYSTEM":                       `unknown cipher "PROFILE=SYSTEM"`,
		"HIGH@SECLEVEL=3":                      "the highest level is 2",
		"HIGH:@SECLEVEL=9":                     "0 to 5",
		"HIGH:@NOSUCH":                         `unknown command "@NOSUCH"`,
		"HIGH@":                                `unknown command "@"`,
		"HIGH:!TLS_AES_128_GCM_SHA256":         "cannot be turned off",
		"ALL:-TLS_AES_128_GCM_SHA256":          "cannot be turned off",
		"":                                     `no cipher is left for TLS 1.2 in ""`,
		"!ALL:HIGH":                            "no cipher is left",
		"RC4":                                  "no cipher is left for TLS 1.2 in \"RC4\" (not available: RC4)",
		"DHE-RSA-AES128-GCM-SHA256:EDH+AESGCM": "(not available: DHE-RSA-AES128-GCM-SHA256, EDH+AESGCM)",
		"TLS_AES_256_GCM_SHA384":               "set tls_min_version to 1.3",
		"ECDHE-RSA-RC4-SHA@SECLEVEL=2":         "no cipher is left",
	} {
		ids, _, err := Ciphers(spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v; want %s", spec, names(ids), err, want)
		}
	}
}

// What a keyword selects is what it selects in OpenSSL, less what crypto/tls
// has not or advises against.
func TestLikeOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl to compare with")
	}
	list := func(spec string) (map[string]bool, bool) {
		out, err := exec.Command(openssl, "ciphers", "-s", "-tls1_2", spec).Output()
		return set(strings.ReplaceAll(string(out), ":", " ")), err == nil
	}
	if all, ok := list("ALL:@SECLEVEL=0"); !ok || len(all) < 50 {
		t.Skip("this openssl has few ciphers")
	}
	for _, spec := range []string{
		"ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "aRSA", "aECDSA", "ECDSA", "AES", "AES128", "AES256", "AESGCM",
		"CHACHA20", "SHA", "SHA1", "SHA256", "SHA384", "TLSv1.2", "TLSv1", "ECDHE+AESGCM", "EECDH+aRSA+AES256", "ECDHE+AES+SHA384",
		"HIGH:!aNULL:!SHA1", "HIGH:-AES:ECDHE+AES128", "ALL:!AES128:!SHA", "HIGH:!AESGCM", "ECDHE:!ECDSA", "ALL:!HIGH:AESGCM:+AES256",
		"AESGCM:!kRSA", "HIGH:!TLSv1", "HIGH:!SSLv3", "ECDHE+HIGH:MEDIUM:@STRENGTH", "DEFAULT:!DHE", "ALL:!COMPLEMENTOFDEFAULT",
	} {
		theirs, ok := list(spec)
		ours := map[string]bool{}
		ids, _, err := Ciphers(spec)
		for _, id := range ids {
			ours[suiteName(id)] = true
		}
		if !ok && err != nil {
			continue
		}
		for _, s := range suites {
			if want := theirs[s.name] && !insecure[s.id]; want != ours[s.name] {
				t.Errorf("%s: %s is %t in OpenSSL, %t here", spec, s.name, want, ours[s.name])
			}
		}
	}
	// Every suite that it knows is known here.
	all, _ := list("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
	for name := range all {
		if find(name) == nil && !foreign[name] && !tls13[name] {
			t.Errorf("%s of OpenSSL is unknown here", name)
		}
	}
}

var word = regexp.MustCompile(`[A-Za-z0-9_.=-]+`)

func FuzzCiphers(f *testing.F) {
	for _, s := range []string{
		"DEFAULT", "HIGH:!aNULL:!MD5", "EECDH+AESGCM:EDH+AESGCM", "ALL@SECLEVEL=2:@STRENGTH", "AES128-SHA:-kRSA,RC4-SHA", "TLS_AES_128_GCM_SHA256 DHE-RSA-AES256-SHA;ECDHE",
		"!ALL", "+", "-+", "@", "ALL@@", "é", "DES-CBC3-SHA@SECLEVEL=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		ids, dropped, err := Ciphers(spec)
		if err != nil {
			if len(ids)+len(dropped) > 0 {
				t.Errorf("%q: ciphers in spite of %v", spec, err)
			}
			return
		}
		if len(ids) == 0 {
			t.Fatalf("%q: no ciphers and no error, which means all of them", spec)
		}
		asked := map[string]bool{}
		for _, w := range word.FindAllString(spec, -1) {
			asked[w] = true
		}
		for i, id := range ids {
			if slices.Contains(ids[:i], id) {
				t.Errorf("%q: %s twice", spec, suiteName(id))
			}
			if insecure[id] && !asked[suiteName(id)] && !asked[tls.CipherSuiteName(id)] {
				t.Errorf("%q: nobody asked for %s", spec, suiteName(id))
			}
		}
		// What is added behind a list cannot turn on what it turned off for good.
		if !strings.Contains(spec, "@") {
			for _, id := range ids {
				more, _, err := Ciphers(fmt.Sprintf("%s:!%s:%[2]s:ALL", spec, suiteName(id)))
				if err == nil && slices.Contains(more, id) {
					t.Errorf("%q: %s came back", spec, suiteName(id))
				}
			}
		}
	})
}

func TestMinVersion(t *testing.T) {
	for s, want := range map[string]uint16{"1.2": tls.VersionTLS12, "TLSv1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13, "TLSv1.3": tls.VersionTLS13} {
		if got, err := MinVersion(s); got != want || err != nil {
			t.Errorf("%s: %#x, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "1.1", "TLSv1", "1.4", "ssl3", "12"} {
		if _, err := MinVersion(s); err == nil || !strings.Contains(err.Error(), "1.2 and 1.3 are possible") {
			t.Errorf("%q: %v", s, err)
		}
	}
}
